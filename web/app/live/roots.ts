import { batch, signal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'
import { get, queryOf, type Params } from '../api/client'
import { rowOfSummary } from '../api/rows'
import type { Id, JobSummary, Page, ServerFrame } from '../api/types'
import { putWatched, rowSignal, watchRows } from './rows'
import { live, type Handle } from './socket'

/** As many as the list shows at first. */
export const FIRST = 100
/** Without a WebSocket the list is asked for less often than single rows. */
const POLL_EVERY_MS = 5_000

/** The first roots of a list as they are now, in its order. */
export class RootsWindow {
  readonly ids = signal<Id[] | undefined>(undefined)
  /** Whether the list may go on behind them. */
  readonly isMore = signal(true)
  /** Grows with all that is told. */
  readonly revision = signal(0)
  private readonly params: Params
  private shown: Id[] = []
  private handle: Handle | undefined
  private polled = 0

  constructor(params: Params) {
    this.params = { ...params, limit: FIRST }
  }

  begin() {
    const filter = queryOf(this.params)
    this.handle = live.subscribe(() => ({ topic: 'roots', filter }), {
      frame: (frame) => this.frame(frame),
      poll: () => this.poll(),
    })
  }

  close() {
    this.handle?.close()
    this.handle = undefined
    watchRows([], this.shown)
    this.shown = []
  }

  private frame(frame: ServerFrame) {
    if (frame.t === 'roots') this.take(frame.ids, frame.rows, frame.more)
  }

  private take(ids: Id[], rows: JobSummary[], isMore: boolean) {
    batch(() => {
      watchRows(ids, this.shown)
      this.shown = ids
      for (const summary of rows) {
        const row = rowOfSummary(summary, summary.id, rowSignal(summary.id).peek())
        if (row) putWatched(row)
      }
      this.ids.value = ids
      this.isMore.value = isMore
      this.revision.value += 1
    })
  }

  private async poll() {
    if (Date.now() - this.polled < POLL_EVERY_MS) return
    this.polled = Date.now()
    const page = await get<Page<JobSummary>>('roots', { ...this.params, fields: 'row' })
    if (!this.handle) return
    const ids = page.items.map(({ id }) => id)
    this.take(ids, page.items, Boolean(page.nextCursor))
  }
}

/** Watches the first roots of a list; another filter is another list. */
export function useRootsWindow(params: Params): RootsWindow {
  const window = useMemo(() => new RootsWindow(params), [JSON.stringify(params)])
  useEffect(() => {
    window.begin()
    return () => window.close()
  }, [window])
  return window
}
