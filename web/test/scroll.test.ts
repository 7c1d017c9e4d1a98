import { expect, test } from 'vitest'
import { Scroll, TALLEST } from '../app/tree/scroll'

test('a short list is scrolled as the element is', () => {
  const scroll = new Scroll(1000, 28, 600)
  expect(scroll.height).toBe(28_000)
  expect(scroll.scrolled(1400)).toBe(1400)
  expect(scroll.range(0)).toEqual([50, 72])
  expect(scroll.offset(50)).toBe(1400)
})

test('every row of a million can be reached', () => {
  const scroll = new Scroll(1_000_000, 28, 600)
  expect(scroll.height).toBe(TALLEST)
  scroll.scrolled(TALLEST - 600)
  expect(scroll.range(0)[1]).toBe(1_000_000)
  scroll.scrolled(TALLEST / 2)
  expect(scroll.range(0)[0]).toBeGreaterThan(499_000)
  const before = scroll.top
  scroll.scrolled(TALLEST / 2 + 100)
  expect(scroll.top - before).toBe(100)
  expect(scroll.scrolled(0)).toBe(0)
  for (const row of [0, 1, 123_456, 999_950, 999_999]) {
    scroll.goTo(row * 28)
    const [first, end] = scroll.range(0)
    expect(first <= row && row < end).toBe(true)
    const at = scroll.offset(row) - scroll.settled()
    expect(at).toBeGreaterThanOrEqual(0)
    expect(at).toBeLessThan(600)
  }
})
