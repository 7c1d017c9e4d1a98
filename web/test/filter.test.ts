import { expect, test } from 'vitest'
import { parsed } from '../app/views/filter_text'

test('words say what is looked for', () => {
  expect(parsed('')).toEqual({})
  expect(parsed('nightly crawl')).toEqual({ namePrefix: 'nightly crawl' })
  expect(parsed('tag:a by:me tag:b night')).toEqual({
    tags: 'a,b',
    createdBy: 'me',
    namePrefix: 'night',
  })
  expect(parsed('x cel:subtree.failed > 0 && "a" in tags')).toEqual({
    namePrefix: 'x',
    expression: 'subtree.failed > 0 && "a" in tags',
  })
  expect(parsed('tag: by: cel:')).toEqual({})
})
