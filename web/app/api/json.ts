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
 * The members of an object as they came, for JSON that users have made: to parse them would change
 * long numbers.
 */
function membersOf(text: string): [string, string][] {
  const members: [string, string][] = []
  let [depth, from, key, last] = [0, -1, '', '']
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    const isEnd = depth === 1 && (token === ',' || token === '}')
    if (isEnd && from >= 0) {
      members.push([key, text.slice(from, index).trim()])
      from = -1
    }
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (token === ':' && depth === 1) [key, from] = [JSON.parse(last) as string, index + 1]
    last = token
  }
  return members
}

/** The text of one value of an object as it came. */
export function sourceOf(text: string, key: string): string | undefined {
  return membersOf(text).find(([name]) => name === key)?.[1]
}

/** An object with another value at a path, or without one there; all else stays as it was written. */
export function withSource(text: string, path: string[], value: string | undefined): string {
  const [key = '', ...rest] = path
  const members = membersOf(text)
  const own = members.find(([name]) => name === key)
  const next = rest.length > 0 ? withSource(own?.[1] ?? '{}', rest, value) : value
  if (next === undefined) members.splice(0, members.length, ...members.filter((one) => one !== own))
  else if (own) own[1] = next
  else members.push([key, next])
  return `{${members.map(([name, source]) => `${JSON.stringify(name)}:${source}`).join(',')}}`
}
