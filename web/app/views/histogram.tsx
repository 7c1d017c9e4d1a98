import type { Params } from '../api/client'

/** Drawn once the service counts roots by time. */
export function Histogram(_: { params: Params }) {
  return null
}
