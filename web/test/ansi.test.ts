import { expect, test } from 'vitest'
import { pieces, plain } from '../app/parts/ansi'

test('colours become classes', () => {
  expect(pieces('plain')).toEqual([{ text: 'plain', style: '' }])
  expect(pieces('\u001b[1;31mbad\u001b[0m fine')).toEqual([
    { text: 'bad', style: 'bold a31' },
    { text: ' fine', style: '' },
  ])
  expect(pieces('\u001b[38;5;196mred\u001b[39m \u001b[48;2;0;200;0mgreen\u001b[m.')).toEqual([
    { text: 'red', style: 'a31' },
    { text: ' ', style: '' },
    { text: 'green', style: 'a42' },
    { text: '.', style: '' },
  ])
})

test('other sequences vanish, and nothing else does', () => {
  const line = '\u001b[2K\u001b]0;title\u0007<b>x</b>\u001b[1A & \u001b'
  expect(
    pieces(line)
      .map((piece) => piece.text)
      .join(''),
  ).toBe('<b>x</b> & \u001b')
  expect(plain('\u001b[31mbad\u001b[0m')).toBe('bad')
})
