import { get } from '../api/client'
import type { Change, Page, State } from '../api/types'
import { StateIcon } from '../parts/icons'
import { usePages, useReloadOn } from '../parts/load'
import { More } from '../parts/more'
import { Failed, Skeleton, Text, Time } from '../parts/small'
import { span } from '../parts/time'
import { query, setQuery } from '../shell/router'
import { t } from '../texts'
import type { TabProps } from './job'

const PAGE = 200

/** What the job itself reported, the last first. */
export function HistoryView({ job }: TabProps) {
  const order = query.value.get('changes') === 'oldest' ? 'oldest' : 'newest'
  const loaded = usePages(`${job.id} ${order}`, (abort, cursor) =>
    get<Page<Change>>(`jobs/${job.id}/changes`, { order, limit: PAGE, cursor }, abort),
  )
  useReloadOn(job.changes, loaded.reload, 500)
  if (!loaded.value) {
    return loaded.error === undefined ? (
      <Skeleton />
    ) : (
      <Failed error={loaded.error} retry={loaded.reload} />
    )
  }
  const { items } = loaded
  const turn = () => setQuery({ changes: order === 'newest' ? 'oldest' : undefined })
  return (
    <section class="scroll pad">
      <div class="section-head">
        <h2>{t.value.history.title}</h2>
        <button type="button" class="quiet" onClick={turn}>
          {t.value.tree.order[order]}
        </button>
      </div>
      <ol class="history">
        {items.map((change, index) => {
          const before = order === 'newest' ? items[index + 1] : items[index - 1]
          return <Line key={`${change.time} ${index}`} change={change} before={before} />
        })}
      </ol>
      <More pages={loaded} />
    </section>
  )
}

function Line({ change, before }: { change: Change; before: Change | undefined }) {
  const state = change.state as State
  const after = before ? Date.parse(change.time) - Date.parse(before.time) : undefined
  return (
    <li>
      <span class="history-when">
        <Time iso={change.time} millis />
        {after !== undefined && <span class="muted num">+{span(after, t.value.units)}</span>}
      </span>
      <span class="history-mark">
        <StateIcon state={state} size={18} />
      </span>
      <span class="history-what">
        <b class={`i-${state}`}>{t.value.states[state]}</b>
        {change.reasonCode && <code class="tag">{change.reasonCode}</code>}
        {change.by && <span class="muted">{t.value.history.by(change.by)}</span>}
        {change.message && <Text text={change.message} />}
      </span>
    </li>
  )
}
