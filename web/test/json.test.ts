import { expect, test } from 'vitest'
import { parseJson } from '../app/api/json'

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
