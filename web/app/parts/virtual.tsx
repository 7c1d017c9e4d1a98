import { useEffect, useMemo, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import type { ComponentChildren, HTMLAttributes } from 'preact'
import { Scroll } from '../tree/scroll'
import { useSize } from './load'

/** Rows beyond the edges that are drawn. */
const AROUND = 8

export interface VirtualHandle {
  /** Scrolls as little as shows a row; `inMiddle` puts it there if it was out of sight. */
  show(row: number, inMiddle?: boolean): void
  toEnd(): void
  readonly isAtEnd: boolean
  /** Where the list is scrolled to, in pixels of the whole list. */
  readonly top: number
}

interface Props {
  rows: number
  rowHeight: number
  render: (row: number) => ComponentChildren
  /** Told which rows are drawn. */
  onRange?: (first: number, end: number) => void
  onScroll?: () => void
  handle?: { current: VirtualHandle | null }
  /** Attributes of the element that scrolls. */
  frame?: HTMLAttributes<HTMLDivElement>
  head?: ComponentChildren
}

/** A list of any length of which only what is seen is in the document. */
export function Virtual(props: Props) {
  const { rows, rowHeight, render, onRange, onScroll, handle, frame, head } = props
  const element = useRef<HTMLDivElement>(null)
  const inner = useRef<HTMLDivElement>(null)
  const size = useSignal<[number, number]>([0, 600])
  const drawn = useSignal(0)
  const scroll = useMemo(() => new Scroll(rows, rowHeight, 600), [])
  const settle = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  // The head stands above the rows and stays there.
  useSize(element, size, () => inner.current?.offsetTop ?? 0)
  scroll.rows = rows
  scroll.rowHeight = rowHeight
  scroll.viewport = Math.max(size.value[1], rowHeight)
  void drawn.value
  const moveTo = (top: number) => {
    const place = scroll.goTo(top)
    if (element.current) element.current.scrollTop = place
    drawn.value += 1
  }
  if (handle) handle.current = handleOf(scroll, moveTo)

  const moved = () => {
    if (!element.current) return
    scroll.scrolled(element.current.scrollTop)
    drawn.value += 1
    onScroll?.()
    clearTimeout(settle.current)
    settle.current = setTimeout(() => {
      if (!element.current) return
      // On a busy machine the event of a newer scroll may still be to come.
      if (!scroll.isAt(element.current.scrollTop)) return moved()
      element.current.scrollTop = scroll.settled()
      drawn.value += 1
    }, 200)
  }
  useEffect(() => () => clearTimeout(settle.current), [])

  const [first, end] = scroll.range(AROUND)
  useEffect(() => onRange?.(first, end), [first, end, rows])
  const lines = []
  for (let row = first; row < end; row++) lines.push(render(row))
  const shift = `translateY(${scroll.offset(first)}px)`
  return (
    <div {...frame} ref={element} class={`virtual ${frame?.class ?? ''}`} onScroll={moved}>
      {head}
      <div ref={inner} class="rows" role="presentation" style={{ height: `${scroll.height}px` }}>
        <div class="window" role="presentation" style={{ transform: shift }}>
          {lines}
        </div>
      </div>
    </div>
  )
}

function handleOf(scroll: Scroll, moveTo: (top: number) => void): VirtualHandle {
  return {
    show(row, inMiddle) {
      const [above, below] = [row * scroll.rowHeight, (row + 1) * scroll.rowHeight]
      if (above >= scroll.top && below <= scroll.top + scroll.viewport) return
      if (inMiddle) moveTo(above - scroll.viewport / 2)
      else if (above < scroll.top) moveTo(above)
      else moveTo(below - scroll.viewport)
    },
    toEnd: () => moveTo(scroll.whole),
    get top() {
      return scroll.top
    },
    get isAtEnd() {
      return scroll.top + scroll.viewport >= scroll.whole - scroll.rowHeight
    },
  }
}
