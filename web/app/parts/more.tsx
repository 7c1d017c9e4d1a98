import { t } from '../texts'
import type { Paged } from './load'
import { Failed } from './small'

/** The way to the next page of a list. Where that cannot be read it is said there. */
export function More({ pages }: { pages: Paged<unknown> }) {
  const next = () => void pages.next()
  if (!pages.isMore) return null
  if (pages.nextError !== undefined) return <Failed error={pages.nextError} retry={next} />
  return (
    <button type="button" class="more" disabled={pages.isReading} onClick={next}>
      {pages.isReading ? t.value.loading : t.value.more}
    </button>
  )
}
