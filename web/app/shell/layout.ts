import { signal } from '@preact/signals'

const narrow = matchMedia('(max-width: 640px)')

/** Whether there is room for one column only. */
export const isNarrow = signal(narrow.matches)
narrow.addEventListener('change', () => (isNarrow.value = narrow.matches))
