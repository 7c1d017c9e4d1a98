import { expect, test } from 'vitest'
import { parseJson, sourceOf, withSource } from '../app/api/json'

test('ids of 63 bits are exact', () => {
  const text = '{"id":9223372036854775807,"parent":null,"root":9007199254740993,"depth":1}'
  expect(parseJson(text)).toEqual({
    id: '9223372036854775807',
    parent: null,
    root: '9007199254740993',
    depth: 1,
  })
  expect(parseJson('{"missing":[9007199254740993,1],"sub":2}')).toEqual({
    missing: ['9007199254740993', '1'],
    sub: 2,
  })
  expect(parseJson('{"ids":[9223372036854775807,2],"more":false}')).toEqual({
    ids: ['9223372036854775807', '2'],
    more: false,
  })
})

test('texts stay what they are', () => {
  const options = '{"id":5,"x":"\\"id\\":7","missing":[1]}'
  const text = JSON.stringify({ options, name: '"id":12', message: '\\"root":3' })
  expect(parseJson(text)).toEqual({ options, name: '"id":12', message: '\\"root":3' })
})

test('the roots of runs are ids, and how many run is a number', () => {
  const text = '{"run":9007199254740993,"running":[9007199254740993],"load":{"running":3}}'
  expect(parseJson(text)).toEqual({
    run: '9007199254740993',
    running: ['9007199254740993'],
    load: { running: 3 },
  })
})

test('a value is found as it was written', () => {
  const text = '{"a":{"x":"b\\"},","b":[1]},"b":{"id":5, "n":9007199254740993}, "c":"b","d":1e400}'
  expect(sourceOf(text, 'b')).toBe('{"id":5, "n":9007199254740993}')
  expect(sourceOf(sourceOf(text, 'a') ?? '', 'b')).toBe('[1]')
  expect(sourceOf(text, 'd')).toBe('1e400')
  expect(sourceOf(text, 'e')).toBeUndefined()
  expect(sourceOf('', 'b')).toBeUndefined()
})

test('a value is put in place of another, and all else keeps its digits', () => {
  const text =
    '{"a": 9007199254740993, "run": {"x":1e400,"task":{"routing":{"kind":"any"}}},"b":[{"run":1}]}'
  const path = ['run', 'task', 'routing']
  expect(withSource(text, path, '{"kind":"first"}')).toBe(
    '{"a":9007199254740993,"run":{"x":1e400,"task":{"routing":{"kind":"first"}}},"b":[{"run":1}]}',
  )
  expect(withSource(text, path, undefined)).toBe(
    '{"a":9007199254740993,"run":{"x":1e400,"task":{}},"b":[{"run":1}]}',
  )
  expect(withSource('{}', ['alarm'], '{"threshold":2}')).toBe('{"alarm":{"threshold":2}}')
})
