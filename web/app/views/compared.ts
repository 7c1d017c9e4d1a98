import type { Id } from '../api/types'

/** The beginning of a list, the newest first, or all of it. */
interface Part {
  ids: Id[]
  isMore: boolean
}

interface Difference {
  /** How many roots have come to the list since it was read. */
  fresh: number
  /** Those that have left it. */
  gone: Set<Id>
}

/**
 * How a list that was read differs from its first roots as they are now. Behind the last one that
 * both have each may simply go on further than the other, unless it has ended there, or a root is
 * newer than the last one that was told.
 */
export function compared(
  listed: Part,
  told: Part | undefined,
  createTime: (id: Id) => string,
): Difference {
  if (!told) return { fresh: 0, gone: new Set() }
  const [inList, isTold] = [new Set(listed.ids), new Set(told.ids)]
  const common = told.ids.findLastIndex((id) => inList.has(id)) + 1
  const end = listed.isMore && common > 0 ? common : told.ids.length
  const fresh = told.ids.slice(0, end).filter((id) => !inList.has(id))
  const last = listed.ids.findLastIndex((id) => isTold.has(id))
  const oldest = createTime(told.ids.at(-1) ?? '')
  const isWithin = (id: Id, at: number) =>
    at < last || !told.isMore || (oldest !== '' && createTime(id) > oldest)
  const gone = listed.ids.filter((id, at) => !isTold.has(id) && isWithin(id, at))
  return { fresh: fresh.length, gone: new Set(gone) }
}
