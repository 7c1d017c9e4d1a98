import { batch, signal, type Signal } from '@preact/signals'
import { ApiError, post } from '../api/client'
import { isSameRow, rowOfSummary } from '../api/rows'
import type { Id, Row, ServerFrame, Snapshot } from '../api/types'
import { live, type Handle } from './socket'

/** Rows that are kept; those that are shown stay in any case. */
const KEPT = 6_000

const rows = new Map<Id, Signal<Row | undefined>>()
/** The version of its tree that a row shows, where it is known. */
const versions = new Map<Id, number>()
const shown = new Map<Id, number>()

/** The present row of a job, or undefined until it is known. */
export function rowSignal(id: Id): Signal<Row | undefined> {
  let row = rows.get(id)
  if (!row) {
    row = signal<Row | undefined>(undefined)
    rows.set(id, row)
  }
  return row
}

/** Takes a row over, unless it is older; one of unknown version does not replace a watched one. */
export function putRow(row: Row, version?: number) {
  const known = rowSignal(row.id)
  const isWatched = shown.has(row.id) && known.peek() !== undefined
  if (version === undefined ? isWatched : version < (versions.get(row.id) ?? 0)) return
  if (version !== undefined) versions.set(row.id, version)
  if (!known.peek() || !isSameRow(known.peek() as Row, row)) known.value = row
}

/** Takes a row over from a list that is watched, whose order tells which one is newer. */
export function putWatched(row: Row) {
  const known = rowSignal(row.id)
  if (!known.peek() || !isSameRow(known.peek() as Row, row)) known.value = row
}

/** Other rows are watched than before. */
export function watchRows(now: Iterable<Id>, before: Iterable<Id>) {
  count(now, 1)
  count(before, -1)
}

/** Forgets the rows that were known first, when there are too many. */
export function trimRows() {
  if (rows.size <= KEPT) return
  for (const id of rows.keys()) {
    if (rows.size <= KEPT / 2) break
    if (shown.has(id)) continue
    rows.delete(id)
    versions.delete(id)
  }
}

function count(ids: Iterable<Id>, by: 1 | -1) {
  for (const id of ids) {
    const left = (shown.get(id) ?? 0) + by
    if (left > 0) shown.set(id, left)
    else shown.delete(id)
  }
}

function isFinal(status: number): boolean {
  return status === 404 || status === 410
}

/** Keeps the rows of some jobs of one tree as they are now. */
export class RowWindow {
  /** The version of the tree that the rows show. */
  readonly version = signal(0)
  /** True when there is nothing more to tell: the tree was deleted. */
  readonly isOver = signal(false)
  private ids: Id[] = []
  private handle: Handle | undefined

  constructor(readonly root: Id) {}

  set(ids: Id[]) {
    const isSame = ids.length === this.ids.length && ids.every((id, at) => id === this.ids[at])
    if (isSame) return
    watchRows(ids, this.ids)
    this.ids = ids
    if (ids.length === 0) return
    if (this.handle) this.handle.window(ids)
    else this.begin()
  }

  close() {
    watchRows([], this.ids)
    this.ids = []
    this.handle?.close()
    this.handle = undefined
  }

  private begin() {
    this.handle = live.subscribe(() => ({ topic: `rows/${this.root}`, ids: this.ids }), {
      frame: (frame) => this.frame(frame),
      poll: () => this.poll(),
    })
  }

  private frame(frame: ServerFrame) {
    if (frame.t === 'snap') this.show(frame)
    else if (frame.t === 'end') this.isOver.value = isFinal(frame.problem.status)
  }

  private show(snapshot: Snapshot) {
    batch(() => {
      this.version.value = snapshot.version
      for (const summary of snapshot.rows) {
        const row = rowOfSummary(summary, snapshot.root, rows.get(summary.id)?.peek())
        if (row) putRow(row, snapshot.version)
      }
    })
  }

  private async poll() {
    if (this.ids.length === 0) return
    const ids = this.ids.slice(0, 500)
    try {
      this.show(await post<Snapshot>('jobs/rows', { root: this.root, ids }))
    } catch (error) {
      this.isOver.value = error instanceof ApiError && isFinal(error.status)
      throw error
    }
  }
}
