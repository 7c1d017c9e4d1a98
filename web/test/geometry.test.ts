import { expect, test } from 'vitest'
import {
  branchOf,
  closeAt,
  openAt,
  placeAt,
  rowCount,
  rowOf,
  wayTo,
  type Branch,
} from '../app/tree/geometry'

/** The same by writing out all rows. */
function written(branch: Branch, depth = 0): [Branch, number, number][] {
  const rows: [Branch, number, number][] = []
  for (let offset = 0; offset < branch.count; offset++) {
    rows.push([branch, offset, depth])
    const opened = branch.open.find((child) => child.offset === offset)
    if (opened) rows.push(...written(opened.branch, depth + 1))
  }
  return rows
}

function random(seed: number) {
  return () => (seed = (seed * 16807) % 2147483647) / 2147483647
}

function grown(next: () => number, depth: number): Branch {
  const branch = branchOf(`${next()}`, Math.floor(next() * 6))
  for (let offset = 0; offset < branch.count && depth < 4; offset++) {
    if (next() < 0.4) openAt(branch, offset, grown(next, depth + 1))
  }
  return branch
}

test('rows are those of the tree written out', () => {
  const next = random(7)
  for (let round = 0; round < 200; round++) {
    const top = grown(next, 0)
    const rows = written(top)
    expect(rowCount(top)).toBe(rows.length)
    rows.forEach(([branch, offset, depth], index) => {
      const place = placeAt(top, index)
      expect(place?.branch).toBe(branch)
      expect([place?.offset, place?.depth]).toEqual([offset, depth])
      expect(rowOf(top, branch, offset)).toBe(index)
      expect(wayTo(top, branch)?.length).toBe(depth)
    })
    expect(placeAt(top, rows.length)).toBeUndefined()
  }
})

test('a closed job has no rows below it', () => {
  const top = branchOf('1', 1_000_000)
  openAt(top, 999_999, branchOf('2', 5))
  openAt(top, 3, branchOf('3', 7))
  expect(rowCount(top)).toBe(1_000_012)
  expect(placeAt(top, 1_000_011)?.branch.id).toBe('2')
  closeAt(top, 3)
  expect(rowCount(top)).toBe(1_000_005)
})
