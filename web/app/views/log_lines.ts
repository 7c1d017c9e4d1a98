import { signal } from '@preact/signals'
import { get } from '../api/client'
import type { Id, Job, LogLine, Page, ServerFrame } from '../api/types'
import { live, type Handle } from '../live/socket'

const PAGE = 500
const KEPT = 20

/** The lines of a log by their number, read where they are looked at, and followed at the end. */
export class LogLines {
  /** How many lines there are. */
  readonly count = signal(0)
  readonly revision = signal(0)
  readonly error = signal<unknown>(undefined)
  private pages = new Map<number, LogLine[]>()
  private loading = new Set<number>()
  private wanted: [number, number] = [0, 0]
  private handle: Handle | undefined

  constructor(readonly job: Id) {}

  follow() {
    this.handle ??= live.subscribe(() => ({ topic: `log/${this.job}` }), {
      frame: (frame) => this.frame(frame),
      poll: async () => {
        // The row of the job tells how many lines there are.
      },
    })
  }

  close() {
    this.handle?.close()
    this.handle = undefined
  }

  lineAt(index: number): LogLine | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE]
  }

  /** The row of the job says how many lines there are. */
  grow(count: number) {
    if (count > this.count.peek()) this.count.value = count
  }

  want(first: number, end: number) {
    this.wanted = [first, end]
    const last = Math.floor(Math.max(first, Math.min(end, this.count.peek()) - 1) / PAGE)
    for (let page = Math.floor(first / PAGE); page <= last; page++) {
      const expected = Math.min(PAGE, this.count.peek() - page * PAGE)
      if ((this.pages.get(page)?.length ?? 0) < expected) void this.load(page)
    }
    for (const page of this.pages.keys()) {
      if (this.pages.size <= KEPT) break
      if (page * PAGE > end + PAGE || (page + 1) * PAGE < first - PAGE) this.pages.delete(page)
    }
  }

  private frame(frame: ServerFrame) {
    // Lines that were not told are read as all others are.
    if (frame.t === 'gap') void this.recount().catch((error) => (this.error.value = error))
    if (frame.t !== 'event' || frame.kind !== 'log') return
    const { line, text, time } = frame as unknown as LogLine
    const page = Math.floor(line / PAGE)
    const known = this.pages.get(page) ?? []
    // Only what follows the known lines; the rest is read when it is looked at.
    if (known.length === line % PAGE) this.pages.set(page, [...known, { line, text, time }])
    this.grow(line + 1)
    this.revision.value += 1
  }

  /** Asks how many lines there are. */
  private async recount() {
    const { logLines } = await get<Job>(`jobs/${this.job}`)
    this.grow(logLines)
    this.want(...this.wanted)
  }

  private async load(page: number) {
    if (this.loading.has(page)) return
    this.loading.add(page)
    try {
      const params = { from: page * PAGE, limit: PAGE }
      const found = await get<Page<LogLine>>(`jobs/${this.job}/log`, params)
      const known = this.pages.get(page)?.length ?? 0
      const hasMore = found.items.length > known
      if (hasMore) this.pages.set(page, found.items)
      this.error.value = undefined
      this.revision.value += 1
      this.loading.delete(page)
      // Lines may have come meanwhile that were not told in their order.
      if (hasMore) this.want(...this.wanted)
    } catch (error) {
      this.loading.delete(page)
      this.error.value = error
    }
  }
}
