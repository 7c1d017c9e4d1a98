import { useEffect, useMemo, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import { get } from '../api/client'
import type { Shape, State } from '../api/types'
import { StateIcon } from '../parts/icons'
import { useLoad, useReloadOn, useSize } from '../parts/load'
import { exact } from '../parts/number'
import { Failed, Skeleton } from '../parts/small'
import { Bar } from '../parts/state'
import { theme } from '../shell/prefs'
import { link, query, setQuery } from '../shell/router'
import { t } from '../texts'
import { icicle, type Cell } from '../tree/icicle'
import type { TabProps } from './job'

const LEVEL = 34

/** The tree as a picture: each job as wide as what is below it. */
export function ShapeView({ job }: TabProps) {
  const zoom = query.value.get('zoom') ?? job.id
  const loaded = useLoad(zoom, (abort) =>
    get<Shape>(`jobs/${zoom}/shape`, { depth: 6, jobs: 400 }, abort),
  )
  useReloadOn(job, loaded.reload, 3_000)
  const place = useRef<HTMLDivElement>(null)
  const size = useSignal<[number, number]>([0, 0])
  const [width] = size.value
  useSize(place, size)
  const items = loaded.value?.items ?? []
  const cells = useMemo(() => icicle(items, width), [loaded.value, width])
  const words = t.value.shape
  const zoomTo = (id: string) => setQuery({ zoom: id === job.id ? undefined : id })
  const parent = items[0]?.job.definition?.parent
  return (
    <section class="scroll pad stack">
      <div class="section-head">
        <p class="muted">{words.hint}</p>
        <span class="grow" />
        {zoom !== job.id && parent && (
          <button type="button" onClick={() => zoomTo(parent)}>
            {words.out}
          </button>
        )}
      </div>
      {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
      {!loaded.value && loaded.error === undefined && <Skeleton />}
      <div ref={place}>
        <Picture cells={cells} width={width} zoomTo={zoomTo} />
      </div>
      <Table cells={cells} />
    </section>
  )
}

interface PictureProps {
  cells: Cell[]
  width: number
  zoomTo: (id: string) => void
}

function Picture({ cells, width, zoomTo }: PictureProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const over = useSignal<Cell | undefined>(undefined)
  const depth = cells.reduce((deepest, cell) => Math.max(deepest, cell.depth), 0)
  const height = (depth + 1) * LEVEL
  useEffect(() => {
    const draw = () => canvas.current && paint(canvas.current, cells, width, height)
    draw()
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', draw)
    return () => scheme.removeEventListener('change', draw)
  }, [cells, width, theme.value])
  const at = (event: MouseEvent) => {
    const level = Math.floor(event.offsetY / LEVEL)
    return cells.find(
      (cell) =>
        cell.depth === level &&
        event.offsetX >= cell.left &&
        event.offsetX < cell.left + cell.width,
    )
  }
  const hovered = over.value
  return (
    <>
      <canvas
        ref={canvas}
        class="icicle"
        role="img"
        aria-label={t.value.shape.picture}
        title={hovered ? said(hovered) : undefined}
        style={{ width: `${width}px`, height: `${height}px` }}
        onMouseMove={(event) => (over.value = at(event))}
        onMouseLeave={() => (over.value = undefined)}
        onClick={(event) => {
          const cell = at(event)
          const id = cell?.item?.job.id ?? cell?.parent
          if (id) zoomTo(id)
        }}
      />
      <p class="muted num picture-said">{hovered ? said(hovered) : t.value.shape.click}</p>
    </>
  )
}

function said({ item, rest }: Cell): string {
  if (!item) return t.value.shape.rest(rest)
  const { job } = item
  const name = job.definition?.name ?? job.id
  return `${name} · ${t.value.states[job.state as State]} · ${t.value.below(job.subtree.total)}`
}

const TOKENS: Record<string, string> = {
  WaitingToRun: '--waiting',
  Running: '--running',
  Warning: '--warning',
  WaitingForChildrenToComplete: '--children',
  RanToCompletion: '--done',
  Faulted: '--failed',
}

function paint(canvas: HTMLCanvasElement, cells: Cell[], width: number, height: number) {
  const ratio = devicePixelRatio || 1
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(height * ratio)
  const brush = canvas.getContext('2d')
  if (!brush) return
  const style = getComputedStyle(document.documentElement)
  const colour = (token: string) => style.getPropertyValue(token).trim()
  brush.scale(ratio, ratio)
  brush.font = '12px system-ui, sans-serif'
  brush.textBaseline = 'middle'
  for (const { item, rest, depth, left, width: room } of cells) {
    const top = depth * LEVEL
    const drawn = Math.max(1, room - 1)
    const state = item?.job.state ?? ''
    brush.globalAlpha = 1
    brush.fillStyle = colour(item ? (TOKENS[state] ?? '--line') : '--line')
    brush.fillRect(left, top, drawn, 4)
    brush.globalAlpha = item ? 0.16 : 0.5
    brush.fillRect(left, top + 4, drawn, LEVEL - 6)
    brush.globalAlpha = 1
    if (room < 40) continue
    brush.fillStyle = colour(item ? '--text' : '--muted')
    brush.save()
    brush.beginPath()
    brush.rect(left, top, drawn - 4, LEVEL)
    brush.clip()
    brush.fillText(
      item ? (item.job.definition?.name ?? '') : t.value.shape.rest(rest),
      left + 6,
      top + 18,
    )
    brush.restore()
  }
}

/** The same as the picture, in words and numbers. */
function Table({ cells }: { cells: Cell[] }) {
  return (
    <details>
      <summary>{t.value.shape.table}</summary>
      <table class="plain-table">
        <thead>
          <tr>
            <th>{t.value.columns.job}</th>
            <th>{t.value.columns.state}</th>
            <th>{t.value.columns.below}</th>
            <th class="num">{t.value.shape.jobs}</th>
          </tr>
        </thead>
        <tbody>
          {cells.map((cell, at) => (
            <tr key={at}>
              <td style={{ paddingLeft: `${8 + cell.depth * 16}px` }}>
                {cell.item ? (
                  <a href={link(`jobs/${cell.item.job.id}`)}>{cell.item.job.definition?.name}</a>
                ) : (
                  <span class="muted">{t.value.shape.rest(cell.rest)}</span>
                )}
              </td>
              <td>
                {cell.item && (
                  <span class={`state i-${cell.item.job.state}`}>
                    <StateIcon state={cell.item.job.state as State} size={14} />{' '}
                    {t.value.states[cell.item.job.state as State]}
                  </span>
                )}
              </td>
              <td class="bar-cell">{cell.item && <Bar subtree={cell.item.job.subtree} />}</td>
              <td class="num">{exact(cell.item?.job.subtree.total ?? cell.rest)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}
