import { signal } from '@preact/signals'
import type { Id } from '../api/types'

export interface Recent {
  id: Id
  name: string
}

const KEPT = 12

/** The jobs that were looked at last, for the palette; forgotten when the window is closed. */
export const recent = signal<Recent[]>([])

export function remember({ id, name }: Recent) {
  recent.value = [{ id, name }, ...recent.value.filter((job) => job.id !== id)].slice(0, KEPT)
}
