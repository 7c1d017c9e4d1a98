import { computed, signal } from '@preact/signals'
import { BASE } from '../api/client'

const base = new URL(BASE).pathname

export type View =
  | 'trees'
  | 'job'
  | 'schedules'
  | 'schedule'
  | 'queue'
  | 'workers'
  | 'deliveries'
  | 'uploads'
  | 'upload'
  | 'retention'
  | 'tokens'
  | 'audit'
  | 'service'
  | 'nowhere'

const place = signal(new URL(location.href))
addEventListener('popstate', () => (place.value = new URL(location.href)))

/** The address below the page's own, such as `jobs/7`. */
const path = computed(() => place.value.pathname.slice(base.length))
export const query = computed(() => place.value.searchParams)
export const fragment = computed(() => place.value.hash.slice(1))
export const id = computed(() => path.value.split('/')[1] ?? '')

const PLAIN: readonly View[] = [
  'schedules',
  'queue',
  'workers',
  'deliveries',
  'uploads',
  'service',
  'retention',
  'tokens',
  'audit',
]
/** Addresses with a name behind them. */
const DEEP = new Map<string, View>([
  ['jobs', 'job'],
  ['schedules', 'schedule'],
  ['uploads', 'upload'],
])

export const view = computed<View>(() => {
  const [first = '', second, ...rest] = path.value.split('/')
  if (rest.length > 0) return 'nowhere'
  if (second !== undefined) return DEEP.get(first) ?? 'nowhere'
  if (first === '') return 'trees'
  return PLAIN.find((name) => name === first) ?? 'nowhere'
})

/** An address of the page for a link. */
export function link(to: string, values: Record<string, string | undefined> = {}): string {
  const url = new URL(to, BASE)
  for (const [name, value] of Object.entries(values)) {
    if (value) url.searchParams.set(name, value)
  }
  return url.pathname + url.search
}

export function navigate(to: string) {
  history.pushState(null, '', to)
  place.value = new URL(location.href)
}

/** Writes what the view shows into the address, without a new step of the browser's history. */
export function setQuery(values: Record<string, string | undefined>, hash?: string) {
  const url = new URL(location.href)
  for (const [name, value] of Object.entries(values)) {
    if (value) url.searchParams.set(name, value)
    else url.searchParams.delete(name)
  }
  if (hash !== undefined) url.hash = hash
  if (url.href === location.href) return
  history.replaceState(null, '', url)
  place.value = url
}

/** Links of the page lead to views without loading it again. */
document.addEventListener('click', (event) => {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const target = event.target instanceof Element ? event.target.closest('a') : null
  if (!target || event.defaultPrevented || target.target || target.hasAttribute('download')) return
  const url = new URL(target.href)
  const isOurs = url.origin === location.origin && url.pathname.startsWith(base)
  if (!isOurs || url.pathname.startsWith(`${base}api/`)) return
  event.preventDefault()
  navigate(target.href)
})
