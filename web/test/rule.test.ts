import { expect, test } from 'vitest'
import { isName } from '../app/api/names'
import { ruleOf, textOf } from '../app/views/rule_text'

test('a rule that is typed is the rule that was shown', () => {
  const rule = {
    keepDays: 30,
    summaryDays: 400,
    namePrefix: 'nightly ',
    tags: ['a', 'b c'],
    states: ['Faulted' as const],
    expression: 'subtree.total > 1',
    enabled: false,
  }
  expect(ruleOf(textOf(rule))).toEqual(rule)
  expect(ruleOf(textOf({ keepDays: 0 }))).toEqual({ keepDays: 0, enabled: true })
})

test('what is past a limit is no rule', () => {
  const text = textOf({ keepDays: 1 })
  for (const keepDays of ['', '-1', '1.5', '36501', 'x']) {
    expect(ruleOf({ ...text, keepDays })).toBeUndefined()
  }
  for (const summaryDays of ['0', '7001', 'x']) {
    expect(ruleOf({ ...text, summaryDays })).toBeUndefined()
  }
  expect(ruleOf({ ...text, tags: 'x'.repeat(65) })).toBeUndefined()
  expect(ruleOf({ ...text, tags: Array(33).fill('x').join() })).toBeUndefined()
  expect(ruleOf({ ...text, createdBy: 'x'.repeat(257) })).toBeUndefined()
  expect(['a', 'A.b_c-9'].every(isName)).toBe(true)
  expect(['', '..', 'a b', 'x'.repeat(65)].some(isName)).toBe(false)
})
