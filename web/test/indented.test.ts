import { expect, test } from 'vitest'
import { indented } from '../app/views/indented'

test('options in JSON get lines, and keep every digit', () => {
  expect(indented('{"id":9223372036854775807,"a":[1,{}],"t":"x{,}\\"y"}')).toBe(
    '{\n  "id": 9223372036854775807,\n  "a": [\n    1,\n    {}\n  ],\n  "t": "x{,}\\"y"\n}',
  )
  expect(indented('--verbose {not json}')).toBe('--verbose {not json}')
})
