import type { Firing, Schedule, ScheduleTrigger } from '../api/types'
import { exact } from './number'
import { span, written } from './time'
import { zone } from '../shell/prefs'
import { t } from '../texts'

/** How many firings wait unless the definition says otherwise. */
const QUEUE = 100

const long = (ms: number) => span(ms, t.value.units)

/** When a trigger plans its times. */
export function triggerSaid(trigger: ScheduleTrigger): string {
  const words = t.value.schedules
  switch (trigger.kind) {
    case 'cron':
      return `${trigger.pattern} ${trigger.zone ?? 'UTC'}`
    case 'fixedRate':
      return words.every(long(trigger.everyMs))
    case 'fixedDelay':
      return words.pause(long(trigger.delayMs))
    case 'once':
      return words.once(written(trigger.at, zone.value))
    case 'delayed':
      return words.delayed(long(trigger.afterMs))
    case 'after':
      return words.after[trigger.on ?? 'success'](trigger.schedule)
  }
}

/** Why there was a firing. */
export function causeSaid({ cause }: Firing): string {
  const { causes } = t.value.schedules
  switch (cause?.kind) {
    case 'manual':
      return causes.manual(cause.by)
    case 'after':
      return causes.after(cause.schedule)
    case 'task':
      return causes.task
    default:
      return causes.planned
  }
}

/** What a firing that made no run did, and why. */
export function outcomeSaid({ outcome }: Firing): string {
  const { outcomes, reasons } = t.value.schedules
  const said = outcomes[outcome.kind]
  if (outcome.kind !== 'skipped') return said
  return `${said}: ${reasons[outcome.reason] ?? outcome.reason}`
}

/** The policies of a schedule, by name. A kind that the page does not know is named as it is. */
export function policies({ definition }: Schedule): [string, string][] {
  const words = t.value.schedules
  const { concurrency, misfire, sharding, graceMs = 5_000, run } = definition
  const retries = run?.task?.retry?.max ?? 0
  const shards = sharding && 'total' in sharding ? exact(sharding.total) : sharding?.kind
  return [
    [words.handler, run?.task?.handler ?? words.noTask],
    [words.whileOpen, concurrencySaid(concurrency)],
    [`${words.late} ${long(graceMs)}`, misfireSaid(misfire)],
    ...(shards && shards !== 'one' ? [[words.shards, shards] as [string, string]] : []),
    ...(retries > 0 ? [[words.retry, exact(retries)] as [string, string]] : []),
  ]
}

function concurrencySaid(policy: Schedule['definition']['concurrency']): string {
  const words = t.value.schedules.concurrency
  if (!policy) return words.queue(QUEUE)
  switch (policy.kind) {
    case 'queue':
      return words.queue(policy.limit ?? QUEUE)
    case 'allow':
      return words.allow(policy.max)
    default:
      return words[policy.kind] ?? (policy as { kind: string }).kind
  }
}

function misfireSaid(policy: Schedule['definition']['misfire']): string {
  const words = t.value.schedules.misfire
  if (!policy) return words.fireOnce
  switch (policy.kind) {
    case 'fireAll':
      return words.fireAll(policy.limit)
    default:
      return words[policy.kind] ?? (policy as { kind: string }).kind
  }
}
