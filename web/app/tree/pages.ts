import { signal } from '@preact/signals'
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

const PAGE = 100
/** A list by state has no places, so it is read from its beginning on, in larger steps. */
const LONG_PAGE = 500
const KEPT = 40
/** A list by state in which a job is looked for is read up to this page. */
const FIND_PAGES = 20

/** The ids of the children of one job by their place, read where they are looked at. */
export class ChildPages {
  /** Grows with each page that has come. */
  readonly revision = signal(0)
  readonly error = signal<unknown>(undefined)
  private pages = new Map<number, Id[]>()
  private cursors = new Map<number, string | undefined>([[0, undefined]])
  private loading = new Map<number, AbortController>()
  private closed = new AbortController()
  private wanted: [number, number] = [0, 0]
  private readonly isPlaced: boolean
  private readonly size: number

  constructor(
    readonly parent: Id,
    readonly root: Id,
    readonly only: Only,
    readonly order: Order,
  ) {
    this.isPlaced = only === 'all'
    this.size = this.isPlaced ? PAGE : LONG_PAGE
  }

  idAt(offset: number): Id | undefined {
    return this.pages.get(Math.floor(offset / this.size))?.[offset % this.size]
  }

  /** The place of a child among those that are loaded. */
  offsetOf(id: Id): number | undefined {
    for (const [page, ids] of this.pages) {
      const at = ids.indexOf(id)
      if (at >= 0) return page * this.size + at
    }
    return undefined
  }

  /** Reads what is missing between two places, and gives up what is no longer looked at. */
  want(first: number, end: number, count: number) {
    const pages: [number, number] = [
      Math.floor(first / this.size),
      Math.floor(Math.max(first, Math.min(end, count) - 1) / this.size),
    ]
    this.wanted = pages
    if (this.isPlaced) {
      for (const [page, abort] of this.loading) {
        if (page < pages[0] - 1 || page > pages[1] + 1) abort.abort()
      }
    }
    for (let page = pages[0]; page <= pages[1]; page++) {
      const expected = Math.min(this.size, count - page * this.size)
      const known = this.pages.get(page)
      if (!known || known.length < expected) void this.load(page)
    }
  }

  close() {
    for (const abort of this.loading.values()) abort.abort()
    this.closed.abort()
  }

  /** The place of a child in a list by state, which is read from its beginning until it is found. */
  async find(id: Id): Promise<number | undefined> {
    for (let page = 0; page < FIND_PAGES && this.cursors.has(page); page++) {
      const known = this.offsetOf(id)
      if (known !== undefined) return known
      if (!this.pages.has(page)) await this.read(page, this.closed.signal)
    }
    return this.offsetOf(id)
  }

  private async load(page: number) {
    if (this.loading.has(page)) return
    if (!this.isPlaced && !this.cursors.has(page)) return this.loadTo(page)
    const abort = new AbortController()
    this.loading.set(page, abort)
    try {
      await this.read(page, abort.signal)
      this.error.value = undefined
    } catch (error) {
      if (!abort.signal.aborted) this.error.value = error
    } finally {
      this.loading.delete(page)
    }
  }

  private async read(page: number, abort: AbortSignal) {
    const place = this.isPlaced ? { offset: page * this.size, order: this.order } : {}
    const found = await get<Page<JobSummary> & { version: number }>(
      `jobs/${this.parent}/children`,
      {
        ...place,
        states: STATES[this.only],
        cursor: this.isPlaced ? undefined : this.cursors.get(page),
        limit: this.size,
        fields: 'row',
      },
      abort,
    )
    for (const item of found.items) {
      const row = rowOfSummary(item, this.root)
      if (row) putRow(row, found.version)
    }
    this.pages.set(
      page,
      found.items.map(({ id }) => id),
    )
    if (found.nextCursor) this.cursors.set(page + 1, found.nextCursor)
    this.forget()
    this.revision.value += 1
  }

  /** Reads on from the last known cursor. */
  private async loadTo(page: number) {
    const known = Math.max(...[...this.cursors.keys()].filter((at) => at <= page))
    if (this.loading.has(known)) return
    await this.load(known)
    const goesOn = this.cursors.has(known + 1) && this.error.value === undefined
    if (goesOn && this.wanted[0] <= page && page <= this.wanted[1]) await this.load(page)
  }

  private forget() {
    for (const page of this.pages.keys()) {
      if (this.pages.size <= KEPT) return
      if (page < this.wanted[0] - 2 || page > this.wanted[1] + 2) this.pages.delete(page)
    }
  }
}

export function isGone(error: unknown): error is ApiError {
  return error instanceof ApiError && (error.status === 404 || error.status === 410)
}
