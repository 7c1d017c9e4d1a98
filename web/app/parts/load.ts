import { useEffect, useRef } from 'preact/hooks'
import { ApiError } from '../api/client'
import { live } from '../live/socket'
import { batch, useSignal, type Signal } from '@preact/signals'

export interface Loaded<Value> {
  /** What was read last; it stays while something new is read. */
  value: Value | undefined
  error: unknown
  isLoading: boolean
  reload: () => void
}

/** Reads when the key changes. A new read cancels the one before, whose answer is not shown. */
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
  useEffect(() => {
    const abort = new AbortController()
    isLoading.value = true
    latest.current(abort.signal).then(
      (found) => {
        if (abort.signal.aborted) return
        batch(() => ((value.value = found), (error.value = undefined), (isLoading.value = false)))
      },
      (failed) => {
        if (abort.signal.aborted) return
        batch(() => ((error.value = failed), (isLoading.value = false)))
      },
    )
    return () => abort.abort()
  }, [key, round.value])
  const reload = () => void (round.value += 1)
  // What could not be reached is read again when the connection is back.
  const isBack = live.status.value === 'live'
  useEffect(() => {
    const failed = error.peek()
    if (isBack && failed instanceof ApiError && failed.status === 0) reload()
  }, [isBack])
  return { value: value.value, error: error.value, isLoading: isLoading.value, reload }
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
