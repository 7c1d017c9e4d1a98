import type { Id, Shape } from '../api/types'

type Item = Shape['items'][number]

/** A piece of the picture: a job, or what is not shown below one. */
export interface Cell {
  item: Item | undefined
  /** Of what is not shown: how many jobs it is. */
  rest: number
  parent: Id | undefined
  depth: number
  left: number
  width: number
}

const RANKS: Record<string, number> = {
  Faulted: 0,
  Running: 1,
  Warning: 1,
  WaitingForChildrenToComplete: 1,
  WaitingToRun: 1,
}

/**
 * The jobs of a shape as pieces of lines, each as wide as it and what is below it: failed children
 * first, then unfinished ones, then by id, and what is not shown at the end.
 */
export function icicle(items: Item[], width: number): Cell[] {
  const top = items[0]
  if (!top) return []
  const below = new Map<Id, Item[]>()
  for (const item of items.slice(1)) {
    const parent = item.job.definition?.parent
    if (parent) below.set(parent, [...(below.get(parent) ?? []), item])
  }
  const cells: Cell[] = []
  const size = (item: Item) => 1 + item.job.subtree.total
  const place = (item: Item, parent: Id | undefined, depth: number, left: number, room: number) => {
    cells.push({ item, rest: 0, parent, depth, left, width: room })
    const children = (below.get(item.job.id) ?? []).sort(
      (a, b) =>
        (RANKS[a.job.state] ?? 2) - (RANKS[b.job.state] ?? 2) || compare(a.job.id, b.job.id),
    )
    const rest = item.rest?.subtree.total ?? 0
    const whole = item.job.subtree.total
    let at = left
    for (const child of children) {
      const part = whole > 0 ? (room * size(child)) / whole : 0
      place(child, item.job.id, depth + 1, at, part)
      at += part
    }
    if (rest > 0 && whole > 0) {
      const part = (room * rest) / whole
      cells.push({
        item: undefined,
        rest,
        parent: item.job.id,
        depth: depth + 1,
        left: at,
        width: part,
      })
    }
  }
  place(top, undefined, 0, 0, width)
  return cells
}

/** Ids are texts of digits of any length. */
function compare(a: Id, b: Id): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
