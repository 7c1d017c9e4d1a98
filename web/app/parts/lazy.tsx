import { useEffect, useState } from 'preact/hooks'
import type { ComponentType } from 'preact'
import { isOutdated, reloadOnce } from '../shell/version'
import { Failed, Skeleton } from './small'

/** Loads code, or the whole page where the service has another one: parts of two do not fit. */
async function loaded<Component>(load: () => Promise<Component>): Promise<Component | undefined> {
  if (isOutdated.peek() && (await reloadOnce())) return undefined
  try {
    return await load()
  } catch (error) {
    if (await reloadOnce()) return undefined
    throw error
  }
}

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
    loaded(load).then(
      (component) => isWanted && component && setFound({ component }),
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
