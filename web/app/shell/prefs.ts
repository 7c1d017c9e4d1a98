import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'
export type Zone = 'local' | 'utc'
export type Language = 'en' | 'zh'

/** What the browser remembers of how the page looks: nothing of what it shows, and no secret. */
function remembered<Value extends string>(name: string, first: Value, others: readonly Value[]) {
  const key = `jobtracker.${name}`
  let value = first
  try {
    const kept = localStorage.getItem(key) as Value | null
    if (kept !== null && others.includes(kept)) value = kept
  } catch {
    // Without storage the page forgets, and works.
  }
  const preference = signal<Value>(value)
  effect(() => {
    const now = preference.value
    try {
      if (now === first) localStorage.removeItem(key)
      else localStorage.setItem(key, now)
    } catch {
      // As above.
    }
  })
  return preference
}

export const theme = remembered<Theme>('theme', 'system', ['light', 'dark'])
export const zone = remembered<Zone>('zone', 'local', ['utc'])
export const letters = remembered<'on' | 'off'>('letters', 'on', ['off'])
const browser: Language = navigator.language.startsWith('zh') ? 'zh' : 'en'
export const language = remembered<Language>('language', browser, ['en', 'zh'])

effect(() => {
  if (theme.value === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme.value
})

// An address that names a zone beats what was remembered.
const asked = new URLSearchParams(location.search).get('tz')
if (asked === 'utc' || asked === 'local') zone.value = asked
