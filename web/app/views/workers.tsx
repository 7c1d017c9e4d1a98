import { useState } from 'preact/hooks'
import { BASE, get, post } from '../api/client'
import type { Page, Worker } from '../api/types'
import { useLiveList } from '../live/lists'
import { ActDialog } from '../parts/dialog'
import { NumberField, wholeNumber } from '../parts/fields'
import { CodeLines, FirstLines } from '../parts/first'
import { Few, Listing, RoleButton, SearchField, Table, type Head } from '../parts/listing'
import { useLoad } from '../parts/load'
import { exact } from '../parts/number'
import { Age, Empty, say, Tags, Time } from '../parts/small'
import { bytes } from '../parts/time'
import { link, query } from '../shell/router'
import { useTitle } from '../shell/title'
import { t } from '../texts'

const MINUTE = 60_000
/** As long as the service keeps a name out at most. */
const BAN_MINUTES = 1_440
/** Workers that are shown at once; the service has up to 5,000. */
const SHOWN = 100

/** The processes that run tasks: what they offer, how busy they are, and when they were heard of. */
export function WorkersView() {
  const words = t.value.workers
  useTitle(t.value.nav.workers)
  const loaded = useLoad(
    'workers',
    async (abort) => (await get<Page<Worker>>('workers', {}, abort)).items,
  )
  const told = useLiveList('workers', undefined, loaded.reload)
  const workers = [...(told?.rows ?? loaded.value ?? [])].sort(byUse)
  return (
    <Listing
      title={words.title}
      note={workers.length > 0 && <Use workers={workers} />}
      tools={<SearchField name="q" label={words.filter} hint={words.filterHint} />}
      loaded={loaded}
      isEmpty={workers.length === 0}
      none={<None />}
    >
      <Workers workers={workers} reload={loaded.reload} />
      <Handlers workers={workers} />
    </Listing>
  )
}

const ORDER = ['online', 'draining', 'kicked', 'offline']

/** Those that are there first, then by name. */
function byUse(a: Worker, b: Worker): number {
  const place = ORDER.indexOf(a.state) - ORDER.indexOf(b.state)
  return place || a.name.localeCompare(b.name) || a.id.localeCompare(b.id)
}

function Use({ workers }: { workers: Worker[] }) {
  const there = workers.filter(({ state }) => state === 'online' || state === 'draining')
  const sum = (of: 'running' | 'slots') => there.reduce((all, worker) => all + worker[of], 0)
  return (
    <span class="muted num">
      {t.value.workers.busy(there.length, sum('running'), sum('slots'))}
    </span>
  )
}

function None() {
  const address = BASE.replace(/\/$/, '')
  const shell = `jobtracker worker --url ${address} --enable sharding_demo`
  const rust = `let worker = Worker::builder(client, "first")
    .handler("demo/hello", "says hello", hello)
    .build()?;
worker.run(terminated()).await?;`
  return (
    <FirstLines title={t.value.workers.none} first={t.value.workers.first}>
      <CodeLines text={shell} />
      <CodeLines text={rust} />
    </FirstLines>
  )
}

function labelsOf(worker: Worker): string[] {
  return Object.entries(worker.labels ?? {}).map(([key, value]) => `${key}=${value}`)
}

function isFound(worker: Worker, word: string): boolean {
  const { name, id, tags = [], handlers } = worker
  const texts = [name, id, ...tags, ...labelsOf(worker), ...handlers.map((one) => one.name)]
  return texts.some((text) => text.toLowerCase().includes(word))
}

type Act = 'drain' | 'kick'

function Workers({ workers, reload }: { workers: Worker[]; reload: () => void }) {
  const words = t.value.workers
  const word = (query.value.get('q') ?? '').trim().toLowerCase()
  const [shown, setShown] = useState(SHOWN)
  const [acting, setActing] = useState<{ act: Act; worker: Worker } | undefined>(undefined)
  const found = word ? workers.filter((worker) => isFound(worker, word)) : workers
  if (found.length === 0) return <Empty title={words.noMatch} />
  const heads: Head[] = [
    words.name,
    words.state,
    words.load,
    { text: words.cpu, is: 'num' },
    { text: words.memory, is: 'num' },
    words.offers,
    words.tags,
    { text: words.heard, is: 'num' },
    { text: words.drain, is: 'unseen' },
  ]
  return (
    <section>
      <Table label={words.title} heads={heads}>
        {found.slice(0, shown).map((worker) => (
          <Line key={worker.id} worker={worker} act={(act) => setActing({ act, worker })} />
        ))}
      </Table>
      {found.length > shown && (
        <button type="button" class="more" onClick={() => setShown(shown + SHOWN)}>
          {t.value.more}
        </button>
      )}
      {acting && <Sure {...acting} done={reload} close={() => setActing(undefined)} />}
    </section>
  )
}

function Line({ worker, act }: { worker: Worker; act: (act: Act) => void }) {
  const words = t.value.workers
  const { id, name, state, running, slots, load, bannedUntil } = worker
  const isThere = state === 'online' || state === 'draining'
  const { cpu, freeMemory } = load ?? {}
  return (
    <tr class={isThere ? '' : 'over'}>
      <td class="main-cell">
        <b>{name}</b>
        <code class="below">{id}</code>
      </td>
      <td data-label={words.state}>
        <span class={`delivery-status w-${state}`}>{words.states[state]}</span>
        {bannedUntil && (
          <span class="below">
            {words.banned} <Time iso={bannedUntil} />
          </span>
        )}
      </td>
      <td data-label={words.load}>
        <span class="slots">
          <span
            class="slot-bar"
            role="meter"
            aria-label={words.load}
            aria-valuemin={0}
            aria-valuemax={slots}
            aria-valuenow={running}
          >
            <span style={{ width: `${Math.min(100, (100 * running) / slots)}%` }} />
          </span>
          <a class="num" href={link('queue', { worker: id })}>
            {words.slots(running, slots)}
          </a>
        </span>
      </td>
      <td class="num" data-label={words.cpu}>
        {typeof cpu === 'number' ? `${Math.round(cpu * 100)} %` : '–'}
      </td>
      <td class="num" data-label={words.memory}>
        {typeof freeMemory === 'number' ? bytes(freeMemory) : '–'}
      </td>
      <td data-label={words.offers}>
        <Few texts={worker.handlers.map((one) => one.name)} most={OFFERED} code />
      </td>
      <td data-label={words.tags}>
        <span class="tags">
          <Tags tags={[...(worker.tags ?? []), ...labelsOf(worker)]} />
        </span>
      </td>
      <td class="num" data-label={words.heard}>
        <span>
          <Age iso={worker.heard} /> {t.value.ago}
        </span>
      </td>
      <td class="act-cell">
        <Buttons state={state} act={act} />
      </td>
    </tr>
  )
}

function Buttons({ state, act }: { state: Worker['state']; act: (act: Act) => void }) {
  const words = t.value.workers
  return (
    <span class="acts">
      <RoleButton needs="writer" disabled={state !== 'online'} onClick={() => act('drain')}>
        {words.drain}
      </RoleButton>
      <RoleButton
        needs="operator"
        class="quiet"
        disabled={state === 'kicked'}
        onClick={() => act('kick')}
      >
        {words.kick}
      </RoleButton>
    </span>
  )
}

/** As many handlers as a line has room for. */
const OFFERED = 3

interface Offer {
  name: string
  description: string
  workers: number
}

/** The handlers that workers offer, by name; those that are gone offer nothing. */
function offersOf(workers: Worker[]): Offer[] {
  const offers = new Map<string, Offer>()
  for (const { handlers, state } of workers) {
    for (const { name, description = '' } of handlers) {
      const offer = offers.get(name) ?? { name, description, workers: 0 }
      if (state === 'online') offer.workers += 1
      offers.set(name, offer)
    }
  }
  return [...offers.values()].sort((a, b) => a.name.localeCompare(b.name))
}

function Handlers({ workers }: { workers: Worker[] }) {
  const words = t.value.workers
  const heads: Head[] = [
    t.value.task.handler,
    words.what,
    { text: words.offeredBy, is: 'num' },
    { text: words.toQueue, is: 'unseen' },
  ]
  return (
    <section>
      <h2 class="part-title">{words.handlers}</h2>
      <Table label={words.handlers} heads={heads}>
        {offersOf(workers).map(({ name, description, workers }) => (
          <tr key={name}>
            <td class="main-cell">
              <code>{name}</code>
            </td>
            <td data-label={words.what}>{description || <span class="muted">–</span>}</td>
            <td class="num" data-label={words.offeredBy}>
              {exact(workers)}
            </td>
            <td class="act-cell">
              <a href={link('queue', { handler: name })}>{words.toQueue}</a>
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}

interface SureProps {
  act: Act
  worker: Worker
  done: () => void
  close: () => void
}

function Sure({ act, worker, done, close }: SureProps) {
  const words = t.value.workers
  const [minutes, setMinutes] = useState('0')
  const isKick = act === 'kick'
  const ban = wholeNumber(minutes)
  const go = async () => {
    await post(`workers/${worker.id}/${act}`, isKick ? { banMs: ban * MINUTE } : {})
    say(isKick ? words.kicked(worker.name) : words.drained(worker.name))
    done()
  }
  return (
    <ActDialog
      title={words[act]}
      doIt={isKick ? words.kickIt(worker.running) : words.drainIt}
      undo={isKick ? t.value.cannotUndo : words.drainUndo}
      isDangerous={isKick}
      isReady={ban <= BAN_MINUTES}
      act={go}
      onClose={close}
    >
      <p>
        {isKick
          ? words.kickWhat(worker.name, worker.running)
          : words.drainWhat(worker.name, worker.running)}
      </p>
      {isKick && (
        <NumberField label={words.ban} value={minutes} change={setMinutes} most={BAN_MINUTES} />
      )}
    </ActDialog>
  )
}
