import { get } from '../api/client'
import { isFinished, type Blocker, type Page, type Row } from '../api/types'
import { StateIcon } from '../parts/icons'
import { usePages, useReloadOn } from '../parts/load'
import { More } from '../parts/more'
import { Age, Empty, Failed, Skeleton, Text } from '../parts/small'
import { link } from '../shell/router'
import { t } from '../texts'
import type { TabProps } from './job'

const PAGE = 100

/** The chains from the job to the deepest ones that it waits for, or to the causes of its failure. */
export function WaitingView({ job }: TabProps) {
  const isAll = job.state !== 'RanToCompletion'
  const loaded = usePages(`${job.id} ${isAll}`, async (abort, cursor): Promise<Page<Blocker>> => {
    if (!isAll) return { items: [] }
    return get(`jobs/${job.id}/blockers`, { limit: PAGE, path: true, cursor }, abort)
  })
  useReloadOn(loaded.isFirst && job, loaded.reload)
  if (!isAll) return <Empty title={t.value.waiting.done} />
  if (!loaded.value) {
    return loaded.error === undefined ? (
      <Skeleton />
    ) : (
      <Failed error={loaded.error} retry={loaded.reload} />
    )
  }
  const { items } = loaded
  const isFailed = job.state === 'Faulted'
  return (
    <section class="scroll pad">
      <h2>{isFailed ? t.value.waiting.causes : t.value.waiting.title}</h2>
      <p class="muted">
        {isFailed ? t.value.waiting.causesHint : t.value.waiting.hint(pending(job))}
      </p>
      {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
      {items.length === 0 && <Empty title={t.value.waiting.nothing} />}
      <ol class="chains">
        {items.map((blocker) => (
          <Chain key={blocker.job.id} blocker={blocker} top={job} />
        ))}
      </ol>
      <More pages={loaded} />
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
