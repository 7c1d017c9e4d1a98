import type { Firing, State } from '../api/types'
import { link } from '../shell/router'
import { t } from '../texts'
import { outcomeSaid } from './schedule_text'
import { now } from './clock'
import { StateIcon } from './icons'
import { Time } from './small'
import { span } from './time'

/** What a firing did: the run that it made, and how that ended. */
export function Outcome({ firing }: { firing: Firing }) {
  const { outcome, state } = firing
  const run = 'run' in outcome ? outcome.run : undefined
  if (run === undefined) return <span class="muted">{outcomeSaid(firing)}</span>
  return (
    <a class={state ? `state i-${state}` : 'state'} href={link(`jobs/${run}`)}>
      {state && <StateIcon state={state as State} size={14} />}
      {state ? t.value.states[state as State] : outcomeSaid(firing)}
    </a>
  )
}

/** A time that comes, and how far off it is. */
export function Coming({ iso }: { iso: string | null | undefined }) {
  const words = t.value.schedules
  if (!iso) return <span class="muted">{words.never}</span>
  const left = Date.parse(iso) - now.value
  return (
    <span class="coming">
      <Time iso={iso} />
      <span class="muted num">{left > 0 ? words.in(span(left, t.value.units)) : words.due}</span>
    </span>
  )
}
