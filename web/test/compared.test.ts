import { expect, test } from 'vitest'
import { compared } from '../app/views/compared'

/** Roots are named by the second of their creation, the newest first. */
const time = (id: string) => (id ? `2026-01-01T00:00:${id}.000Z` : '')
const of = (listed: string[], told: string[] | undefined, isMore: [boolean, boolean]) => {
  const window = told && { ids: told, isMore: isMore[1] }
  const { fresh, gone } = compared({ ids: listed, isMore: isMore[0] }, window, time)
  return [fresh, ...gone]
}

test('roots that have come and gone', () => {
  expect(of(['15', '14', '13'], ['16', '15', '13'], [false, false])).toEqual([1, '14'])
  // Nothing was told yet.
  expect(of(['15', '14'], undefined, [false, true])).toEqual([0])
  // All have left.
  expect(of(['15', '14'], [], [false, false])).toEqual([0, '15', '14'])
  expect(of(['15', '14'], ['16'], [false, false])).toEqual([1, '15', '14'])
})

test('one that has left the list at its old end', () => {
  expect(of(['15', '14', '13'], ['15', '14'], [false, false])).toEqual([0, '13'])
  // What is told goes on further back than the page: 13 is newer than the last one of it.
  expect(of(['15', '14', '13'], ['15', '14', '12'], [true, true])).toEqual([0, '13'])
})

test('rows that were read further back than what is told may still be there', () => {
  expect(of(['15', '14', '13', '12'], ['15', '14'], [true, true])).toEqual([0])
  expect(of(['15', '14', '13', '12'], ['16', '15'], [true, true])).toEqual([1])
  // And so may those that are told further back than what was read.
  expect(of(['15', '14'], ['15', '14', '13'], [true, false])).toEqual([0])
})
