import { useState } from 'preact/hooks'
import { BASE, get, queryOf } from '../api/client'
import type { Page, Schedule } from '../api/types'
import { useLiveList } from '../live/lists'
import { CodeLines, FirstLines } from '../parts/first'
import { Icon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { Few, Listing, RoleButton, SearchField, Table, type Head } from '../parts/listing'
import { usePages } from '../parts/load'
import { More } from '../parts/more'
import { exact } from '../parts/number'
import { Coming, Outcome } from '../parts/schedules'
import { triggerSaid } from '../parts/schedule_text'
import { Age, Empty } from '../parts/small'
import { span } from '../parts/time'
import { link, query } from '../shell/router'
import { useTitle } from '../shell/title'
import { t } from '../texts'

const DIALOGS = {
  fire: () => import('./schedule_act').then((module) => module.FireDialog),
  make: () => import('./schedule_edit').then((module) => module.EditDialog),
}

/** As many as are told live, the first ones by name. */
const LIMIT = 200

/** What is fired when: the next time of each schedule, and what became of the last one. */
export function SchedulesView() {
  const words = t.value.schedules
  useTitle(t.value.nav.schedules)
  const namePrefix = query.value.get('name') ?? ''
  const loaded = usePages(`schedules ${namePrefix}`, (abort, cursor) =>
    get<Page<Schedule>>('schedules', { limit: LIMIT, namePrefix, cursor }, abort),
  )
  const filter = queryOf({ limit: LIMIT, namePrefix })
  const told = useLiveList('schedules', filter, () => loaded.isFirst && loaded.reload())
  const items = told ? present(loaded.items, told.rows, loaded.isFirst) : loaded.items
  const [shown, setShown] = useState<Schedule | 'make' | undefined>(undefined)
  const close = () => setShown(undefined)
  const tools = (
    <>
      <SearchField name="name" label={words.filter} />
      <RoleButton needs="admin" class="primary" onClick={() => setShown('make')}>
        <Icon name="plus" /> {words.make}
      </RoleButton>
    </>
  )
  const dialogs = (
    <>
      {shown === 'make' && <Lazy load={DIALOGS.make} props={{ done: loaded.reload, close }} />}
      {shown && shown !== 'make' && (
        <Lazy load={DIALOGS.fire} props={{ schedule: shown, done: loaded.reload, close }} />
      )}
    </>
  )
  return (
    <Listing
      title={words.title}
      tools={tools}
      loaded={loaded}
      isEmpty={items.length === 0}
      none={<None isFiltered={namePrefix !== ''} />}
      dialogs={dialogs}
    >
      <Schedules items={items} fire={setShown} />
      <More pages={loaded} />
    </Listing>
  )
}

/** What was read, as it was told since; of further pages only what they have changes. */
function present(read: Schedule[], told: Schedule[], isFirst: boolean): Schedule[] {
  if (isFirst) return told
  const known = new Map(told.map((schedule) => [schedule.name, schedule]))
  return read.map((schedule) => known.get(schedule.name) ?? schedule)
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

function Schedules({ items, fire }: { items: Schedule[]; fire: (schedule: Schedule) => void }) {
  const words = t.value.schedules
  const heads: Head[] = [
    words.one,
    words.fires,
    words.next,
    words.last,
    words.open,
    { text: words.doneFailed, is: 'num' },
    { text: words.mean, is: 'num' },
    { text: words.fire, is: 'unseen' },
  ]
  return (
    <Table label={words.title} heads={heads}>
      {items.map((schedule) => (
        <Line key={schedule.name} schedule={schedule} fire={() => fire(schedule)} />
      ))}
    </Table>
  )
}

function Line({ schedule, fire }: { schedule: Schedule; fire: () => void }) {
  const words = t.value.schedules
  const { name, enabled, definition, next, lastFiring, statistics } = schedule
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
        <RoleButton needs="operator" onClick={fire}>
          {words.fire}
        </RoleButton>
      </td>
    </tr>
  )
}

/** As many triggers as a line has room for. */
const TRIGGERS = 2

function Triggers({ schedule }: { schedule: Schedule }) {
  const triggers = schedule.definition.triggers ?? []
  if (triggers.length === 0) return <span class="muted">{t.value.schedules.byHand}</span>
  return <Few texts={triggers.map(triggerSaid)} most={TRIGGERS} />
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
