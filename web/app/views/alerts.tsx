import { useState } from 'preact/hooks'
import { get, post, request } from '../api/client'
import type { Delivery, JobAction, JobCheck, Page, State, Tested } from '../api/types'
import { useReloadOnEvents } from '../live/events'
import { DeliveryLine } from '../parts/deliveries'
import { ActDialog } from '../parts/dialog'
import { Icon, StateIcon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { useLoad, useReloadOn } from '../parts/load'
import { Failed, say, Skeleton, Time } from '../parts/small'
import { span } from '../parts/time'
import { may } from '../shell/session'
import { t } from '../texts'
import type { TabProps } from './job'

interface Found {
  actions: JobAction[]
  checks: JobCheck[]
  deliveries: Delivery[]
  lost: number
}

const adding = {
  action: () => import('./add').then((module) => module.AddAction),
  check: () => import('./add').then((module) => module.AddCheck),
}

/** Who is told of what, what is checked, and what came of it. */
export function AlertsView({ job }: TabProps) {
  const [isAdding, setAdding] = useState<keyof typeof adding | undefined>(undefined)
  const loaded = useLoad(job.id, async (abort): Promise<Found> => {
    const [actions, checks, deliveries] = await Promise.all([
      get<Page<JobAction>>(`jobs/${job.id}/actions`, {}, abort),
      get<Page<JobCheck>>(`jobs/${job.id}/checks`, {}, abort),
      get<Page<Delivery> & { lost: number }>(`jobs/${job.id}/deliveries`, { limit: 200 }, abort),
    ])
    const { items, lost } = deliveries
    return { actions: actions.items, checks: checks.items, deliveries: items, lost }
  })
  useReloadOn(job.state, loaded.reload, 1_000)
  useReloadOnEvents(`job/${job.id}`, ['delivery'], loaded.reload)
  const words = t.value.alerts
  const canAct = may('operator')
  const why = canAct ? undefined : t.value.needsRole('operator')
  const { value } = loaded
  if (!value) {
    return loaded.error === undefined ? (
      <Skeleton />
    ) : (
      <Failed error={loaded.error} retry={loaded.reload} />
    )
  }
  return (
    <section class="scroll pad stack">
      <div>
        <div class="section-head">
          <h2>{words.actions}</h2>
          <button type="button" disabled={!canAct} title={why} onClick={() => setAdding('action')}>
            <Icon name="plus" /> {words.addAction}
          </button>
        </div>
        {value.actions.length === 0 && <p class="muted">{words.noActions}</p>}
        <ul class="deliveries">
          {value.actions.map((action) => (
            <ActionLine key={action.number} action={action} job={job.id} />
          ))}
        </ul>
      </div>
      <div>
        <div class="section-head">
          <h2>{words.checks}</h2>
          <button type="button" disabled={!canAct} title={why} onClick={() => setAdding('check')}>
            <Icon name="plus" /> {words.addCheck}
          </button>
        </div>
        {value.checks.length === 0 && <p class="muted">{words.noChecks}</p>}
        <ul class="deliveries">
          {value.checks.map((check) => (
            <CheckLine key={check.number} check={check} job={job.id} done={loaded.reload} />
          ))}
        </ul>
      </div>
      <Deliveries items={value.deliveries} done={loaded.reload} />
      {isAdding && (
        <Lazy
          key={isAdding}
          load={adding[isAdding]}
          props={{ job, done: loaded.reload, close: () => setAdding(undefined) }}
        />
      )}
    </section>
  )
}

function Deliveries({ items, done }: { items: Delivery[]; done: () => void }) {
  return (
    <div>
      <div class="section-head">
        <h2>{t.value.nav.deliveries}</h2>
      </div>
      {items.length === 0 && <p class="muted">{t.value.alerts.noDeliveries}</p>}
      <ul class="deliveries">
        {items.map((delivery) => (
          <DeliveryLine key={delivery.id} delivery={delivery} done={done} />
        ))}
      </ul>
    </div>
  )
}

function States({ states }: { states: readonly string[] }) {
  return (
    <>
      {states.map((name) => (
        <span key={name} class={`state i-${name}`}>
          <StateIcon state={name as State} size={14} /> {t.value.states[name as State]}
        </span>
      ))}
    </>
  )
}

type CheckTarget = JobCheck['check']['failure']
type TargetSeen =
  { http?: { url: string } | null; email?: { to: string[] } | null } | null | undefined

function TargetLine({ target }: { target: TargetSeen }) {
  return (
    <span class="target">
      {target?.http && <code>{target.http.url}</code>}
      {target?.email && <code>{target.email.to.join(', ')}</code>}
    </span>
  )
}

function ActionLine({ action, job }: { action: JobAction; job: string }) {
  const [tested, setTested] = useState<Tested | undefined>(undefined)
  const [isSure, setSure] = useState(false)
  const words = t.value.alerts
  const canAct = may('operator')
  const test = async () => {
    const at = `jobs/${job}/actions/${action.number}/test`
    setTested(await request<Tested>(at, { method: 'POST' }))
  }
  return (
    <li class="delivery">
      <div class="delivery-line">
        <States states={action.action.states} />
        <Icon name="right" size={14} />
        <TargetLine target={action.action as TargetSeen} />
        <span class="grow" />
        <button
          type="button"
          disabled={!canAct}
          title={canAct ? undefined : t.value.needsRole('operator')}
          onClick={() => setSure(true)}
        >
          {words.test}
        </button>
      </div>
      {tested && <TestedLine tested={tested} />}
      {isSure && (
        <ActDialog
          title={words.test}
          doIt={words.testIt}
          undo={t.value.cannotUndo}
          act={test}
          onClose={() => setSure(false)}
        >
          <p>{words.testWhat}</p>
          <TargetLine target={action.action as TargetSeen} />
        </ActDialog>
      )}
    </li>
  )
}

export function TestedLine({ tested }: { tested: Tested }) {
  const channels = [tested.http, tested.email].filter(
    (channel) => channel !== null && channel !== undefined,
  )
  return (
    <p role="status">
      {channels.map(({ delivered, attempt }, at) => (
        <span key={at} class={delivered ? 'i-RanToCompletion' : 'i-Faulted'}>
          <StateIcon state={delivered ? 'RanToCompletion' : 'Faulted'} size={14} />{' '}
          {delivered ? t.value.alerts.received : t.value.alerts.notReceived} {attempt.status ?? ''}{' '}
          <span class="muted">{attempt.response.slice(0, 200)}</span>
        </span>
      ))}
    </p>
  )
}

function CheckLine({ check, job, done }: { check: JobCheck; job: string; done: () => void }) {
  const [isSure, setSure] = useState(false)
  const words = t.value.alerts
  const kind = check.check
  const again = asNew(kind)
  const canAct = may('operator')
  const cancel = async () => {
    await request(`jobs/${job}/checks/${check.number}`, { method: 'DELETE' })
    say(
      words.checkCancelled,
      again && (async () => (await post(`jobs/${job}/checks`, again), done())),
    )
    done()
  }
  return (
    <li class="delivery">
      <div class="delivery-line">
        <span class={`delivery-status d-${check.status}`}>{words.checkStatus[check.status]}</span>
        {kind.kind === 'state' && <States states={kind.states} />}
        {kind.kind === 'subtree' && <code>{kind.expression}</code>}
        {kind.kind === 'silence' && <span>{words.silence(span(quiet(kind), t.value.units))}</span>}
        <span class="muted">{words.at}</span>
        <Time iso={check.time} />
        {check.found && (
          <>
            <span class="muted">{words.found}</span>
            <States states={[check.found]} />
          </>
        )}
        <span class="grow" />
        {check.status === 'waiting' && (
          <button
            type="button"
            disabled={!canAct}
            title={canAct ? undefined : t.value.needsRole('operator')}
            onClick={() => setSure(true)}
          >
            {t.value.deliveries.cancel}
          </button>
        )}
      </div>
      <div class="delivery-line">
        {(['success', 'failure'] as const).map((which) => {
          const target = (kind as Record<string, unknown>)[which] as TargetSeen
          return target ? (
            <span key={which} class="muted">
              {words[which]} <TargetLine target={target} />
            </span>
          ) : null
        })}
      </div>
      {isSure && (
        <ActDialog
          title={words.cancelCheck}
          doIt={words.cancelCheckIt}
          undo={again ? t.value.canUndo : words.cancelCheckUndo}
          isDangerous
          act={cancel}
          onClose={() => setSure(false)}
        >
          <p>{words.cancelCheckWhat}</p>
        </ActDialog>
      )}
    </li>
  )
}

/** The check to be added again, unless it has what the service does not show. */
function asNew(check: JobCheck['check']): object | undefined {
  const { success, failure } = check
  const hides = (target: CheckTarget) =>
    target?.http && (target.http.hasSecret || target.http.headers.length > 0 || target.http.proxy)
  if (hides(success) || hides(failure)) return undefined
  const shown = (target: CheckTarget) =>
    target && {
      ...target,
      http: target.http ? { url: target.http.url, payload: target.http.payload } : undefined,
    }
  const targets = { success: shown(success), failure: shown(failure) }
  if (check.kind === 'silence') return { kind: 'silence', quietMs: quiet(check), ...targets }
  return { ...check, ...targets }
}

/** The service writes this field as its other ones; older documents have it with an underscore. */
function quiet(kind: object): number {
  const found = kind as { quietMs?: number; quiet_ms?: number }
  return found.quietMs ?? found.quiet_ms ?? 0
}
