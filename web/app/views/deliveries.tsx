import { useEffect, useState } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import { get, post } from '../api/client'
import type { Delivery, Overview, Page } from '../api/types'
import { useServiceState } from '../live/state'
import { now } from '../parts/clock'
import { DeliveryLine } from '../parts/deliveries'
import { ActDialog } from '../parts/dialog'
import { usePages, type Paged } from '../parts/load'
import { exact } from '../parts/number'
import { More } from '../parts/more'
import { Empty, Failed, say, Skeleton } from '../parts/small'
import { typed, written } from '../parts/time'
import { zone } from '../shell/prefs'
import { query, setQuery } from '../shell/router'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'

const PAGE = 200

/** All deliveries that failed, of every tree, the newest first; once more, one or a range. */
export function DeliveriesView() {
  const words = t.value.deliveries
  useTitle(t.value.nav.deliveries)
  const [isReplaying, setReplaying] = useState(false)
  const from = typed(query.value.get('from') ?? '', zone.value)
  const to = typed(query.value.get('to') ?? '', zone.value)
  const loaded = usePages(`${from} ${to}`, (abort, cursor) =>
    get<Page<Delivery>>('deliveries/failed', { from, to, limit: PAGE, cursor }, abort),
  )
  const { items } = loaded
  const fresh = useFresh(loaded)
  return (
    <div class="fill">
      <Head items={items} reload={loaded.reload} replay={() => setReplaying(true)} />
      <div class="filters">
        <Range name="from" label={t.value.trees.from} />
        <Range name="to" label={t.value.trees.to} />
      </div>
      {fresh > 0 && (
        <button type="button" class="pill new" onClick={loaded.reload}>
          {words.fresh(fresh)}
        </button>
      )}
      <div class="scroll pad">
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {loaded.isLoading && !loaded.value && <Skeleton />}
        {loaded.value && items.length === 0 && (
          <Empty title={words.none}>
            <p class="muted">{words.noneHint}</p>
          </Empty>
        )}
        <ul class="deliveries">
          {items.map((delivery) => (
            <DeliveryLine key={delivery.id} delivery={delivery} withJob done={loaded.reload} />
          ))}
        </ul>
        <More pages={loaded} />
      </div>
      {isReplaying && (
        <Replay
          items={items}
          isMore={loaded.isMore}
          done={loaded.reload}
          close={() => setReplaying(false)}
        />
      )}
    </div>
  )
}

/** How many deliveries have failed since the list was read; they wait until they are asked for. */
function useFresh(loaded: Paged<Delivery>): number {
  const told = useServiceState({
    topic: 'deliveries',
    read: (frame) => (frame.t === 'deliveries' ? frame.followUps : undefined),
    ask: async () => (await get<Overview>('overview')).followUps,
  })
  const base = useSignal<number | undefined>(undefined)
  const failed = told?.failed
  useEffect(() => {
    base.value = failed
  }, [loaded.value])
  useEffect(() => {
    // The numbers are those of one process: they begin anew with it.
    if (failed !== undefined && failed < (base.peek() ?? Infinity)) base.value = failed
  }, [failed])
  const fresh = failed === undefined ? 0 : failed - (base.value ?? failed)
  const isEmpty = loaded.value?.length === 0
  useEffect(() => {
    if (isEmpty && fresh > 0) loaded.reload()
  }, [isEmpty, fresh])
  return fresh
}

interface HeadProps {
  items: Delivery[]
  reload: () => void
  replay: () => void
}

function Head({ items, reload, replay }: HeadProps) {
  const words = t.value.deliveries
  const canAct = may('operator')
  return (
    <div class="page-head">
      <h1>{words.title}</h1>
      <span class="grow" />
      <button type="button" class="quiet" onClick={reload}>
        {t.value.refresh}
      </button>
      <button
        type="button"
        disabled={!canAct || items.length === 0}
        title={canAct ? undefined : t.value.needsRole('operator')}
        onClick={replay}
      >
        {words.replayAll}
      </button>
    </div>
  )
}

function Range({ name, label }: { name: string; label: string }) {
  return (
    <label class="inline-label">
      {label}
      <input
        type="text"
        class="time-field"
        placeholder="2026-11-30 08:00"
        value={query.value.get(name) ?? ''}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value || undefined })}
      />
    </label>
  )
}

interface ReplayProps {
  items: Delivery[]
  isMore: boolean
  done: () => void
  close: () => void
}

/** Those that are listed, by the times at which they failed. */
function Replay({ items, isMore, done, close }: ReplayProps) {
  const words = t.value.deliveries
  const times = items
    .map((item) => item.endTime ?? item.lastAttempt?.time ?? item.event.time)
    .sort()
  const first = times[0] ?? new Date(now.peek()).toISOString()
  const last = new Date(Date.parse(times.at(-1) ?? first) + 1).toISOString()
  const act = async () => {
    let count = 0
    for (let isLeft = true; isLeft;) {
      const answer = await post<{ replayed: number; more: boolean }>('deliveries/replay', {
        from: first,
        to: last,
      })
      count += answer.replayed
      isLeft = answer.more && answer.replayed > 0
    }
    say(words.replayed(count))
    done()
  }
  return (
    <ActDialog
      title={words.replayAll}
      doIt={words.replayCount(items.length)}
      undo={words.replayUndo}
      act={act}
      onClose={close}
    >
      <p>
        {words.rangeWhat(
          `${exact(items.length)}${isMore ? '+' : ''}`,
          written(first, zone.value),
          written(last, zone.value),
        )}
      </p>
    </ActDialog>
  )
}
