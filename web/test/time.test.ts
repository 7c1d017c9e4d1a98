import { expect, test } from 'vitest'
import { age, bytes, span, typed, written } from '../app/parts/time'

const units = { ms: 'ms', s: 's', min: 'min', h: 'h', d: 'd' }

test('spans have two units', () => {
  const cases: [number, string][] = [
    [0, '0 ms'],
    [999, '999 ms'],
    [1_234, '1.2 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [184_000, '3 min 4 s'],
    [3_600_000, '1 h'],
    [90_000_000, '1 d 1 h'],
    [-5, '0 ms'],
  ]
  for (const [ms, text] of cases) expect(span(ms, units)).toBe(text)
  expect(age(61_000, units)).toBe('1 min')
  expect(age(-1, units)).toBe('0 s')
})

test('times are written and read in the zone that is shown', () => {
  expect(written('2026-11-30T00:14:03.120Z', 'utc', true)).toBe('2026-11-30 00:14:03.120')
  expect(typed('2026-11-30 00:14', 'utc')).toBe('2026-11-30T00:14:00.000Z')
  expect(typed('2026-11-30', 'utc')).toBe('2026-11-30T00:00:00.000Z')
  const iso = typed('2026-07-01 12:00:05', 'local') as string
  expect(written(iso, 'local')).toBe('2026-07-01 12:00:05')
  for (const wrong of ['', 'yesterday', '2026-1-1', '2026-11-30 1']) {
    expect(typed(wrong, 'utc')).toBeUndefined()
  }
})

test('sizes have one unit', () => {
  expect([0, 999, 1_000, 123_456, 41_645_445_120].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '123 kB',
    '41.6 GB',
  ])
})
