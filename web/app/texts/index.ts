import { effect, signal } from '@preact/signals'
import { language } from '../shell/prefs'
import { en, type Texts } from './en'

/** All texts of the page in the language that is shown. */
export const t = signal<Texts>(en)

/** Other languages are loaded when they are chosen. */
export async function loadLanguage(): Promise<void> {
  t.value = language.peek() === 'zh' ? (await import('./zh')).zh : en
}

effect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-Hans' : 'en'
  void loadLanguage()
})
