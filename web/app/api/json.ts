/**
 * Ids have up to 63 bits, and numbers of JavaScript hold 53, so ids are kept as texts. Quotes inside
 * of a text are escaped in JSON, so `"id":` can only be a key, and only numbers are changed.
 */
const ID = /"(id|parent|root|job|source)":([0-9]+)/g
const LIST = /"(missing|ids)":\[([0-9,]+)\]/g

export function parseJson(text: string): unknown {
  const quoted = text.replace(ID, '"$1":"$2"')
  const whole = quoted.replace(
    LIST,
    (_, key: string, ids: string) => `"${key}":[${ids.replace(/[0-9]+/g, '"$&"')}]`,
  )
  return JSON.parse(whole)
}
