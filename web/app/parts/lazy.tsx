import { useEffect, useState } from 'preact/hooks'
import type { ComponentType } from 'preact'
import { Failed, Skeleton } from './small'

/** A component whose code is loaded when it is first shown. */
export function Lazy<Props extends object>({
  load,
  props,
}: {
  load: () => Promise<ComponentType<Props>>
  props: Props
}) {
  const [found, setFound] = useState<{ component?: ComponentType<Props>; error?: unknown }>({})
  const [round, setRound] = useState(0)
  useEffect(() => {
    let isWanted = true
    load().then(
      (component) => isWanted && setFound({ component }),
      (error: unknown) => isWanted && setFound({ error }),
    )
    return () => {
      isWanted = false
    }
  }, [load, round])
  if (found.error !== undefined) {
    return <Failed error={found.error} retry={() => setRound(round + 1)} />
  }
  const Component = found.component
  return Component ? <Component {...props} /> : <Skeleton />
}
