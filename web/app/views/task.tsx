import { useState } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { get, post } from '../api/client'
import { sourceOf } from '../api/json'
import type { LogLine, Page, Row, Task } from '../api/types'
import { Coloured } from '../parts/coloured'
import { ActDialog } from '../parts/dialog'
import { useLoad, useReloadOn, type Loaded } from '../parts/load'
import { exact } from '../parts/number'
import { CopyButton, Failed, say, Skeleton, Text, Time } from '../parts/small'
import { clock, span } from '../parts/time'
import { zone } from '../shell/prefs'
import { link } from '../shell/router'
import { may } from '../shell/session'
import { t } from '../texts'
import { indented } from './indented'
import type { TabProps } from './job'
import type { ReadTask } from './task_state'

/** What a worker does of the job: where it stands, under which lease, and what it says. */
export function TaskView({ job, task }: TabProps & { task: Loaded<ReadTask | null> }) {
  const { value, error, reload } = task
  return (
    <section class="scroll pad stack">
      {error !== undefined && <Failed error={error} retry={reload} />}
      {!value && error === undefined && <Skeleton />}
      {value && <Stands job={job} task={value.task} reload={reload} />}
      {value && <Facts task={value.task} />}
      {value?.task.phase === 'running' && job.logLines > 0 && <Tail job={job} />}
      {value && <Payloads text={value.text} />}
    </section>
  )
}

interface StandsProps {
  job: Row
  task: Task
  reload: () => void
}

function Stands({ job, task, reload }: StandsProps) {
  const words = t.value.task
  const tries = 1 + (task.task.retry?.max ?? 0)
  return (
    <div class="task-head">
      <span class={`delivery-status p-${task.phase}`}>{words.phases[task.phase]}</span>
      <code class="strong">{task.task.handler}</code>
      {task.attempt > 0 && <span class="muted num">{words.attempt(task.attempt, tries)}</span>}
      {task.phase === 'running' && (
        <span class="slots">
          <progress max={100} value={task.progress} aria-label={words.progress} />
          <span class="num">{task.progress} %</span>
        </span>
      )}
      {task.cancelling && <span class="i-Warning">{words.cancelling}</span>}
      <span class="grow" />
      <Acts job={job} task={task} reload={reload} />
    </div>
  )
}

/** What an operator may do with it; what cannot be done is there, and says why not. */
function Acts({ job, task, reload }: StandsProps) {
  const words = t.value.task
  const [isCancelling, setCancelling] = useState(false)
  const [error, setError] = useState<unknown>(undefined)
  if (task.phase === 'ended') return null
  const canAct = may('operator')
  const why = canAct ? undefined : t.value.needsRole('operator')
  const isHeld = task.phase === 'running'
  const isPaused = task.phase === 'paused'
  const move = async (act: 'pause' | 'resume') => {
    await post(`jobs/${job.id}/task/${act}`, {})
    reload()
  }
  const toggle = () => {
    setError(undefined)
    const [act, back] = isPaused ? (['resume', 'pause'] as const) : (['pause', 'resume'] as const)
    move(act).then(
      () => say(isPaused ? words.resumed : words.paused, () => move(back)),
      (failure: unknown) => setError(failure),
    )
  }
  return (
    <span class="acts">
      <button
        type="button"
        disabled={!canAct || isHeld}
        title={why ?? (isHeld ? words.held : undefined)}
        onClick={toggle}
      >
        {isPaused ? words.resume : words.pause}
      </button>
      <button
        type="button"
        disabled={!canAct || task.cancelling}
        title={why ?? (task.cancelling ? words.cancelling : undefined)}
        onClick={() => setCancelling(true)}
      >
        {words.cancel}
      </button>
      {error !== undefined && <Failed error={error} />}
      {isCancelling && (
        <Cancel job={job} task={task} reload={reload} close={() => setCancelling(false)} />
      )}
    </span>
  )
}

function Cancel({ job, task, reload, close }: StandsProps & { close: () => void }) {
  const words = t.value.task
  const act = async () => {
    await post(`jobs/${job.id}/task/cancel`, {})
    say(words.cancelled)
    reload()
  }
  return (
    <ActDialog
      title={words.cancel}
      doIt={words.cancelIt}
      undo={t.value.cannotUndo}
      isDangerous
      act={act}
      onClose={close}
    >
      <p>{task.worker ? words.cancelHeld(task.worker) : words.cancelFree}</p>
    </ActDialog>
  )
}

function Facts({ task }: { task: Task }) {
  const words = t.value.task
  const { shard, timeouts, retry } = task.task
  const long = (ms: number | null | undefined) => (ms ? span(ms, t.value.units) : words.forever)
  return (
    <dl class="table spaced">
      {task.worker && (
        <Line name={words.worker}>
          <a href={link('workers', { q: task.worker })}>
            <code>{task.worker}</code>
          </a>
        </Line>
      )}
      <Line name={words.since[task.phase]}>
        <Time iso={task.since} millis />
      </Line>
      {task.leaseUntil && (
        <Line name={words.lease}>
          <Time iso={task.leaseUntil} />
        </Line>
      )}
      <Line name={words.epoch}>
        <span class="num">{exact(task.epoch)}</span>
      </Line>
      {shard && <Line name={words.shard}>{words.shardOf(shard.index + 1, shard.total)}</Line>}
      {task.nextAt && (
        <Line name={words.nextAt}>
          <Time iso={task.nextAt} />
        </Line>
      )}
      <Line name={words.retries}>{words.retriesOf(retry?.max ?? 0)}</Line>
      <Line name={words.execution}>{long(timeouts?.executionMs)}</Line>
      <Line name={words.toStart}>{long(timeouts?.scheduleToStartMs)}</Line>
      <Line name={words.filter}>{filterSaid(task)}</Line>
    </dl>
  )
}

function filterSaid({ task: { filter } }: Task): string {
  const labels = Object.entries(filter?.labels ?? {}).map(([key, value]) => `${key}=${value}`)
  const all = [...(filter?.tags ?? []), ...labels, ...(filter?.workers ?? [])]
  return all.length > 0 ? all.join(', ') : t.value.task.anyWorker
}

function Line({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** What the task was given and what it answered, as they were written. */
function Payloads({ text }: { text: string }) {
  const words = t.value.task
  const parts: [string, string | undefined][] = [
    [words.params, sourceOf(sourceOf(text, 'task') ?? '', 'params')],
    [words.data, sourceOf(text, 'data') ?? sourceOf(sourceOf(text, 'task') ?? '', 'data')],
    [words.result, sourceOf(text, 'result')],
  ]
  return (
    <>
      {parts.map(([name, source]) => {
        if (source === undefined || source === 'null') return null
        const pretty = indented(source)
        return (
          <div key={name}>
            <div class="section-head">
              <h2>{name}</h2>
              <CopyButton text={pretty} label={t.value.copy} />
            </div>
            <Text text={pretty} mono />
          </div>
        )
      })}
    </>
  )
}

const LINES = 10

/** The last lines of the log, while more come. */
function Tail({ job }: { job: Row }) {
  const words = t.value.task
  const loaded = useLoad(job.id, async (abort) => {
    const from = Math.max(0, job.logLines - LINES)
    return (await get<Page<LogLine>>(`jobs/${job.id}/log`, { from, limit: LINES }, abort)).items
  })
  useReloadOn(job.logLines, loaded.reload, 500)
  return (
    <div>
      <div class="section-head">
        <h2>{words.tail}</h2>
        <a href={link(`jobs/${job.id}`, { view: 'log' })}>{words.wholeLog}</a>
      </div>
      {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
      <div class="tail">
        {!loaded.value && loaded.error === undefined && <Skeleton rows={3} />}
        {loaded.value?.map((line) => (
          <div key={line.line} class="line">
            <span class="line-number">{line.line + 1}</span>
            <span class="line-time">{clock(line.time, zone.value)}</span>
            <span class="line-text">
              <Coloured text={line.text} />
            </span>
          </div>
        ))}
      </div>
    </div>
  )
}
