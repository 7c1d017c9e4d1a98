/**
 * Ids have up to 63 bits, and numbers of JavaScript hold 53, so ids are kept as texts. Quotes inside
 * of a text are escaped in JSON, so `"id":` can only be a key, and only numbers are changed.
 */
const ID = /"(id|parent|root|job|source)":([0-9]+)/g
const MISSING = /"missing":\[([0-9,]*)\]/g

export function parseJson(text: string): unknown {
  const quoted = text.replace(ID, '"$1":"$2"')
  return JSON.parse(
    quoted.includes('"missing":[')
      ? quoted.replace(MISSING, (_, ids: string) => `"missing":[${ids.replace(/[0-9]+/g, '"$&"')}]`)
      : quoted,
  )
}
