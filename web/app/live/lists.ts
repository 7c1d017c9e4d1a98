import { useEffect, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import type { Schedule, ServerFrame, Worker } from '../api/types'
import { live } from './socket'
import { taken, type ToldList } from './told'

interface Rows {
  workers: Worker
  schedules: Schedule
}
type Kind = keyof Rows

const KEYS: { [Each in Kind]: (row: Rows[Each]) => string } = {
  workers: ({ id }) => id,
  schedules: ({ name }) => name,
}

/** Without a WebSocket a list is asked for less often than single rows. */
const POLL_EVERY_MS = 5_000

/**
 * The first rows of a list as they are now, once they were told. While there is no WebSocket
 * `reload` is called instead.
 */
export function useLiveList<Each extends Kind>(
  topic: Each,
  filter: string | undefined,
  reload: () => void,
): ToldList<Rows[Each]> | undefined {
  const told = useSignal<ToldList<Rows[Each]> | undefined>(undefined)
  const latest = useRef(reload)
  latest.current = reload
  useEffect(() => {
    told.value = undefined
    let polled = 0
    const take = (frame: ServerFrame) => {
      if (frame.t !== topic) return
      const list = frame as unknown as Parameters<typeof taken<Rows[Each]>>[1]
      told.value = taken(told.peek(), list, KEYS[topic])
      if (!told.value) latest.current()
    }
    const poll = async () => {
      // What was told before is older than what is asked for.
      told.value = undefined
      if (Date.now() - polled < POLL_EVERY_MS) return
      polled = Date.now()
      latest.current()
    }
    const handle = live.subscribe(() => (filter ? { topic, filter } : { topic }), {
      frame: take,
      poll,
    })
    return () => handle.close()
  }, [topic, filter])
  return told.value
}
