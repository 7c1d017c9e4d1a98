/** A list as it was told last. */
export interface ToldList<Row> {
  rows: Row[]
  version: number
}

/** Takes up what differs from the list before; undefined where that is not known. */
export function taken<Row>(
  before: ToldList<Row> | undefined,
  frame: { version: number; from?: number | null; keys?: string[] | null; rows: Row[] },
  keyOf: (row: Row) => string,
): ToldList<Row> | undefined {
  const isChange = typeof frame.from === 'number'
  if (isChange && frame.from !== before?.version) return undefined
  const known = new Map((isChange ? (before?.rows ?? []) : []).map((row) => [keyOf(row), row]))
  const keys = frame.keys ?? [...known.keys()]
  for (const row of frame.rows) known.set(keyOf(row), row)
  const rows = keys.map((key) => known.get(key)).filter((row) => row !== undefined)
  return { rows, version: frame.version }
}
