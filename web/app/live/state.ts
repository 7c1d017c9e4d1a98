import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { ServerFrame, Subscribe } from '../api/types'
import { live } from './socket'

interface Source<Value> {
  topic: Subscribe['topic']
  read: (frame: ServerFrame) => Value | undefined
  /** Asks for it instead, while there is no WebSocket. */
  ask: () => Promise<Value>
}

/** A state of the service as it was told last. */
export function useServiceState<Value>({ topic, read, ask }: Source<Value>): Value | undefined {
  const told = useSignal<Value | undefined>(undefined)
  useEffect(() => {
    const handle = live.subscribe(() => ({ topic }), {
      frame: (frame) => {
        const value = read(frame)
        if (value !== undefined) told.value = value
      },
      poll: async () => {
        told.value = await ask()
      },
    })
    return () => handle.close()
  }, [topic])
  return told.value
}
