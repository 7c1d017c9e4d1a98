import { useEffect, useMemo, useRef } from 'preact/hooks'
import { effect, useSignal } from '@preact/signals'
import { apiLink, get } from '../api/client'
import type { Id, JobSummary, Page, Row } from '../api/types'
import { childCount } from '../api/types'
import { rowSignal } from '../live/rows'
import { Icon } from '../parts/icons'
import { Cells, Head, NARROW_ROW, Name, ROW } from '../parts/row'
import { copy, Empty, Failed, say } from '../parts/small'
import { exact } from '../parts/number'
import { Virtual, type VirtualHandle } from '../parts/virtual'
import { isNarrow } from '../shell/layout'
import { letters } from '../shell/prefs'
import { link, navigate, query, setQuery } from '../shell/router'
import { t } from '../texts'
import { branches, placeAt, type Place } from '../tree/geometry'
import { Outline } from '../tree/outline'
import { STATES, type Only, type Order } from '../tree/pages'

const ONLY: readonly Only[] = ['all', 'failed', 'unfinished']

export function TreeView({ job }: { job: Row }) {
  const only = (ONLY.find((name) => name === query.value.get('only')) ?? 'all') as Only
  const order: Order = query.value.get('order') === 'newest' && only === 'all' ? 'newest' : 'oldest'
  const handle = useRef<VirtualHandle>(null)
  const round = useSignal(0)
  const outline = useMemo(() => {
    const open = query.peek().get('open')?.split(',').filter(Boolean) ?? []
    return new Outline(job.id, job.root, only, order, open)
  }, [job.id, only, order, round.value])
  useEffect(() => () => outline.close(), [outline])
  useOutlineEffect(outline, () => {
    void outline.shape.value
    for (const branch of branches(outline.top)) {
      void outline.pagesOf(branch).revision.value
      void rowSignal(branch.id).value
    }
    outline.recount()
    outline.arrived()
  })
  useDeepLink(outline, handle)
  const failures = useFailures(outline, handle)
  void outline.shape.value
  const rows = outline.rows
  const { error } = outline
  const renew = () => {
    // What has come is at its top.
    setQuery({ at: undefined })
    round.value += 1
  }
  return (
    <section class="tree-view fill">
      <Toolbar {...{ job, only, order, outline, failures, renew }} />
      {error !== undefined && <Failed error={error} retry={() => outline.retry()} />}
      {rows === 0 ? (
        <Empty title={only === 'all' ? t.value.tree.empty : t.value.tree.none}>
          {only !== 'all' && (
            <button type="button" onClick={() => setQuery({ only: undefined })}>
              {t.value.clearFilter}
            </button>
          )}
        </Empty>
      ) : (
        // Another choice is another list: it begins at its top, and what it shows is read.
        <Grid
          key={`${only}/${order}/${round.value}`}
          outline={outline}
          handle={handle}
          failures={failures}
        />
      )}
    </section>
  )
}

/** An effect on the signals of one outline; another outline has an effect of its own. */
function useOutlineEffect(outline: Outline, run: () => void) {
  useEffect(() => effect(run), [outline])
}

/** Shows the job that the address names, and keeps the address as the outline is. */
function useDeepLink(outline: Outline, handle: { current: VirtualHandle | null }) {
  useEffect(() => {
    const at = query.peek().get('at')
    if (at && at !== outline.idAt(outline.focus.peek())) void show(outline, handle, at)
  }, [outline])
  useOutlineEffect(outline, () => {
    void outline.shape.value
    const focus = outline.focus.value
    if (focus) void outline.pagesOf(focus.branch).revision.value
    const focused = outline.idAt(focus)
    const open = outline.openIds().join(',')
    const at = focused ?? query.peek().get('at') ?? undefined
    setQuery({ open: open || undefined, at })
  })
}

async function show(outline: Outline, handle: { current: VirtualHandle | null }, id: Id) {
  const row = await outline.reveal(id).catch(() => null)
  // Where it is not among the listed ones all are shown, and the address leads to it.
  const isPart = outline.only !== 'all' || outline.order === 'newest'
  const isUnlisted = row === undefined && isPart && !outline.isClosed
  if (isUnlisted) setQuery({ only: undefined, order: undefined, at: id })
  if (row === undefined || row === null) return
  // The list is drawn with its new length first.
  requestAnimationFrame(() => handle.current?.show(row, true))
}

interface Failures {
  go(step: 1 | -1): void
}

/** The failed jobs below, in the order of the outline, read a page at a time. */
function useFailures(outline: Outline, handle: { current: VirtualHandle | null }): Failures {
  const latest = useRef(outline)
  latest.current = outline
  return useMemo(() => {
    const found: Id[] = []
    let cursor: string | null | undefined
    let at = -1
    const more = async () => {
      const params = { states: 'Faulted', limit: 200, cursor, fields: 'row' }
      const page = await get<Page<JobSummary>>(`jobs/${latest.current.job}/descendants`, params)
      found.push(...page.items.map((job) => job.id).filter((id) => !found.includes(id)))
      cursor = page.nextCursor ?? null
    }
    const go = async (step: 1 | -1) => {
      const outline = latest.current
      const focused = outline.idAt(outline.focus.peek())
      const known = focused === undefined ? -1 : found.indexOf(focused)
      if (known >= 0) at = known
      while (at + step >= found.length && cursor !== null) await more()
      if (found.length === 0) return say(t.value.tree.noFailure)
      at = (at + step + found.length) % found.length
      say(t.value.tree.failure(at + 1, found.length, cursor !== null))
      await show(outline, handle, found[at] as Id)
    }
    return { go: (step) => void go(step).catch(() => say(t.value.failed)) }
  }, [outline.job])
}

interface ToolbarProps {
  job: Row
  only: Only
  order: Order
  outline: Outline
  failures: Failures
  /** Reads the list anew. */
  renew: () => void
}

function Toolbar({ job, only, order, outline, failures, renew }: ToolbarProps) {
  const counts: Record<Only, number> = {
    all: childCount(job.children),
    failed: job.children.failed,
    unfinished: job.children.pending,
  }
  void outline.shape.value
  const drift = outline.drift
  return (
    <div class="toolbar">
      <div class="segments" role="group" aria-label={t.value.tree.show}>
        {ONLY.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={only === name}
            onClick={() => setQuery({ only: name === 'all' ? undefined : name, at: undefined })}
          >
            {t.value.tree.only[name]} <span class="num muted">{exact(counts[name])}</span>
          </button>
        ))}
      </div>
      <button
        type="button"
        class="quiet"
        disabled={only !== 'all'}
        onClick={() =>
          setQuery({ order: order === 'oldest' ? 'newest' : undefined, at: undefined })
        }
      >
        {t.value.tree.order[order]}
      </button>
      {drift !== 0 && (
        <button type="button" class="pill" title={t.value.refresh} onClick={renew}>
          {t.value.tree.drift(drift)}
        </button>
      )}
      <span class="grow" />
      <Export job={job} only={only} />
      {job.subtree.failed > 0 && (
        <button type="button" class="quiet" title="f" onClick={() => failures.go(1)}>
          <Icon name="down" /> {t.value.tree.nextFailure}
        </button>
      )}
    </div>
  )
}

/** All below the job that are like the listed ones, as a file. */
function Export({ job, only }: { job: Row; only: Only }) {
  const at = (format: string) =>
    apiLink(`jobs/${job.id}/descendants`, { states: STATES[only], format })
  return (
    <span class="export">
      <a class="button quiet" href={at('csv')} download={`below-${job.id}.csv`}>
        <Icon name="download" /> CSV
      </a>
      <a class="button quiet" href={at('ndjson')} download={`below-${job.id}.ndjson`}>
        <Icon name="download" /> NDJSON
      </a>
    </span>
  )
}

interface GridProps {
  outline: Outline
  handle: { current: VirtualHandle | null }
  failures: Failures
}

function Grid({ outline, handle, failures }: GridProps) {
  void outline.shape.value
  const focus = outline.focus.value
  const focusedRow = focus && outline.rowOf(focus)
  const isDrawn = focus !== undefined && focusedRow !== undefined
  return (
    <Virtual
      rows={outline.rows}
      rowHeight={isNarrow.value ? NARROW_ROW : ROW}
      handle={handle}
      onRange={(first, end) => outline.look(first, end)}
      head={<Head first={t.value.columns.job} />}
      frame={{
        role: 'treegrid',
        class: 'grid',
        tabIndex: 0,
        'aria-label': t.value.tabs.tree,
        'aria-rowcount': outline.rows,
        'aria-activedescendant': isDrawn ? `row-${focus.branch.id}-${focus.offset}` : undefined,
        onKeyDown: (event: KeyboardEvent) => pressed(event, outline, handle, failures),
      }}
      render={(index) => {
        const place = placeAt(outline.top, index)
        return (
          place && (
            <Line key={`${place.branch.id}/${place.offset}`} outline={outline} place={place} />
          )
        )
      }}
    />
  )
}

function Line({ outline, place }: { outline: Outline; place: Place }) {
  const { branch, offset, depth, opened } = place
  const pages = outline.pagesOf(branch)
  void pages.revision.value
  const id = pages.idAt(offset)
  const row = id === undefined ? undefined : rowSignal(id).value
  const focus = outline.focus.value
  const isFocused = focus?.branch === branch && focus.offset === offset
  const canOpen = row !== undefined && childCount(row.children) > 0
  const focusIt = () => (outline.focus.value = { branch, offset })
  return (
    <div
      role="row"
      id={`row-${branch.id}-${offset}`}
      class={`row${isFocused ? ' focused' : ''}`}
      aria-level={depth + 1}
      aria-setsize={branch.count}
      aria-posinset={offset + 1}
      aria-expanded={canOpen ? opened !== undefined : undefined}
      aria-selected={isFocused}
      data-id={id}
      style={indentOf(depth)}
      onClick={focusIt}
      onDblClick={() => id && navigate(link(`jobs/${id}`))}
    >
      <span role="gridcell" class="c-name">
        <button
          type="button"
          class={`twisty quiet${canOpen ? '' : ' hidden'}`}
          tabIndex={-1}
          aria-label={opened ? t.value.tree.close : t.value.tree.open}
          onClick={() => outline.toggle({ branch, offset })}
        >
          <Icon name={opened ? 'down' : 'right'} size={14} />
        </button>
        {row ? <Name row={row} /> : <span class="ghost" />}
      </span>
      {row && <Cells row={row} />}
    </div>
  )
}

function indentOf(depth: number) {
  return { '--depth': `${depth}` } as Record<string, string>
}

function pressed(
  event: KeyboardEvent,
  outline: Outline,
  handle: { current: VirtualHandle | null },
  failures: Failures,
) {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const focus = outline.focus.peek()
  const row = focus ? (outline.rowOf(focus) ?? -1) : -1
  const goTo = (to: number | undefined) => {
    const at = to === undefined ? undefined : outline.focusRow(to)
    if (at !== undefined) handle.current?.show(at)
  }
  const moves: Record<string, () => void> = {
    ArrowDown: () => goTo(row + 1),
    ArrowUp: () => goTo(row - 1),
    PageDown: () => goTo(row + 15),
    PageUp: () => goTo(row - 15),
    Home: () => goTo(0),
    End: () => goTo(outline.rows - 1),
    ArrowRight: () => focus && (outline.isOpen(focus) ? goTo(row + 1) : outline.open(focus)),
    ArrowLeft: () =>
      focus && (outline.isOpen(focus) ? outline.shut(focus) : goTo(outline.parentRow(focus))),
    Enter: () => {
      const id = outline.idAt(focus)
      if (id) navigate(link(`jobs/${id}`))
    },
  }
  const id = outline.idAt(focus)
  const typed: Record<string, () => void> = {
    f: () => failures.go(1),
    F: () => failures.go(-1),
    c: () => id && void copy(id),
    w: () => id && navigate(link(`jobs/${id}`, { view: 'waiting' })),
  }
  const act = moves[event.key] ?? (letters.value === 'on' ? typed[event.key] : undefined)
  if (!act) return
  event.preventDefault()
  event.stopPropagation()
  act()
}
