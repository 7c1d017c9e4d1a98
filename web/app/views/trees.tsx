import { useEffect, useMemo, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import { apiLink, BASE, get, type Params } from '../api/client'
import { rowOfSummary } from '../api/rows'
import { isFinished, type Id, type JobSummary, type Page } from '../api/types'
import { FIRST, useRootsWindow, type RootsWindow } from '../live/roots'
import { putRow, rowSignal, RowWindow } from '../live/rows'
import { CodeLines, FirstLines } from '../parts/first'
import { Icon } from '../parts/icons'
import { usePages, type Paged } from '../parts/load'
import { Cells, Head, NARROW_ROW, Name, ROW } from '../parts/row'
import { copyLink, Empty, Failed, Skeleton } from '../parts/small'
import { Virtual, type VirtualHandle } from '../parts/virtual'
import { isNarrow } from '../shell/layout'
import { link, navigate, query, setQuery } from '../shell/router'
import { useTitle } from '../shell/title'
import { t } from '../texts'
import { compared } from './compared'
import { Filters, filterParams, hasFilter } from './filters'
import { Histogram } from './histogram'

/** Trees that are watched one by one; a connection has 64 subscriptions. */
const WATCHED = 40
/** Pages in a row with few trees, after which the list asks before it looks further back. */
const SPARSE_PAGES = 5

export function TreesView() {
  useTitle(t.value.nav.trees)
  const params = filterParams(query.value)
  const watched = useRootsWindow(params)
  return (
    <div class="trees fill">
      <div class="page-head">
        <h1>{t.value.nav.trees}</h1>
        <span class="grow" />
        <Export params={params} />
      </div>
      <Histogram params={params} change={watched.revision.value} />
      <Filters />
      <List params={params} watched={watched} />
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

function List({ params, watched }: { params: Params; watched: RootsWindow }) {
  const pages = usePages(JSON.stringify(params), async (abort, cursor) => {
    const at = { ...params, limit: FIRST, fields: 'row', cursor }
    const page = await get<Page<JobSummary>>('roots', at, abort)
    for (const item of page.items) {
      const row = rowOfSummary(item, item.id)
      if (row) putRow(row)
    }
    return page
  })
  const ids = useMemo(() => [...new Set(pages.items.map(({ id }) => id))], [pages.items])
  const present = watched.ids.value ?? []
  const { fresh, gone } = compared(
    { ids, isMore: pages.isMore },
    watched.ids.value && { ids: watched.ids.value, isMore: watched.isMore.value },
    (id) => rowSignal(id).peek()?.createTime ?? '',
  )
  // There is nothing yet that could jump.
  useEffect(() => {
    if (pages.value && ids.length === 0 && fresh > 0) pages.reload()
  }, [fresh > 0, ids.length === 0, pages.value])
  // Where the first page has failed there may be rows of the list before.
  if (pages.error !== undefined) return <Failed error={pages.error} retry={pages.reload} />
  if (!pages.value) return <Skeleton rows={10} />
  if (ids.length === 0 && !pages.isMore && !pages.isLoading) return <NoTrees />
  return (
    <div class={pages.isLoading ? 'fill dimmed' : 'fill'} aria-busy={pages.isLoading}>
      {fresh > 0 && (
        <button type="button" class="pill new" onClick={pages.reload}>
          {t.value.trees.fresh(fresh)}
        </button>
      )}
      <Table ids={ids} gone={gone} told={new Set(present)} pages={pages} />
      <Further pages={pages} found={ids.length} />
    </div>
  )
}

/** Whether the list is read on by itself: a filter of which little is true asks first. */
function goesOn(pages: Paged<unknown>): boolean {
  return pages.nextError === undefined && pages.sparse < SPARSE_PAGES
}

/** Below the list: why it does not go on by itself. */
function Further({ pages, found }: { pages: Paged<unknown>; found: number }) {
  if (!pages.isMore) return null
  const next = () => void pages.next()
  if (pages.nextError !== undefined) return <Failed error={pages.nextError} retry={next} />
  if (pages.sparse === 0) return null
  const isAsked = !goesOn(pages) && !pages.isReading
  return (
    <p class="further muted" role="status">
      {t.value.trees.sparse(found)}{' '}
      {isAsked ? (
        <button type="button" onClick={next}>
          {t.value.trees.further}
        </button>
      ) : (
        t.value.trees.looking
      )}
    </p>
  )
}

interface TableProps {
  ids: Id[]
  gone: Set<Id>
  /** Those whose rows are watched with the list. */
  told: Set<Id>
  pages: Paged<unknown>
}

function Table({ ids, gone, told, pages }: TableProps) {
  const handle = useRef<VirtualHandle>(null)
  const focus = useSignal(-1)
  const watched = useMemo(() => new Map<Id, RowWindow>(), [])
  useEffect(() => () => watched.forEach((window) => window.close()), [])
  const range = useRef<[number, number]>([0, 0])
  const look = (first: number, end: number) => {
    range.current = [first, end]
    if (end > ids.length - 30 && goesOn(pages)) void pages.next()
    const seen = ids
      .slice(first, end)
      .filter((id) => !told.has(id) && !isFinished(rowSignal(id).peek()?.state ?? ''))
    watch(watched, seen.slice(0, WATCHED))
  }
  // New trees may take the places of as many others.
  useEffect(() => look(...range.current), [ids, told.size, pages.reads])
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
          isGone={gone.has(ids[at] as Id)}
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
  isGone: boolean
  focus: () => void
}

function Line({ id, at, isFocused, isGone, focus }: LineProps) {
  const row = rowSignal(id).value
  if (!row) return <div role="row" class="row" />
  return (
    <div
      role="row"
      id={`root-${id}`}
      class={`row${isFocused ? ' focused' : ''}${isGone ? ' gone' : ''}`}
      title={isGone ? t.value.trees.gone : undefined}
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
    <FirstLines title={t.value.trees.none} first={t.value.trees.first}>
      <CodeLines text={curl} />
      <CodeLines text={rust} />
    </FirstLines>
  )
}
