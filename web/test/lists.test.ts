import { expect, test } from 'vitest'
import { taken } from '../app/live/told'

const row = (key: string, value = 1) => ({ key, value })
const keyOf = ({ key }: { key: string }) => key

test('a list takes up what differs', () => {
  const whole = taken(
    undefined,
    { version: 1, keys: ['a', 'b'], rows: [row('b'), row('a')] },
    keyOf,
  )
  expect(whole).toEqual({ version: 1, rows: [row('a'), row('b')] })
  const changed = taken(whole, { version: 2, from: 1, rows: [row('b', 2)] }, keyOf)
  expect(changed).toEqual({ version: 2, rows: [row('a'), row('b', 2)] })
  const moved = taken(changed, { version: 3, from: 2, keys: ['c', 'b'], rows: [row('c')] }, keyOf)
  expect(moved).toEqual({ version: 3, rows: [row('c'), row('b', 2)] })
})

test('a whole list takes the place of what was known, and a change of another list is none', () => {
  const whole = taken(undefined, { version: 1, keys: ['a'], rows: [row('a')] }, keyOf)
  const anew = taken(whole, { version: 4, keys: ['b'], rows: [row('b')] }, keyOf)
  expect(anew?.rows).toEqual([row('b')])
  expect(taken(whole, { version: 6, from: 5, rows: [] }, keyOf)).toBeUndefined()
})
