import { signal, type Signal } from '@preact/signals'
import { ApiError, get } from '../api/client'
import { rowOfSummary } from '../api/rows'
import type { Children, Id, JobSummary, Page } from '../api/types'
import { childCount } from '../api/types'
import { putRow } from '../live/rows'

export type Only = 'all' | 'failed' | 'unfinished'
export type Order = 'oldest' | 'newest'

export const STATES: Record<Only, string | undefined> = {
  all: undefined,
  failed: 'Faulted',
  unfinished: 'WaitingToRun,Running,Warning,WaitingForChildrenToComplete',
}

/** How many children of a job are listed, by the exact numbers that it carries. */
export function listed(children: Children, only: Only): number {
  if (only === 'failed') return children.failed
  return only === 'unfinished' ? children.pending : childCount(children)
}

/** The ids of the children of one job by their place, read where they are looked at. */
export interface ChildIds {
  /** Grows with each page that has come. */
  readonly revision: Signal<number>
  readonly error: Signal<unknown>
  /** How many there are, once they were all read. */
  readonly total: number | undefined
  idAt(offset: number): Id | undefined
  /** The place of a child among those that are loaded. */
  offsetOf(id: Id): number | undefined
  /** The place of a child, which is looked for if need be. */
  find(id: Id): Promise<number | undefined>
  /** Reads what is missing between two places, and gives up what is no longer looked at. */
  want(first: number, end: number, count: number): void
  close(): void
}

export function childIds(parent: Id, root: Id, only: Only, order: Order): ChildIds {
  if (only === 'all') return new PlacedChildren(parent, root, order)
  return new ChildrenByState(parent, root, only)
}

const PAGE = 100
const KEPT = 40

/** Reads some children of a job; their rows are known then. */
async function read(parent: Id, root: Id, params: object, abort: AbortSignal) {
  const at = { ...params, fields: 'row' }
  const found = await get<Page<JobSummary> & { version: number }>(
    `jobs/${parent}/children`,
    at,
    abort,
  )
  for (const item of found.items) {
    const row = rowOfSummary(item, root)
    if (row) putRow(row, found.version)
  }
  return { ids: found.items.map(({ id }) => id), cursor: found.nextCursor ?? null }
}

/** All children. Each has its place for good, counted from the oldest one. */
class PlacedChildren implements ChildIds {
  readonly revision = signal(0)
  readonly error = signal<unknown>(undefined)
  readonly total = undefined
  private pages = new Map<number, Id[]>()
  private loading = new Map<number, AbortController>()
  private wanted: [number, number] = [0, 0]
  /** How many there were when the newest ones were first looked at: younger ones are not shown. */
  private newest = 0

  constructor(
    readonly parent: Id,
    readonly root: Id,
    readonly order: Order,
  ) {}

  idAt(offset: number): Id | undefined {
    return this.pages.get(Math.floor(offset / PAGE))?.[offset % PAGE]
  }

  offsetOf(id: Id): number | undefined {
    for (const [page, ids] of this.pages) {
      const at = ids.indexOf(id)
      if (at >= 0) return page * PAGE + at
    }
    return undefined
  }

  async find(id: Id): Promise<number | undefined> {
    return this.offsetOf(id)
  }

  want(first: number, end: number, count: number) {
    this.newest ||= count
    const pages: [number, number] = [
      Math.floor(first / PAGE),
      Math.floor(Math.max(first, Math.min(end, count) - 1) / PAGE),
    ]
    this.wanted = pages
    for (const [page, abort] of this.loading) {
      if (page < pages[0] - 1 || page > pages[1] + 1) abort.abort()
    }
    for (let page = pages[0]; page <= pages[1]; page++) {
      const expected = Math.min(PAGE, count - page * PAGE)
      const known = this.pages.get(page)
      if (!known || known.length < expected) void this.load(page)
    }
  }

  close() {
    for (const abort of this.loading.values()) abort.abort()
  }

  private async load(page: number) {
    if (this.loading.has(page)) return
    const abort = new AbortController()
    this.loading.set(page, abort)
    try {
      const { ids } = await read(this.parent, this.root, this.span(page), abort.signal)
      this.pages.set(page, this.order === 'oldest' ? ids : ids.reverse())
      this.forget()
      this.error.value = undefined
      this.revision.value += 1
    } catch (error) {
      if (!abort.signal.aborted) this.error.value = error
    } finally {
      this.loading.delete(page)
    }
  }

  /** Where a page stands among all, the oldest first: children that come later do not move it. */
  private span(page: number): { offset: number; limit: number } {
    if (this.order === 'oldest') return { offset: page * PAGE, limit: PAGE }
    const end = this.newest - page * PAGE
    const offset = Math.max(0, end - PAGE)
    return { offset, limit: end - offset }
  }

  private forget() {
    for (const page of this.pages.keys()) {
      if (this.pages.size <= KEPT) return
      if (page < this.wanted[0] - 2 || page > this.wanted[1] + 2) this.pages.delete(page)
    }
  }
}

/** A list by state has no places, so it is read from its beginning on, in larger steps. */
const LONG_PAGE = 500
/** A child is looked for among this many. */
const FIND = 10_000

/** The children that were in some states when they were read. */
class ChildrenByState implements ChildIds {
  readonly revision = signal(0)
  readonly error = signal<unknown>(undefined)
  private ids: Id[] = []
  private places = new Map<Id, number>()
  /** Absent before the first page, null behind the last. A page may be short and not the last. */
  private cursor: string | null | undefined
  private wanted = 0
  private reading: Promise<void> | undefined
  private closed = new AbortController()

  constructor(
    readonly parent: Id,
    readonly root: Id,
    readonly only: Only,
  ) {}

  get total(): number | undefined {
    return this.cursor === null ? this.ids.length : undefined
  }

  idAt(offset: number): Id | undefined {
    return this.ids[offset]
  }

  offsetOf(id: Id): number | undefined {
    return this.places.get(id)
  }

  async find(id: Id): Promise<number | undefined> {
    while (!this.places.has(id) && this.ids.length < FIND && this.cursor !== null) {
      this.wanted = Math.max(this.wanted, this.ids.length + 1)
      await this.readOn()
      if (this.error.peek() !== undefined || this.closed.signal.aborted) break
    }
    return this.places.get(id)
  }

  want(_: number, end: number, count: number) {
    this.wanted = Math.min(end, count)
    void this.readOn()
  }

  close() {
    this.closed.abort()
  }

  private readOn(): Promise<void> {
    this.reading ??= this.readToWanted().finally(() => (this.reading = undefined))
    return this.reading
  }

  private async readToWanted() {
    try {
      while (this.ids.length < this.wanted && this.cursor !== null) await this.readPage()
    } catch (error) {
      if (!this.closed.signal.aborted) this.error.value = error
    }
  }

  private async readPage() {
    const params = { states: STATES[this.only], cursor: this.cursor, limit: LONG_PAGE }
    const { ids, cursor } = await read(this.parent, this.root, params, this.closed.signal)
    for (const id of ids) this.places.set(id, this.ids.push(id) - 1)
    this.cursor = cursor
    this.error.value = undefined
    this.revision.value += 1
  }
}

export function isGone(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.status === 404 || error.status === 410)
}
