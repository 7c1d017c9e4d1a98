import { useEffect, useMemo, useRef } from 'preact/hooks'
import { ApiError } from '../api/client'
import type { Page } from '../api/types'
import { live } from '../live/socket'
import { batch, useSignal, type Signal } from '@preact/signals'

export interface Loaded<Value> {
  /** What was read last; it stays while something new is read. */
  value: Value | undefined
  error: unknown
  isLoading: boolean
  reload: () => void
}

/**
 * Reads when the key changes; what is read for the key before is cancelled and not shown. A reload
 * waits for the read under way, so that frequent ones cannot keep it from ending.
 */
export function useLoad<Value>(
  key: string,
  read: (signal: AbortSignal) => Promise<Value>,
): Loaded<Value> {
  const value = useSignal<Value | undefined>(undefined)
  const error = useSignal<unknown>(undefined)
  const isLoading = useSignal(true)
  const round = useSignal(0)
  const latest = useRef(read)
  latest.current = read
  const reading = useRef<{ again: boolean } | undefined>(undefined)
  const reload = () => {
    if (reading.current) reading.current.again = true
    else round.value += 1
  }
  useEffect(() => {
    const abort = new AbortController()
    const own = { again: false }
    reading.current = own
    isLoading.value = true
    const end = () => {
      if (reading.current !== own) return
      reading.current = undefined
      if (own.again) reload()
    }
    latest
      .current(abort.signal)
      .then(
        (found) => {
          if (abort.signal.aborted) return
          batch(() => ((value.value = found), (error.value = undefined), (isLoading.value = false)))
        },
        (failed) => {
          if (abort.signal.aborted) return
          batch(() => ((error.value = failed), (isLoading.value = false)))
        },
      )
      .then(end)
    return () => {
      abort.abort()
      reading.current = undefined
    }
  }, [key, round.value])
  // What could not be reached is read again when the connection is back.
  const isBack = live.status.value === 'live'
  useEffect(() => {
    const failed = error.peek()
    if (isBack && failed instanceof ApiError && failed.status === 0) reload()
  }, [isBack])
  return { value: value.value, error: error.value, isLoading: isLoading.value, reload }
}

export interface Paged<Item> extends Loaded<Item[]> {
  /** Those of the first page and of all that were read after it. */
  items: Item[]
  isFirst: boolean
  isMore: boolean
  /** How many pages were read. */
  reads: number
  /** How many of the last pages had few items: a filter of which little is true. */
  sparse: number
  isReading: boolean
  /** Why the next page is not there. */
  nextError: unknown
  next: () => Promise<void>
}

/** A page with fewer items than this is a sparse one. */
const FEW = 10

/** A list that is read page by page; a page that belongs to a list before is not appended. */
export function usePages<Item>(
  key: string,
  read: (abort: AbortSignal, cursor?: string) => Promise<Page<Item>>,
): Paged<Item> {
  const more = useSignal<Item[]>([])
  const cursor = useSignal<string | null>(null)
  const reads = useSignal(0)
  const sparse = useSignal(0)
  const isReading = useSignal(false)
  const nextError = useSignal<unknown>(undefined)
  const keyOfCursor = useRef(key)
  const following = useRef<AbortController | undefined>(undefined)
  const stop = () => {
    following.current?.abort()
    following.current = undefined
    isReading.value = false
  }
  const took = (page: Page<Item>) => {
    cursor.value = page.nextCursor ?? null
    reads.value += 1
    sparse.value = page.items.length < FEW ? sparse.peek() + 1 : 0
    nextError.value = undefined
  }
  const loaded = useLoad(key, async (abort) => {
    const page = await read(abort)
    if (abort.aborted) return []
    stop()
    batch(() => ((more.value = []), (sparse.value = 0), took(page)))
    keyOfCursor.current = key
    return page.items
  })
  useEffect(() => stop, [key])
  const next = async () => {
    const at = cursor.peek()
    if (at === null || keyOfCursor.current !== key || following.current) return
    const abort = new AbortController()
    following.current = abort
    isReading.value = true
    try {
      const page = await read(abort.signal, at)
      if (abort.signal.aborted) return
      batch(() => ((more.value = [...more.peek(), ...page.items]), took(page)))
    } catch (error) {
      if (!abort.signal.aborted) nextError.value = error
    } finally {
      if (following.current === abort) stop()
    }
  }
  const items = useMemo(() => [...(loaded.value ?? []), ...more.value], [loaded.value, more.value])
  return {
    ...loaded,
    items,
    isFirst: more.value.length === 0,
    isMore: cursor.value !== null,
    reads: reads.value,
    sparse: sparse.value,
    isReading: isReading.value,
    nextError: nextError.value,
    next,
  }
}

/** Reads again when something changes, at most every `pause` milliseconds. */
export function useReloadOn(change: unknown, reload: () => void, pause = 2_000) {
  const last = useRef(0)
  const isFirst = useRef(true)
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false
      return
    }
    const wait = Math.max(0, last.current + pause - Date.now())
    const timer = setTimeout(() => {
      last.current = Date.now()
      reload()
    }, wait)
    return () => clearTimeout(timer)
  }, [change])
}

/** The width and height of an element as they change, without what `inset` takes from its top. */
export function useSize(
  element: { current: HTMLElement | null },
  size: Signal<[number, number]>,
  inset: () => number = () => 0,
) {
  useEffect(() => {
    const target = element.current
    if (!target) return
    const measure = () => {
      const [width, height] = [target.clientWidth, target.clientHeight - inset()]
      if (width !== size.peek()[0] || height !== size.peek()[1]) size.value = [width, height]
    }
    const observer = new ResizeObserver(measure)
    observer.observe(target)
    measure()
    return () => observer.disconnect()
  }, [])
}
