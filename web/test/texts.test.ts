import { expect, test } from 'vitest'
import { en } from '../app/texts/en'
import { zh } from '../app/texts/zh'

/** Every text by its path; one that is made of values is made of some. */
function texts(of: object, path = ''): [string, string][] {
  return Object.entries(of).flatMap(([key, value]): [string, string][] => {
    const at = `${path}.${key}`
    if (typeof value === 'string') return [[at, value]]
    if (typeof value === 'function') return [[at, String(value(2, 3, true))]]
    return texts(value as object, at)
  })
}

test('every text is there in Chinese', () => {
  const chinese = new Map(texts(zh))
  const english = texts(en)
  expect([...chinese.keys()].sort()).toEqual(english.map(([at]) => at).sort())
  // Units, names of keys and numbers are the same in both.
  const same = english.filter(([at, text]) => chinese.get(at) === text && /[a-z]{3}/.test(text))
  expect(same.map(([at]) => at).filter((at) => !at.startsWith('.keys.'))).toEqual([])
})
