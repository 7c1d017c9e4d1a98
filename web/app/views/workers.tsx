import { useState } from 'preact/hooks'
import { BASE, get, post } from '../api/client'
import type { Handler, Page, Worker } from '../api/types'
import { live } from '../live/socket'
import { now } from '../parts/clock'
import { ActDialog } from '../parts/dialog'
import { CodeLines, FirstLines } from '../parts/first'
import { Icon } from '../parts/icons'
import { useLoad, useReloadOn } from '../parts/load'
import { exact } from '../parts/number'
import { Age, Empty, Failed, say, Skeleton, Tags, Time } from '../parts/small'
import { bytes } from '../parts/time'
import { query, setQuery } from '../shell/router'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'

const EVERY_MS = 5_000
const MINUTE = 60_000
/** As long as the service keeps a name out at most. */
const BAN_MINUTES = 1_440
/** Workers that are shown at once; the service has up to 5,000. */
const SHOWN = 100

/** The processes that run tasks: what they offer, how busy they are, and when they were heard of. */
export function WorkersView() {
  const words = t.value.workers
  useTitle(t.value.nav.workers)
  const loaded = useLoad('workers', async (abort) => {
    const [workers, handlers] = await Promise.all([
      get<Page<Worker>>('workers', {}, abort),
      get<Page<Handler>>('handlers', {}, abort),
    ])
    return { workers: workers.items.sort(byUse), handlers: handlers.items }
  })
  useReloadOn(live.isLive.value && Math.floor(now.value / EVERY_MS), loaded.reload, EVERY_MS)
  const { value } = loaded
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
        {value && <Use workers={value.workers} />}
        <span class="grow" />
        <Filter />
      </div>
      <div class="scroll pad stack" aria-busy={!value && loaded.isLoading}>
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {!value && loaded.isLoading && <Skeleton />}
        {value?.workers.length === 0 && <None />}
        {value && value.workers.length > 0 && (
          <>
            <Workers workers={value.workers} reload={loaded.reload} />
            <Handlers handlers={value.handlers} />
          </>
        )}
      </div>
    </div>
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

function Filter() {
  const words = t.value.workers
  return (
    <span class="field search">
      <Icon name="search" />
      <input
        id="filter"
        type="search"
        aria-label={words.filter}
        placeholder={words.filterHint}
        value={query.value.get('q') ?? ''}
        onInput={(event) => setQuery({ q: event.currentTarget.value || undefined })}
      />
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
  return (
    <section>
      <div class="table-scroll">
        <table class="plain-table stacked">
          <thead>
            <tr>
              <th>{words.name}</th>
              <th>{words.state}</th>
              <th>{words.load}</th>
              <th class="num">{words.cpu}</th>
              <th class="num">{words.memory}</th>
              <th>{words.offers}</th>
              <th>{words.tags}</th>
              <th class="num">{words.heard}</th>
              <th>
                <span class="visually-hidden">{words.drain}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, shown).map((worker) => (
              <Line key={worker.id} worker={worker} act={(act) => setActing({ act, worker })} />
            ))}
          </tbody>
        </table>
      </div>
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
          <span class="num">{words.slots(running, slots)}</span>
        </span>
      </td>
      <td class="num" data-label={words.cpu}>
        {typeof cpu === 'number' ? `${Math.round(cpu * 100)} %` : '–'}
      </td>
      <td class="num" data-label={words.memory}>
        {typeof freeMemory === 'number' ? bytes(freeMemory) : '–'}
      </td>
      <td data-label={words.offers}>
        <Offered names={worker.handlers.map((one) => one.name)} />
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
  const isWriter = may('writer')
  const isOperator = may('operator')
  return (
    <span class="acts">
      <button
        type="button"
        disabled={!isWriter || state !== 'online'}
        title={isWriter ? undefined : t.value.needsRole('writer')}
        onClick={() => act('drain')}
      >
        {words.drain}
      </button>
      <button
        type="button"
        class="quiet"
        disabled={!isOperator || state === 'kicked'}
        title={isOperator ? undefined : t.value.needsRole('operator')}
        onClick={() => act('kick')}
      >
        {words.kick}
      </button>
    </span>
  )
}

/** As many handlers as a line has room for. */
const OFFERED = 3

function Offered({ names }: { names: string[] }) {
  const rest = names.length - OFFERED
  return (
    <span class="coming" title={names.join('\n')}>
      {names.slice(0, OFFERED).map((name) => (
        <code key={name}>{name}</code>
      ))}
      {rest > 0 && <span class="muted num">+{exact(rest)}</span>}
    </span>
  )
}

function Handlers({ handlers }: { handlers: Handler[] }) {
  const words = t.value.workers
  return (
    <section>
      <h2 class="part-title">{words.handlers}</h2>
      {handlers.length === 0 ? (
        <p class="muted">{words.noHandlers}</p>
      ) : (
        <div class="table-scroll">
          <table class="plain-table stacked">
            <thead>
              <tr>
                <th>{t.value.task.handler}</th>
                <th>{words.what}</th>
                <th class="num">{words.offeredBy}</th>
              </tr>
            </thead>
            <tbody>
              {handlers.map(({ name, description, workers }) => (
                <tr key={name}>
                  <td class="main-cell">
                    <code>{name}</code>
                  </td>
                  <td data-label={words.what}>{description || <span class="muted">–</span>}</td>
                  <td class="num" data-label={words.offeredBy}>
                    {exact(workers)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
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
  const ban = /^[0-9]{1,4}$/.test(minutes) ? Number(minutes) : Infinity
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
        <label class="labelled">
          {words.ban}
          <input
            type="text"
            inputMode="numeric"
            value={minutes}
            aria-invalid={ban > BAN_MINUTES}
            onInput={(event) => setMinutes(event.currentTarget.value)}
          />
        </label>
      )}
    </ActDialog>
  )
}
