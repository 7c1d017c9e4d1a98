import type { State } from '../api/types'

/** Strokes of 24 by 24, in the manner of Lucide. */
const PATHS = {
  search: 'M11 19a8 8 0 1 0 0-16 8 8 0 0 0 0 16M21 21l-4.3-4.3',
  copy: 'M9 9h12v12H9zM5 15H3V3h12v2',
  link: 'M10 13a5 5 0 0 0 7.5.5l3-3a5 5 0 0 0-7-7l-1.8 1.7M14 11a5 5 0 0 0-7.5-.5l-3 3a5 5 0 0 0 7 7l1.7-1.7',
  right: 'M9 6l6 6-6 6',
  down: 'M6 9l6 6 6-6',
  up: 'M6 15l6-6 6 6',
  close: 'M18 6L6 18M6 6l12 12',
  pause: 'M8 5v14M16 5v14',
  play: 'M7 4l13 8-13 8z',
  check: 'M5 12l5 5L20 7',
  menu: 'M4 6h16M4 12h16M4 18h16',
  download: 'M12 3v12M7 10l5 5 5-5M4 21h16',
  tag: 'M3 3h9l9 9-9 9-9-9zM8 8h.01',
  refresh: 'M20 11a8 8 0 1 0-2.3 5.7M20 4v7h-7',
  external: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  plus: 'M12 5v14M5 12h14',
  bell: 'M6 9a6 6 0 0 1 12 0c0 7 3 8 3 8H3s3-1 3-8M10 21h4',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 7v5l3 2',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M4 21a8 8 0 0 1 16 0',
  bin: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  wrap: 'M3 6h18M3 12h15a3 3 0 0 1 0 6h-4M16 15l-3 3 3 3M3 18h6',
} as const

export function Icon({ name, size = 16 }: { name: keyof typeof PATHS; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}

/** Each state has a shape of its own, so that it is known without its colour. */
export function StateIcon({ state, size = 16 }: { state: State; size?: number }) {
  return (
    <svg
      class={`state-icon s-${state}`}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      aria-hidden="true"
    >
      {shapeOf(state)}
    </svg>
  )
}

function shapeOf(state: State) {
  switch (state) {
    case 'WaitingToRun':
      return <circle class="line" cx="8" cy="8" r="5.5" />
    case 'Running':
      return (
        <>
          <circle class="line" cx="8" cy="8" r="5.5" />
          <path class="fill" d="M8 2.5a5.5 5.5 0 0 1 0 11z" />
        </>
      )
    case 'Warning':
      return (
        <>
          <path class="fill" d="M8 1.6 15 14H1z" />
          <path class="hole" d="M8 6v4M8 12v.2" />
        </>
      )
    case 'WaitingForChildrenToComplete':
      return (
        <>
          <circle class="line" cx="8" cy="8" r="6" />
          <circle class="line" cx="8" cy="8" r="2.2" />
        </>
      )
    case 'RanToCompletion':
      return <path class="line bold" d="M3 8.5 6.5 12 13 4.5" />
    case 'Faulted':
      return (
        <>
          <circle class="fill" cx="8" cy="8" r="7" />
          <path class="hole" d="M5.5 5.5l5 5M10.5 5.5l-5 5" />
        </>
      )
  }
}
