import { useEffect } from 'preact/hooks'
import { live } from '../live/socket'
import { copy, copyLink } from '../parts/small'
import { letters } from './prefs'
import { id, navigate, link, setQuery, view } from './router'

const TABS = ['tree', 'waiting', 'shape', 'timeline', 'history', 'log', 'details', 'alerts', 'task']

interface Keys {
  palette: () => void
  help: () => void
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, dialog') !== null
}

/** The keys that work everywhere; views have their own where they have the focus. */
export function useKeys({ palette, help }: Keys) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === 'k') {
        event.preventDefault()
        palette()
        return
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      if (isTyping(event.target) || letters.value === 'off') return
      const act = actOf(event.key, help)
      if (!act) return
      event.preventDefault()
      act()
    }
    document.addEventListener('keydown', pressed)
    return () => document.removeEventListener('keydown', pressed)
  }, [])
}

function actOf(key: string, help: () => void): (() => void) | undefined {
  const isJob = view.value === 'job'
  const tab = TABS[Number(key) - 1]
  if (isJob && tab) return () => setQuery({ view: tab }, '')
  const acts: Record<string, () => void> = {
    '?': help,
    '.': () => (live.isPaused.value ? live.goOn() : live.pause()),
    '/': () => (document.querySelector<HTMLElement>('#filter') ?? document.body).focus(),
    y: () => void copyLink(),
    g: () => navigate(link('')),
  }
  const ofJob: Record<string, () => void> = {
    w: () => setQuery({ view: 'waiting' }, ''),
    c: () => void copy(id.value),
    f: () => passOn('f'),
    F: () => passOn('F'),
  }
  return acts[key] ?? (isJob ? ofJob[key] : undefined)
}

/** The outline has the key, wherever the focus is. */
function passOn(key: string) {
  const grid = document.querySelector<HTMLElement>('.tree-view [role=treegrid]')
  grid?.focus()
  grid?.dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true }))
}
