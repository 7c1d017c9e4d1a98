import { useEffect } from 'preact/hooks'
import { ApiError, get, type Params } from '../api/client'
import type { Subtree } from '../api/types'
import { useLoad, useReloadOn } from '../parts/load'
import { exact } from '../parts/number'
import { PARTS } from '../parts/state'
import { bothZones } from '../parts/small'
import { written, zoneName } from '../parts/time'
import { isNarrow } from '../shell/layout'
import { zone } from '../shell/prefs'
import { query, setQuery } from '../shell/router'
import { t } from '../texts'
import { hasFilter } from './filters'

const BUCKETS = 60
const AGAIN_MS = 15_000
/** The pause after the service was busy with other histograms. */
const BUSY_MS = 2_000

interface Counted {
  histogram?: {
    from: string
    widthMs: number
    buckets: Subtree[]
    countedFrom?: string | null
  } | null
}

/** How many trees were created when, by their state now. A press shows those of one bucket. */
export function Histogram({ params, change }: { params: Params; change: unknown }) {
  const key = JSON.stringify(params)
  const loaded = useLoad(key, (abort) =>
    get<Counted>('roots', { ...params, limit: 1, fields: 'row', histogram: BUCKETS }, abort),
  )
  useReloadOn(change, loaded.reload, AGAIN_MS)
  const isBusy = loaded.error instanceof ApiError && loaded.error.status === 429
  useEffect(() => {
    if (!isBusy) return
    const timer = setTimeout(loaded.reload, BUSY_MS)
    return () => clearTimeout(timer)
  }, [loaded.error])
  if (isNarrow.value) return null
  const counted = loaded.value?.histogram
  // Its place is kept while it is made, so that the list below does not move.
  if (!counted) return loaded.isLoading ? <figure class="histogram" aria-hidden="true" /> : null
  const most = Math.max(0, ...counted.buckets.map(({ total }) => total))
  if (most === 0 && !hasFilter(query.value)) return null
  const from = Date.parse(counted.from)
  const to = from + counted.widthMs * counted.buckets.length
  const iso = (ms: number) => new Date(ms).toISOString()
  return (
    <figure class="histogram">
      <div class="histogram-bars" role="group" aria-label={t.value.histogram.title}>
        {counted.buckets.map((bucket, at) => (
          <Bucket
            key={at}
            bucket={bucket}
            most={most}
            from={from + at * counted.widthMs}
            width={counted.widthMs}
          />
        ))}
      </div>
      <figcaption class="muted num">
        <span title={bothZones(iso(from))}>
          {written(iso(from), zone.value)} {zoneName(from, zone.value)}
        </span>
        {counted.countedFrom && (
          <span>{t.value.histogram.cut(written(counted.countedFrom, zone.value))}</span>
        )}
        <span title={bothZones(iso(to))}>{written(iso(to), zone.value)}</span>
      </figcaption>
    </figure>
  )
}

interface BucketProps {
  bucket: Subtree
  most: number
  from: number
  width: number
}

function Bucket({ bucket, most, from, width }: BucketProps) {
  if (bucket.total === 0) return <span class="bucket" />
  const at = (ms: number) => written(new Date(ms).toISOString(), zone.value)
  const parts = PARTS.filter(({ key }) => bucket[key] > 0)
  const said = `${at(from)}: ${parts.map(({ key }) => `${exact(bucket[key])} ${t.value.parts[key]}`).join(', ')}`
  return (
    <button
      type="button"
      class="bucket"
      title={said}
      aria-label={said}
      onClick={() => setQuery({ range: undefined, from: at(from), to: at(from + width + 999) })}
    >
      <span class="bucket-bar" style={{ height: `max(3px, ${(bucket.total / most) * 100}%)` }}>
        {parts.map(({ key, state }) => (
          <span key={key} class={`b-${state}`} style={{ flexGrow: bucket[key] }} />
        ))}
      </span>
    </button>
  )
}
