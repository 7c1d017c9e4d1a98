import type { ComponentChildren } from 'preact'
import { get } from '../api/client'
import type { Overview } from '../api/types'
import { useServiceState } from '../live/state'
import { now } from '../parts/clock'
import { StateIcon } from '../parts/icons'
import { useLoad } from '../parts/load'
import { exact } from '../parts/number'
import { Failed, Skeleton } from '../parts/small'
import { bytes, span } from '../parts/time'
import { useTitle } from '../shell/title'
import { t } from '../texts'

/** How the server is that answers, from its memory. */
export function ServiceView() {
  const words = t.value.service
  useTitle(t.value.nav.service)
  const loaded = useLoad('service', (abort) => get<Overview>('overview', {}, abort))
  const told = useServiceState({
    topic: 'overview',
    read: (frame) => (frame.t === 'overview' ? frame.overview : undefined),
    ask: () => get<Overview>('overview'),
  })
  const value = told ?? loaded.value
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
      </div>
      <div class="scroll pad stack">
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {!value && loaded.isLoading && <Skeleton />}
        {value && <Numbers overview={value} />}
      </div>
    </div>
  )
}

function Numbers({ overview }: { overview: Overview }) {
  const words = t.value.service
  const { operations, requests, viewers, followUps, store, version, started } = overview
  const state = store.isAlive ? 'RanToCompletion' : 'Faulted'
  return (
    <>
      <p class={`ready i-${state}`}>
        <StateIcon state={state} />
        <b>{store.isAlive ? words.ready : words.notReady}</b>
        <span class="muted num">
          {words.started} {span(now.value - Date.parse(started), t.value.units)} · {words.version}{' '}
          {version}
        </span>
      </p>
      <Group name={words.groups.work}>
        <Tile name={words.operations} value={exact(operations.perMinute)} />
        <Tile name={words.requests} value={exact(requests.perMinute)} />
        <Tile name={words.waiting} value={exact(operations.waiting)} />
        <Tile name={words.inFlight} value={exact(requests.inFlight)} />
        <Tile
          name={words.refused}
          value={exact(operations.refused)}
          isBad={operations.refused > 0}
        />
      </Group>
      <Group name={words.groups.told}>
        <Tile name={words.due} value={exact(followUps.due)} />
        <Tile name={words.underWay} value={exact(followUps.underWay)} />
        <Tile name={words.delivered} value={exact(followUps.delivered)} />
        <Tile name={words.failed} value={exact(followUps.failed)} isBad={followUps.failed > 0} />
      </Group>
      <Group name={store.isShared ? `${words.groups.store} (${words.shared})` : words.groups.store}>
        <Tile name={words.jobs} value={said(store.jobs, exact)} />
        <Tile name={words.size} value={said(store.bytes, bytes)} />
        <Tile name={words.free} value={said(store.freeBytes, bytes)} />
      </Group>
      <Group name={words.groups.people}>
        <Tile name={words.viewers} value={exact(viewers.connections)} />
        <Tile name={words.watched} value={exact(viewers.trees)} />
      </Group>
    </>
  )
}

/** A store may not be able to tell. */
function said(value: number | null | undefined, write: (value: number) => string): string {
  return value === null || value === undefined ? '–' : write(value)
}

function Group({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <section>
      <h2 class="group-name">{name}</h2>
      <dl class="tiles">{children}</dl>
    </section>
  )
}

function Tile({ name, value, isBad }: { name: string; value: string; isBad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={isBad ? 'num wrong' : 'num'}>{value}</dd>
    </div>
  )
}
