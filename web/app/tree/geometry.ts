import type { Id } from '../api/types'

/**
 * The rows of an outline, from numbers alone: how many children each opened job has, and which of
 * them are open. Nothing here knows which jobs the rows are.
 */
export interface Branch {
  id: Id
  /** Children that are listed. */
  count: number
  /** Opened children by their place, in ascending order. */
  open: Opened[]
}

export interface Opened {
  offset: number
  branch: Branch
}

export interface Place {
  branch: Branch
  offset: number
  depth: number
  /** The opened child itself, if it is open. */
  opened: Branch | undefined
}

export function branchOf(id: Id, count: number): Branch {
  return { id, count, open: [] }
}

/** How many rows a branch has, with those of its opened children. */
export function rowCount(branch: Branch): number {
  return branch.open.reduce((rows, { branch: inner }) => rows + rowCount(inner), branch.count)
}

/** What is in row `index` of a branch. */
export function placeAt(branch: Branch, index: number, depth = 0): Place | undefined {
  let before = 0
  for (const { offset, branch: inner } of branch.open) {
    const own = offset + before
    if (index < own) break
    if (index === own) return { branch, offset, depth, opened: inner }
    const rows = rowCount(inner)
    if (index <= own + rows) return placeAt(inner, index - own - 1, depth + 1)
    before += rows
  }
  const offset = index - before
  return offset < branch.count ? { branch, offset, depth, opened: undefined } : undefined
}

/** The row of a child of `target`, which is the branch itself or one that is open below it. */
export function rowOf(branch: Branch, target: Branch, offset: number): number | undefined {
  let before = 0
  for (const opened of branch.open) {
    if (branch === target && opened.offset >= offset) break
    if (branch !== target) {
      const inner = rowOf(opened.branch, target, offset)
      if (inner !== undefined) return opened.offset + before + 1 + inner
    }
    before += rowCount(opened.branch)
  }
  return branch === target ? offset + before : undefined
}

/** The way to an opened branch, from the top: the branches above it and the places in them. */
export function wayTo(
  branch: Branch,
  target: Branch,
): { branch: Branch; offset: number }[] | undefined {
  if (branch === target) return []
  for (const { offset, branch: inner } of branch.open) {
    const rest = wayTo(inner, target)
    if (rest) return [{ branch, offset }, ...rest]
  }
  return undefined
}

export function openAt(branch: Branch, offset: number, child: Branch) {
  branch.open = [
    ...branch.open.filter((opened) => opened.offset !== offset),
    { offset, branch: child },
  ]
  branch.open.sort((a, b) => a.offset - b.offset)
}

export function closeAt(branch: Branch, offset: number) {
  branch.open = branch.open.filter((opened) => opened.offset !== offset)
}

export function* branches(branch: Branch): Generator<Branch> {
  yield branch
  for (const { branch: inner } of branch.open) yield* branches(inner)
}
