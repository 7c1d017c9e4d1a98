import { signal } from '@preact/signals'
import { clockOffset } from '../api/client'

/** The present by the service's clock, once a second; it rests while the page is hidden. */
export const now = signal(Date.now())

setInterval(() => {
  if (document.visibilityState === 'visible') now.value = Date.now() + clockOffset.value
}, 1000)
