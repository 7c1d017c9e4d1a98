/** JSON in lines of its own; numbers keep their digits, since nothing is read but the signs. */
export function indented(text: string): string {
  try {
    JSON.parse(text)
  } catch {
    return text
  }
  let depth = 0
  const pieces = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? []
  const line = () => `\n${'  '.repeat(depth)}`
  return pieces
    .map((piece, at) => {
      if (piece === '{' || piece === '[') {
        const isEmpty = pieces[at + 1] === '}' || pieces[at + 1] === ']'
        depth += 1
        return isEmpty ? piece : piece + line()
      }
      if (piece === '}' || piece === ']') {
        depth -= 1
        const isEmpty = pieces[at - 1] === '{' || pieces[at - 1] === '['
        return isEmpty ? piece : line() + piece
      }
      if (piece === ',') return piece + line()
      return piece === ':' ? ': ' : piece
    })
    .join('')
}
