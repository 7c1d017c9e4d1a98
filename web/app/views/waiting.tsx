import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { get } from '../api/client'
import { isFinished, type Blocker, type Page, type Row } from '../api/types'
import { StateIcon } from '../parts/icons'
import { useLoad, useReloadOn } from '../parts/load'
import { exact } from '../parts/number'
import { Age, Empty, Failed, Skeleton, Text } from '../parts/small'
import { link } from '../shell/router'
import { t } from '../texts'
import type { TabProps } from './job'

const PAGE = 100

/** The chains from the job to the deepest ones that it waits for, or to the causes of its failure. */
export function WaitingView({ job }: TabProps) {
  const more = useSignal<Blocker[]>([])
  const cursor = useSignal<string | null | undefined>(undefined)
  const isAll = job.state !== 'RanToCompletion'
  const loaded = useLoad(`${job.id} ${isAll}`, async (abort) => {
    if (!isAll) return []
    const params = { limit: PAGE, path: true }
    const page = await get<Page<Blocker>>(`jobs/${job.id}/blockers`, params, abort)
    cursor.value = page.nextCursor ?? null
    more.value = []
    return page.items
  })
  useReloadOn(more.value.length === 0 && job, loaded.reload)
  useEffect(() => void (more.value = []), [job.id])
  const next = async () => {
    const params = { limit: PAGE, path: true, cursor: cursor.peek() }
    const page = await get<Page<Blocker>>(`jobs/${job.id}/blockers`, params)
    more.value = [...more.peek(), ...page.items]
    cursor.value = page.nextCursor ?? null
  }
  if (!isAll) return <Empty title={t.value.waiting.done} />
  if (!loaded.value) {
    return loaded.error === undefined ? (
      <Skeleton />
    ) : (
      <Failed error={loaded.error} retry={loaded.reload} />
    )
  }
  const items = [...loaded.value, ...more.value]
  const isFailed = job.state === 'Faulted'
  return (
    <section class="scroll pad">
      <h2>{isFailed ? t.value.waiting.causes : t.value.waiting.title}</h2>
      <p class="muted">
        {isFailed ? t.value.waiting.causesHint : t.value.waiting.hint(exact(pending(job)))}
      </p>
      {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
      {items.length === 0 && <Empty title={t.value.waiting.nothing} />}
      <ol class="chains">
        {items.map((blocker) => (
          <Chain key={blocker.job.id} blocker={blocker} top={job} />
        ))}
      </ol>
      {typeof cursor.value === 'string' && (
        <button type="button" onClick={() => void next()}>
          {t.value.more}
        </button>
      )}
    </section>
  )
}

function pending(job: Row): number {
  return job.subtree.total - job.subtree.successful - job.subtree.failed
}

function Chain({ blocker, top }: { blocker: Blocker; top: Row }) {
  const { job, lastChange, path } = blocker
  const state = job.state as Row['state']
  const isItself = job.id === top.id
  return (
    <li class="chain">
      <div class="chain-path">
        {!isItself && <span class="muted">{top.name}</span>}
        {(path ?? []).map((step) => (
          <span key={step.id} class="step">
            <a href={link(`jobs/${step.id}`)}>{step.name}</a>
          </span>
        ))}
        <span class={isItself ? '' : 'step'}>
          <StateIcon state={state} />
          <a class="chain-job" href={link(`jobs/${job.id}`)}>
            {job.name}
          </a>
          <span class={`i-${state}`}>{t.value.states[state]}</span>
          <span class="muted">
            {isFinished(state) ? '' : t.value.waiting.since} <Age iso={lastChange.time} />
            {isFinished(state) ? ` ${t.value.ago}` : ''}
          </span>
          {lastChange.reasonCode && <code class="tag">{lastChange.reasonCode}</code>}
        </span>
      </div>
      {lastChange.message && <Text text={lastChange.message} mono />}
    </li>
  )
}
