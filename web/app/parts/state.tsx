import type { State, Subtree } from '../api/types'
import { t } from '../texts'
import { StateIcon } from './icons'
import { exact } from './number'

export function StateLabel({ state, size = 16 }: { state: State; size?: number }) {
  return (
    <span class={`state i-${state}`}>
      <StateIcon state={state} size={size} />
      <span class="word">{t.value.states[state]}</span>
    </span>
  )
}

/** The parts of the numbers below a job in the order of the bar. */
export const PARTS: readonly { key: Exclude<keyof Subtree, 'total'>; state: State }[] = [
  { key: 'failed', state: 'Faulted' },
  { key: 'running', state: 'Running' },
  { key: 'waitingForChildren', state: 'WaitingForChildrenToComplete' },
  { key: 'waiting', state: 'WaitingToRun' },
  { key: 'successful', state: 'RanToCompletion' },
]

/** What is below a job, as parts of a line. None that there is vanishes. */
export function Bar({ subtree, tall }: { subtree: Subtree; tall?: boolean }) {
  if (subtree.total === 0) return <span class="bar none" />
  return (
    <span
      class={tall ? 'bar tall' : 'bar'}
      role="img"
      aria-label={numbersSaid(subtree)}
      title={numbersSaid(subtree)}
    >
      {PARTS.map(({ key, state }) =>
        subtree[key] > 0 ? (
          <span key={key} class={`b-${state}`} style={{ flexGrow: subtree[key] / subtree.total }} />
        ) : null,
      )}
    </span>
  )
}

export function numbersSaid(subtree: Subtree): string {
  const parts = PARTS.filter(({ key }) => subtree[key] > 0)
  const said = parts.map(({ key }) => `${exact(subtree[key])} ${t.value.parts[key]}`)
  return [t.value.below(subtree.total), ...said].join(', ')
}

/** The numbers beside the bar, each with the shape and the word of its state. */
export function Legend({ subtree }: { subtree: Subtree }) {
  return (
    <ul class="legend">
      {PARTS.map(({ key, state }) => (
        <li key={key} class={subtree[key] > 0 ? `i-${state}` : 'zero'}>
          <StateIcon state={state} size={14} />
          <b>{exact(subtree[key])}</b> <span>{t.value.parts[key]}</span>
        </li>
      ))}
    </ul>
  )
}
