import { useEffect, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import type { Subscribe } from '../api/types'
import { useReloadOn } from '../parts/load'
import { live } from './socket'

/** Reads again when something of these kinds happens, or may have happened unseen. */
export function useReloadOnEvents(
  topic: string,
  kinds: NonNullable<Subscribe['kinds']>,
  reload: () => void,
) {
  const heard = useSignal(0)
  const latest = useRef(reload)
  latest.current = reload
  useEffect(() => {
    const handle = live.subscribe(() => ({ topic, kinds }), {
      frame: (frame) => {
        // A whole snapshot comes at the beginning, and after each break.
        const isBegun = frame.t === 'snap' && !frame.from
        const isNews = frame.t === 'event' || frame.t === 'gap' || frame.t === 'end'
        if (isBegun || isNews) heard.value += 1
      },
      poll: async () => latest.current(),
    })
    return () => handle.close()
  }, [topic])
  useReloadOn(heard.value, reload, 1_000)
}
