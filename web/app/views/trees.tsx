import { useEffect, useMemo, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import { apiLink, BASE, get, type Params } from '../api/client'
import { rowOfSummary } from '../api/rows'
import { isFinished, type Id, type JobSummary, type State } from '../api/types'
import { putRow, rowSignal, RowWindow } from '../live/rows'
import { live } from '../live/socket'
import { Icon, StateIcon } from '../parts/icons'
import { useLoad } from '../parts/load'
import { Cells, Head, NARROW_ROW, Name, ROW } from '../parts/row'
import { copyLink, CopyButton, Empty, Failed, Skeleton } from '../parts/small'
import { Virtual, type VirtualHandle } from '../parts/virtual'
import { isNarrow } from '../shell/layout'
import { link, navigate, query, setQuery } from '../shell/router'
import { useTitle } from '../shell/title'
import { t } from '../texts'
import { Filters, filterParams, hasFilter } from './filters'
import { Histogram } from './histogram'

const PAGE = 100
/** Trees that are watched at once; a connection has 64 subscriptions. */
const WATCHED = 40
const LOOK_EVERY_MS = 5_000

interface RootPage {
  items: JobSummary[]
  nextCursor?: string | null
}

export function TreesView() {
  useTitle(t.value.nav.trees)
  const params = filterParams(query.value)
  return (
    <div class="trees fill">
      <div class="page-head">
        <h1>{t.value.nav.trees}</h1>
        <span class="grow" />
        <Export params={params} />
      </div>
      <Histogram params={params} />
      <Filters />
      <List params={params} />
    </div>
  )
}

function Export({ params }: { params: Params }) {
  const at = (format: string) => apiLink('roots', { ...params, format })
  return (
    <span class="export">
      <button type="button" class="quiet" title="y" onClick={() => void copyLink()}>
        <Icon name="link" /> {t.value.copyLink}
      </button>
      <a class="button quiet" href={at('csv')} download="roots.csv">
        <Icon name="download" /> CSV
      </a>
      <a class="button quiet" href={at('ndjson')} download="roots.ndjson">
        <Icon name="download" /> NDJSON
      </a>
    </span>
  )
}

function List({ params }: { params: Params }) {
  const ids = useSignal<Id[]>([])
  const cursor = useSignal<string | null | undefined>(undefined)
  const following = useRef<AbortController | undefined>(undefined)
  const keyOfList = useRef('')
  const take = (page: RootPage) => {
    for (const item of page.items) {
      const row = rowOfSummary(item, item.id)
      if (row) putRow(row)
    }
    const known = new Set(ids.peek())
    const fresh = page.items.map((job) => job.id).filter((id) => !known.has(id))
    ids.value = [...ids.peek(), ...fresh]
    cursor.value = page.nextCursor ?? null
  }
  const ask = (abort: AbortSignal, at?: string) =>
    get<RootPage>('roots', { ...params, limit: PAGE, fields: 'row', cursor: at }, abort)
  const key = JSON.stringify(params)
  const stop = () => {
    following.current?.abort()
    following.current = undefined
  }
  const first = useLoad(key, async (abort) => {
    const page = await ask(abort)
    if (abort.aborted) return false
    stop()
    ids.value = []
    take(page)
    keyOfList.current = key
    return true
  })
  useEffect(() => stop, [key])
  const more = async () => {
    const at = cursor.peek()
    if (following.current || typeof at !== 'string' || keyOfList.current !== key) return
    const abort = new AbortController()
    following.current = abort
    try {
      const page = await ask(abort.signal, at)
      // A page of the filter before belongs to no list any more.
      if (!abort.signal.aborted) take(page)
    } catch (error) {
      if (!abort.signal.aborted) throw error
    } finally {
      if (following.current === abort) following.current = undefined
    }
  }
  // Pages of a filtered list may be empty and still have a cursor.
  useEffect(() => {
    if (ids.value.length < 40 && typeof cursor.value === 'string') void more()
  }, [cursor.value])
  const fresh = useNewRoots(params, ids, first.reload)
  // Where the first page has failed there may be rows of the list before.
  if (first.error !== undefined) return <Failed error={first.error} retry={first.reload} />
  if (!first.value) return <Skeleton rows={10} />
  if (ids.value.length === 0 && cursor.value === null && !first.isLoading) return <NoTrees />
  return (
    <div class={first.isLoading ? 'fill dimmed' : 'fill'} aria-busy={first.isLoading}>
      {fresh > 0 && (
        <button type="button" class="pill new" onClick={first.reload}>
          {t.value.trees.fresh(fresh)}
        </button>
      )}
      <Table ids={ids.value} more={more} />
    </div>
  )
}

/** How many roots were created since the list was read; they wait until they are asked for. */
function useNewRoots(
  params: Params,
  ids: { value: Id[]; peek(): Id[] },
  reload: () => void,
): number {
  const count = useSignal(0)
  const latest = useRef(reload)
  latest.current = reload
  useEffect(() => {
    count.value = 0
    const look = async () => {
      if (document.visibilityState === 'hidden' || !live.isLive.peek()) return
      const page = await get<RootPage>('roots', { ...params, limit: 50, fields: 'row' })
      const known = new Set(ids.peek())
      count.value = page.items.filter((job) => !known.has(job.id)).length
      // There is nothing yet that could jump.
      if (known.size === 0 && page.items.length > 0) latest.current()
    }
    const timer = setInterval(() => void look().catch(() => {}), LOOK_EVERY_MS)
    return () => clearInterval(timer)
  }, [JSON.stringify(params), ids.value.length === 0, ids.value[0]])
  return count.value
}

function Table({ ids, more }: { ids: Id[]; more: () => Promise<void> }) {
  const handle = useRef<VirtualHandle>(null)
  const focus = useSignal(-1)
  const watched = useMemo(() => new Map<Id, RowWindow>(), [])
  useEffect(() => () => watched.forEach((window) => window.close()), [])
  const range = useRef<[number, number]>([0, 0])
  const look = (first: number, end: number) => {
    range.current = [first, end]
    if (end > ids.length - 30) void more()
    const seen = ids
      .slice(first, end)
      .filter((id) => !isFinished(rowSignal(id).peek()?.state ?? ''))
    watch(watched, seen.slice(0, WATCHED))
  }
  // New trees may take the places of as many others.
  useEffect(() => look(...range.current), [ids])
  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const at = focus.peek()
    const to: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + 15,
      PageUp: at - 15,
      Home: 0,
      End: ids.length - 1,
    }
    const next = to[event.key]
    if (next !== undefined) {
      focus.value = Math.min(Math.max(0, next), ids.length - 1)
      handle.current?.show(focus.value)
      event.preventDefault()
    } else if (event.key === 'Enter' && ids[at]) {
      navigate(link(`jobs/${ids[at]}`))
      event.preventDefault()
    }
  }
  return (
    <Virtual
      rows={ids.length}
      rowHeight={isNarrow.value ? NARROW_ROW : ROW}
      handle={handle}
      onRange={look}
      head={<Head first={t.value.columns.tree} />}
      frame={{
        role: 'treegrid',
        class: 'grid',
        tabIndex: 0,
        'aria-label': t.value.nav.trees,
        'aria-rowcount': ids.length + 1,
        'aria-activedescendant': focus.value >= 0 ? `root-${ids[focus.value]}` : undefined,
        onKeyDown: pressed,
      }}
      render={(at) => (
        <Line
          key={ids[at]}
          id={ids[at] as Id}
          at={at}
          isFocused={focus.value === at}
          focus={() => (focus.value = at)}
        />
      )}
    />
  )
}

function watch(watched: Map<Id, RowWindow>, ids: Id[]) {
  const wanted = new Set(ids)
  for (const [id, window] of watched) {
    if (wanted.has(id)) continue
    window.close()
    watched.delete(id)
  }
  for (const id of ids) {
    if (watched.has(id)) continue
    const window = new RowWindow(id)
    window.set([id])
    watched.set(id, window)
  }
}

interface LineProps {
  id: Id
  at: number
  isFocused: boolean
  focus: () => void
}

function Line({ id, at, isFocused, focus }: LineProps) {
  const row = rowSignal(id).value
  if (!row) return <div role="row" class="row" />
  return (
    <div
      role="row"
      id={`root-${id}`}
      class={isFocused ? 'row focused' : 'row'}
      aria-level={1}
      aria-rowindex={at + 2}
      aria-selected={isFocused}
      data-id={id}
      onClick={focus}
      onDblClick={() => navigate(link(`jobs/${id}`))}
    >
      <span role="gridcell" class="c-name">
        <Name row={row} />
        {row.createdBy && <span class="by muted">{row.createdBy}</span>}
      </span>
      <Cells row={row} />
    </div>
  )
}

/** No tree at all: the lines that make the first one. No match: the way back to all of them. */
function NoTrees() {
  if (hasFilter(query.value)) {
    return (
      <Empty title={t.value.trees.noMatch}>
        <button
          type="button"
          onClick={() => setQuery({ states: undefined, q: undefined, range: undefined })}
        >
          {t.value.clearFilter}
        </button>
      </Empty>
    )
  }
  const address = BASE.replace(/\/$/, '')
  const curl = `curl ${address}/api/v1/jobs -H 'content-type: application/json' \\
  -d '{"name": "my first tree"}'`
  const rust = `let tracker = JobTrackerClient::new("${address}")?;
tracker.create(NewJob::new("my first tree")).await?;`
  return (
    <Empty title={t.value.trees.none}>
      <p>{t.value.trees.first}</p>
      <div class="code-lines">
        <pre>{curl}</pre>
        <CopyButton text={curl} label={t.value.copy} />
      </div>
      <div class="code-lines">
        <pre>{rust}</pre>
        <CopyButton text={rust} label={t.value.copy} />
      </div>
      <p class="waiting-line">
        <StateIcon state={'Running' as State} /> {t.value.trees.waiting}
      </p>
    </Empty>
  )
}
