import { signal } from '@preact/signals'
import { get } from '../api/client'
import { rowOfJob, rowOfSummary } from '../api/rows'
import type { Id, Job, JobSummary } from '../api/types'
import { putRow, rowSignal, RowWindow, trimRows } from '../live/rows'
import {
  branches,
  branchOf,
  closeAt,
  openAt,
  placeAt,
  rowCount,
  rowOf,
  wayTo,
  type Branch,
} from './geometry'
import { childIds, listed, type ChildIds, type Only, type Order } from './pages'

/** Opened jobs that an address carries, and whose rows are kept present while out of sight. */
const OPEN_MAX = 200

export interface Focus {
  branch: Branch
  offset: number
}

interface Above {
  items: JobSummary[]
  ranks?: { id: Id; rank: number }[] | null
  version?: number | null
}

/** The outline below one job: which jobs are open, which rows there are, and which has the focus. */
export class Outline {
  readonly top: Branch
  /** Grows when rows come, go or move. */
  readonly shape = signal(0)
  readonly focus = signal<Focus | undefined>(undefined)
  readonly window: RowWindow
  private pages = new Map<Id, ChildIds>()
  private visible: [number, number] = [0, 0]
  private toOpen: Set<Id>
  isClosed = false

  constructor(
    readonly job: Id,
    readonly root: Id,
    readonly only: Only,
    readonly order: Order,
    open: Id[],
  ) {
    this.top = branchOf(job, this.count(job))
    this.window = new RowWindow(root)
    this.toOpen = new Set(open)
  }

  close() {
    this.isClosed = true
    this.window.close()
    for (const pages of this.pages.values()) pages.close()
  }

  get rows(): number {
    return rowCount(this.top)
  }

  pagesOf(branch: Branch): ChildIds {
    let pages = this.pages.get(branch.id)
    if (!pages) {
      pages = childIds(branch.id, this.root, this.only, this.order)
      this.pages.set(branch.id, pages)
    }
    return pages
  }

  idAt(focus: Focus | undefined): Id | undefined {
    return focus && this.pagesOf(focus.branch).idAt(focus.offset)
  }

  /** How many children of a job are listed, as far as its row is known. */
  private count(id: Id): number {
    const row = rowSignal(id).peek()
    return row ? listed(row.children, this.only) : 0
  }

  /** Whether the list stays as it was read: a new row at its beginning would move all others. */
  private get isHeld(): boolean {
    return this.only !== 'all' || this.order === 'newest'
  }

  /** Takes over the numbers of the opened jobs. */
  recount() {
    let isChanged = false
    for (const branch of branches(this.top)) {
      const now = this.count(branch.id)
      const held = this.pagesOf(branch).total ?? (branch.count || now)
      const count = this.isHeld ? held : Math.max(now, branch.count)
      if (count === branch.count) continue
      branch.count = count
      isChanged = true
    }
    if (isChanged) this.shape.value += 1
  }

  /** How many children the numbers tell more or less than a list has that stays as it was read. */
  get drift(): number {
    if (!this.isHeld) return 0
    return [...branches(this.top)].reduce((sum, { id, count }) => sum + this.count(id) - count, 0)
  }

  /** Why some rows are missing. */
  get error(): unknown {
    for (const branch of branches(this.top)) {
      const error = this.pagesOf(branch).error.value
      if (error !== undefined) return error
    }
    return undefined
  }

  /** Reads again what is seen. */
  retry() {
    this.look(...this.visible)
  }

  /** Reads and watches what is seen. */
  look(first: number, end: number) {
    this.visible = [first, end]
    const spans = new Map<Branch, [number, number]>()
    for (let row = first; row < end; row++) {
      const place = placeAt(this.top, row)
      if (!place) break
      const span = spans.get(place.branch)
      if (span) span[1] = place.offset + 1
      else spans.set(place.branch, [place.offset, place.offset + 1])
    }
    for (const [branch, [from, to]] of spans) this.pagesOf(branch).want(from, to, branch.count)
    this.watch()
  }

  /** A page has come: jobs that the address opens are opened, and what is seen is watched. */
  arrived() {
    for (const branch of [...branches(this.top)]) {
      for (const id of this.toOpen) {
        const offset = this.pagesOf(branch).offsetOf(id)
        if (offset !== undefined) this.open({ branch, offset })
      }
    }
    this.watch()
    trimRows()
  }

  private watch() {
    const ids = new Set<Id>([this.job])
    for (const branch of branches(this.top)) if (ids.size < OPEN_MAX) ids.add(branch.id)
    for (let row = this.visible[0]; row < this.visible[1]; row++) {
      const place = placeAt(this.top, row)
      const id = place && this.pagesOf(place.branch).idAt(place.offset)
      if (id) ids.add(id)
    }
    this.window.set([...ids])
  }

  isOpen(focus: Focus): boolean {
    return focus.branch.open.some(({ offset }) => offset === focus.offset)
  }

  open(focus: Focus) {
    const id = this.idAt(focus)
    if (!id) return
    this.toOpen.delete(id)
    if (this.isOpen(focus)) return
    const count = this.count(id)
    if (count === 0) return
    openAt(focus.branch, focus.offset, branchOf(id, count))
    this.shape.value += 1
  }

  shut(focus: Focus) {
    const opened = focus.branch.open.find(({ offset }) => offset === focus.offset)
    if (!opened) return
    const focused = this.focus.value
    if (focused && wayTo(opened.branch, focused.branch)) this.focus.value = focus
    closeAt(focus.branch, focus.offset)
    this.shape.value += 1
  }

  toggle(focus: Focus) {
    if (this.isOpen(focus)) this.shut(focus)
    else this.open(focus)
  }

  rowOf(focus: Focus): number | undefined {
    return rowOf(this.top, focus.branch, focus.offset)
  }

  focusRow(row: number): number | undefined {
    const last = this.rows - 1
    if (last < 0) return undefined
    const at = Math.min(Math.max(0, row), last)
    const place = placeAt(this.top, at)
    if (!place) return undefined
    this.focus.value = { branch: place.branch, offset: place.offset }
    return at
  }

  /** The row of the parent, if it is in the outline. */
  parentRow(focus: Focus): number | undefined {
    const way = wayTo(this.top, focus.branch)
    const last = way?.at(-1)
    return last && rowOf(this.top, last.branch, last.offset)
  }

  openIds(): Id[] {
    const ids = [...branches(this.top)].slice(1).map(({ id }) => id)
    return [...ids, ...this.toOpen].slice(0, OPEN_MAX)
  }

  /** The place of a child: its rank tells it, save in a list by state, which has to be read. */
  private async offsetOf(branch: Branch, id: Id, rank: number): Promise<number | undefined> {
    if (this.only === 'all') {
      const place = this.order === 'oldest' ? rank : branch.count - 1 - rank
      // A child that is newer than the list is not in it.
      return place < 0 ? undefined : place
    }
    const offset = await this.pagesOf(branch).find(id)
    // What has come to the list by state since it was counted is not shown yet.
    return offset !== undefined && offset < branch.count ? offset : undefined
  }

  /** Opens all above a job and focuses it; answers its row, if it is among the listed ones. */
  async reveal(id: Id): Promise<number | undefined> {
    const way = await this.way(id)
    let branch = this.top
    for (const [at, { job, rank }] of way.entries()) {
      const offset = await this.offsetOf(branch, job, rank)
      if (offset === undefined) return undefined
      if (at === way.length - 1) {
        this.focus.value = { branch, offset }
        this.shape.value += 1
        return rowOf(this.top, branch, offset)
      }
      const known = branch.open.find((opened) => opened.offset === offset)
      if (!known) openAt(branch, offset, branchOf(job, this.count(job)))
      branch = branch.open.find((opened) => opened.offset === offset)?.branch as Branch
    }
    return undefined
  }

  /** The jobs from the first below the top down to `id`, with their places. */
  private async way(id: Id): Promise<{ job: Id; rank: number }[]> {
    const [own, above] = await Promise.all([
      get<Job>(`jobs/${id}`),
      get<Above>(`jobs/${id}/ancestors`, { ranks: true, fields: 'row' }),
    ])
    putRow(rowOfJob(own, rowSignal(id).peek()))
    for (const item of above.items) {
      const row = rowOfSummary(item, this.root)
      if (row) putRow(row, above.version ?? undefined)
    }
    // The job first and the root last; the root alone stands nowhere.
    const ranks = above.ranks ?? []
    const end = ranks.findIndex((rank) => rank.id === this.job)
    const below = end < 0 ? ranks : ranks.slice(0, end)
    return below.map((rank) => ({ job: rank.id, rank: rank.rank })).reverse()
  }
}
