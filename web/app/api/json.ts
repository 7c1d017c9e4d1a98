/**
 * Ids have up to 63 bits, and numbers of JavaScript hold 53, so ids are kept as texts. Quotes inside
 * of a text are escaped in JSON, so `"id":` can only be a key, and only numbers are changed.
 */
const ID = /"(id|parent|root|job|source|run)":([0-9]+)/g
const LIST = /"(missing|ids|running)":\[([0-9,]+)\]/g

export function parseJson(text: string): unknown {
  const quoted = text.replace(ID, '"$1":"$2"')
  const whole = quoted.replace(
    LIST,
    (_, key: string, ids: string) => `"${key}":[${ids.replace(/[0-9]+/g, '"$&"')}]`,
  )
  return JSON.parse(whole)
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/**
 * The text of one value of an object as it came, for JSON that users have made: to parse it would
 * change long numbers.
 */
export function sourceOf(text: string, key: string): string | undefined {
  let [depth, from, last] = [0, -1, '']
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    const isEnd = depth === 1 && (token === ',' || token === '}')
    if (isEnd && from >= 0) return text.slice(from, index).trim()
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (token === ':' && depth === 1 && last === `"${key}"`) from = index + 1
    last = token
  }
  return undefined
}
