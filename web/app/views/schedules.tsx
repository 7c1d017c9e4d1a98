import { useState } from 'preact/hooks'
import { BASE, get } from '../api/client'
import type { Page, Schedule } from '../api/types'
import { live } from '../live/socket'
import { now } from '../parts/clock'
import { CodeLines, FirstLines } from '../parts/first'
import { Icon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { usePages, useReloadOn } from '../parts/load'
import { More } from '../parts/more'
import { exact } from '../parts/number'
import { Coming, Outcome } from '../parts/schedules'
import { triggerSaid } from '../parts/schedule_text'
import { Age, Empty, Failed, Skeleton } from '../parts/small'
import { span } from '../parts/time'
import { link, query, setQuery } from '../shell/router'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'

const EVERY_MS = 5_000
const DIALOGS = {
  fire: () => import('./schedule_act').then((module) => module.FireDialog),
  make: () => import('./schedule_edit').then((module) => module.EditDialog),
}

/** What is fired when: the next time of each schedule, and what became of the last one. */
export function SchedulesView() {
  const words = t.value.schedules
  useTitle(t.value.nav.schedules)
  const namePrefix = query.value.get('name') ?? ''
  const loaded = usePages(`schedules ${namePrefix}`, (abort, cursor) =>
    get<Page<Schedule>>('schedules', { limit: 200, namePrefix, cursor }, abort),
  )
  const tick = loaded.isFirst && live.isLive.value && Math.floor(now.value / EVERY_MS)
  useReloadOn(tick, loaded.reload, EVERY_MS)
  const [shown, setShown] = useState<Schedule | 'make' | undefined>(undefined)
  const close = () => setShown(undefined)
  const { items } = loaded
  const canMake = may('admin')
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
        <span class="grow" />
        <NameField value={namePrefix} />
        <button
          type="button"
          class="primary"
          disabled={!canMake}
          title={canMake ? undefined : t.value.needsRole('admin')}
          onClick={() => setShown('make')}
        >
          <Icon name="plus" /> {words.make}
        </button>
      </div>
      <div class="scroll pad" aria-busy={loaded.isLoading && !loaded.value}>
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {!loaded.value && loaded.isLoading && <Skeleton />}
        {items.length > 0 && <Table items={items} fire={setShown} />}
        {loaded.value && items.length === 0 && <None isFiltered={namePrefix !== ''} />}
        <More pages={loaded} />
      </div>
      {shown === 'make' && <Lazy load={DIALOGS.make} props={{ done: loaded.reload, close }} />}
      {shown && shown !== 'make' && (
        <Lazy load={DIALOGS.fire} props={{ schedule: shown, done: loaded.reload, close }} />
      )}
    </div>
  )
}

function NameField({ value }: { value: string }) {
  const words = t.value.schedules
  return (
    <span class="field search">
      <Icon name="search" />
      <input
        id="filter"
        type="search"
        aria-label={words.filter}
        placeholder={words.filter}
        value={value}
        onInput={(event) => setQuery({ name: event.currentTarget.value.trim() || undefined })}
      />
    </span>
  )
}

function None({ isFiltered }: { isFiltered: boolean }) {
  const words = t.value.schedules
  if (isFiltered) return <Empty title={words.noMatch} />
  const address = BASE.replace(/\/$/, '')
  const schedule =
    '{"name": "first", "definition": {"triggers": [{"kind": "fixedRate", "everyMs": 60000}]}}'
  const curl = `curl ${address}/api/v1/schedules -H 'content-type: application/json' \\
  -d '${schedule}'`
  const rust = `let every = ScheduleTrigger::FixedRate { every_ms: 60_000, start: None };
let definition = ScheduleDefinition::new([every]);
tracker.create_schedule(&NewSchedule::new("first", definition)).await?;`
  return (
    <FirstLines title={words.none} first={words.first}>
      <CodeLines text={curl} />
      <CodeLines text={rust} />
    </FirstLines>
  )
}

function Table({ items, fire }: { items: Schedule[]; fire: (schedule: Schedule) => void }) {
  const words = t.value.schedules
  return (
    <div class="table-scroll">
      <table class="plain-table stacked">
        <thead>
          <tr>
            <th>{words.one}</th>
            <th>{words.fires}</th>
            <th>{words.next}</th>
            <th>{words.last}</th>
            <th>{words.open}</th>
            <th class="num">{words.doneFailed}</th>
            <th class="num">{words.mean}</th>
            <th>
              <span class="visually-hidden">{words.fire}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((schedule) => (
            <Line key={schedule.name} schedule={schedule} fire={() => fire(schedule)} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Line({ schedule, fire }: { schedule: Schedule; fire: () => void }) {
  const words = t.value.schedules
  const { name, enabled, definition, next, lastFiring, statistics } = schedule
  const canAct = may('operator')
  const { succeeded, failed, meanMs } = statistics
  return (
    <tr class={enabled ? '' : 'over'}>
      <td class="main-cell">
        <a class="strong" href={link(`schedules/${name}`)}>
          {name}
        </a>
        {!enabled && <span class="tag">{words.off}</span>}
        {definition.description && <span class="below">{definition.description}</span>}
      </td>
      <td data-label={words.fires}>
        <Triggers schedule={schedule} />
      </td>
      <td data-label={words.next}>
        <Coming iso={next} />
      </td>
      <td data-label={words.last}>
        {lastFiring ? (
          <span class="coming">
            <Outcome firing={lastFiring} />
            <span class="muted">
              <Age iso={lastFiring.time} /> {t.value.ago}
            </span>
          </span>
        ) : (
          <span class="muted">–</span>
        )}
      </td>
      <td data-label={words.open}>
        <OpenSaid schedule={schedule} />
      </td>
      <td class="num" data-label={words.doneFailed}>
        <span>
          {exact(succeeded)} / <span class={failed > 0 ? 'wrong' : ''}>{exact(failed)}</span>
        </span>
      </td>
      <td class="num" data-label={words.mean}>
        {typeof meanMs === 'number' ? span(meanMs, t.value.units) : '–'}
      </td>
      <td class="act-cell">
        <button
          type="button"
          disabled={!canAct}
          title={canAct ? undefined : t.value.needsRole('operator')}
          onClick={fire}
        >
          {words.fire}
        </button>
      </td>
    </tr>
  )
}

/** As many triggers as a line has room for. */
const TRIGGERS = 2

function Triggers({ schedule }: { schedule: Schedule }) {
  const triggers = schedule.definition.triggers ?? []
  if (triggers.length === 0) return <span class="muted">{t.value.schedules.byHand}</span>
  const said = triggers.map(triggerSaid)
  return (
    <span class="coming" title={said.join('\n')}>
      {said.slice(0, TRIGGERS).map((one) => (
        <span key={one}>{one}</span>
      ))}
      {said.length > TRIGGERS && <span class="muted">+{said.length - TRIGGERS}</span>}
    </span>
  )
}

function OpenSaid({ schedule: { running, queued } }: { schedule: Schedule }) {
  const words = t.value.schedules
  if (running.length + queued === 0) return <span class="muted">–</span>
  return (
    <span class="coming">
      {running.length > 0 && (
        <span class="i-Running num">
          {running.length === 1 ? (
            <a href={link(`jobs/${running[0]}`)}>{words.running(1)}</a>
          ) : (
            words.running(running.length)
          )}
        </span>
      )}
      {queued > 0 && <span class="num">{words.queued(queued)}</span>}
    </span>
  )
}
