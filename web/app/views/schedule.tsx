import { useEffect, useMemo, useState } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { ApiError, get, getText, post, queryOf } from '../api/client'
import { parseJson, sourceOf } from '../api/json'
import { isFinished, type Firing, type Id, type Page, type Schedule } from '../api/types'
import { useLiveList } from '../live/lists'
import { rowSignal, RowWindow } from '../live/rows'
import { Icon, StateIcon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { RoleButton, Table, type Head } from '../parts/listing'
import { useLoad, useReloadOn, type Loaded } from '../parts/load'
import { exact } from '../parts/number'
import { Coming, Outcome } from '../parts/schedules'
import { causeSaid, policies, triggerSaid } from '../parts/schedule_text'
import { CopyButton, Duration, Empty, Failed, say, Skeleton, Text, Time } from '../parts/small'
import { Bar } from '../parts/state'
import { span } from '../parts/time'
import { id as scheduleName, link } from '../shell/router'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'
import { indented } from './indented'

/** The page follows a schedule, and not faster than one can read. */
const RELOAD_MS = 1_000
const DIALOGS = {
  fire: () => import('./schedule_act').then((module) => module.FireDialog),
  remove: () => import('./schedule_act').then((module) => module.RemoveDialog),
  edit: () => import('./schedule_edit').then((module) => module.EditDialog),
}

/** A schedule, with its definition as it was written. */
interface Read {
  schedule: Schedule
  source: string
}

export function ScheduleView() {
  const name = scheduleName.value
  return <SchedulePage key={name} name={name} />
}

function SchedulePage({ name }: { name: string }) {
  const words = t.value.schedules
  useTitle(name)
  const loaded = useLoad(name, async (abort): Promise<Read> => {
    const text = await getText(`schedules/${name}`, {}, abort)
    const schedule = parseJson(text) as Schedule
    return { schedule, source: sourceOf(text, 'definition') ?? '{}' }
  })
  // The first name that begins like this one is this one, if it is there.
  const told = useLiveList('schedules', queryOf({ limit: 1, namePrefix: name }), loaded.reload)
  useReloadOn(told?.version, loaded.reload, RELOAD_MS)
  const { value, error } = loaded
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty title={words.noSuch(name)}>
        <a href={link('schedules')}>{words.toAll}</a>
      </Empty>
    )
  }
  return (
    <div class="fill">
      {value && <Header read={value} reload={loaded.reload} />}
      <div class="scroll pad stack" aria-busy={!value && loaded.isLoading}>
        {error !== undefined && <Failed error={error} retry={loaded.reload} />}
        {!value && loaded.isLoading && <Skeleton rows={8} />}
        {value && <Body read={value} />}
      </div>
    </div>
  )
}

function Header({ read, reload }: { read: Read; reload: () => void }) {
  const words = t.value.schedules
  const { schedule } = read
  return (
    <header class="job-head">
      <nav class="breadcrumb" aria-label={t.value.breadcrumb}>
        <a href={link('schedules')}>{words.title}</a>
        <span class="here">
          <Icon name="right" size={12} />
          <span aria-current="page">{schedule.name}</span>
        </span>
      </nav>
      <div class="title-line">
        <h1>{schedule.name}</h1>
        <span class={schedule.enabled ? 'state-chip t-RanToCompletion' : 'state-chip t-off'}>
          {schedule.enabled ? words.on : words.off}
        </span>
        <span class="grow" />
        <Acts read={read} reload={reload} />
      </div>
      {schedule.definition.description && <p>{schedule.definition.description}</p>}
      <dl class="facts">
        <Fact name={words.next}>
          <Coming iso={schedule.next} />
        </Fact>
        <Fact name={words.fires}>
          <span class="coming">
            {(schedule.definition.triggers ?? []).map((trigger, at) => (
              <span key={at}>{triggerSaid(trigger)}</span>
            ))}
            {(schedule.definition.triggers ?? []).length === 0 && words.byHand}
          </span>
        </Fact>
        <Fact name={t.value.facts.created}>
          <Time iso={schedule.createTime} />
        </Fact>
        <Fact name={words.changed}>
          <span class="coming">
            <Time iso={schedule.changeTime} />
            <span class="muted">
              {schedule.changedBy && `${words.by(schedule.changedBy)} · `}
              {words.version(schedule.version)}
            </span>
          </span>
        </Fact>
      </dl>
    </header>
  )
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** What the caller may do with it; what it may not is there, and says why not. */
function Acts({ read, reload }: { read: Read; reload: () => void }) {
  const words = t.value.schedules
  const { schedule } = read
  const [shown, setShown] = useState<keyof typeof DIALOGS | undefined>(undefined)
  const [error, setError] = useState<unknown>(undefined)
  const { name, enabled } = schedule
  const enable = async (isOn: boolean) => {
    await post(`schedules/${name}/${isOn ? 'enable' : 'disable'}`, {})
    reload()
  }
  const toggle = () => {
    setError(undefined)
    const undo = () => enable(enabled)
    enable(!enabled).then(() => say(words.turned(name, !enabled), undo), setError)
  }
  const close = () => setShown(undefined)
  const props = { schedule, before: read, done: reload, close }
  return (
    <span class="acts">
      <RoleButton needs="operator" class="primary" onClick={() => setShown('fire')}>
        <Icon name="play" size={14} /> {words.fire}
      </RoleButton>
      <RoleButton needs="operator" onClick={toggle}>
        {enabled ? words.disable : words.enable}
      </RoleButton>
      <RoleButton needs="admin" onClick={() => setShown('edit')}>
        {words.edit}
      </RoleButton>
      {may('admin') && (
        <button
          type="button"
          class="quiet icon-only"
          title={words.remove}
          aria-label={words.remove}
          onClick={() => setShown('remove')}
        >
          <Icon name="bin" />
        </button>
      )}
      {error !== undefined && <Failed error={error} />}
      {shown === 'edit' && <Lazy load={DIALOGS.edit} props={props} />}
      {shown === 'fire' && <Lazy load={DIALOGS.fire} props={props} />}
      {shown === 'remove' && <Lazy load={DIALOGS.remove} props={props} />}
    </span>
  )
}

function Body({ read }: { read: Read }) {
  const words = t.value.schedules
  const { schedule } = read
  const { name, statistics, running, queued } = schedule
  // What is below changes with what the schedule itself says.
  const change = JSON.stringify([schedule.version, schedule.next, schedule.lastFiring, statistics])
  return (
    <>
      <dl class="tiles narrow-tiles">
        <Tile name={words.numbers.runs} value={exact(statistics.runs)} />
        <Tile name={words.numbers.succeeded} value={exact(statistics.succeeded)} />
        <Tile
          name={words.numbers.failed}
          value={exact(statistics.failed)}
          isBad={statistics.failed > 0}
        />
        <Tile name={words.numbers.skipped} value={exact(statistics.skipped)} />
        <Tile name={words.numbers.misfired} value={exact(statistics.misfired)} />
        <Tile
          name={words.numbers.mean}
          value={
            typeof statistics.meanMs === 'number' ? span(statistics.meanMs, t.value.units) : '–'
          }
        />
      </dl>
      {running.length + queued > 0 && <OpenRuns ids={running.map(String)} queued={queued} />}
      <div class="main-and-side">
        <Firings name={name} change={change} />
        <NextTimes name={name} change={change} />
      </div>
      <Definition read={read} />
    </>
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

/** Open runs that are watched; a connection has room for more than these. */
const SHOWN_RUNS = 10

function OpenRuns({ ids, queued }: { ids: Id[]; queued: number }) {
  const words = t.value.schedules
  return (
    <section>
      <div class="section-head">
        <h2>{words.openRuns}</h2>
        {queued > 0 && <span class="muted num">{words.queued(queued)}</span>}
      </div>
      <ul class="runs">
        {ids.slice(0, SHOWN_RUNS).map((id) => (
          <RunLine key={id} id={id} />
        ))}
      </ul>
      {ids.length > SHOWN_RUNS && <p class="muted">{words.moreRuns(ids.length - SHOWN_RUNS)}</p>}
    </section>
  )
}

function RunLine({ id }: { id: Id }) {
  const window = useMemo(() => new RowWindow(id), [id])
  useEffect(() => {
    window.set([id])
    return () => window.close()
  }, [window])
  const row = rowSignal(id).value
  return (
    <li>
      {row && <StateIcon state={row.state} />}
      <a href={link(`jobs/${id}`)}>{row?.name ?? id}</a>
      {row && <span class={`i-${row.state}`}>{t.value.states[row.state]}</span>}
      <span class="run-bar">{row && row.subtree.total > 0 && <Bar subtree={row.subtree} />}</span>
      {row && (
        <Duration
          from={row.treeStart ?? row.createTime}
          to={isFinished(row.state) ? row.treeEnd : null}
        />
      )}
    </li>
  )
}

interface PartProps {
  name: string
  change: string
}

/** A part that shows how it is read, and fails alone. */
function Part<Value>({
  title,
  loaded,
  children,
}: {
  title: string
  loaded: Loaded<Value>
  children: (value: Value) => ComponentChildren
}) {
  const { value, error } = loaded
  return (
    <section>
      <h2 class="part-title">{title}</h2>
      {error !== undefined && <Failed error={error} retry={loaded.reload} />}
      {value === undefined && error === undefined && <Skeleton rows={5} />}
      {value !== undefined && children(value)}
    </section>
  )
}

function NextTimes({ name, change }: PartProps) {
  const words = t.value.schedules
  const loaded = useLoad(name, async (abort) => {
    const at = `schedules/${name}/next-fires`
    return (await get<{ times: string[] }>(at, { n: 10 }, abort)).times
  })
  useReloadOn(change, loaded.reload, 1_000)
  return (
    <Part title={words.nextTimes} loaded={loaded}>
      {(times) => (
        <>
          {times.length === 0 && <p class="muted">{words.never}</p>}
          <ol class="times">
            {times.map((time) => (
              <li key={time}>
                <Coming iso={time} />
              </li>
            ))}
          </ol>
        </>
      )}
    </Part>
  )
}

function Firings({ name, change }: PartProps) {
  const words = t.value.schedules
  const loaded = useLoad(name, async (abort) => {
    return (await get<Page<Firing>>(`schedules/${name}/firings`, {}, abort)).items
  })
  useReloadOn(change, loaded.reload, 1_000)
  const heads: Head[] = [words.planned, words.outcome, words.cause, { text: words.took, is: 'num' }]
  return (
    <Part title={words.firings} loaded={loaded}>
      {(firings) =>
        firings.length === 0 ? (
          <p class="muted">{words.noFirings}</p>
        ) : (
          <Table label={words.firings} heads={heads}>
            {firings.map((firing) => (
              <FiringLine key={firing.number} firing={firing} />
            ))}
          </Table>
        )
      }
    </Part>
  )
}

function FiringLine({ firing }: { firing: Firing }) {
  const words = t.value.schedules
  const { planned, until, count = 1, startTime, endTime } = firing
  return (
    <tr>
      <td class="main-cell">
        <Time iso={planned} />
        {count > 1 && (
          <span class="below">
            {words.times(count)}
            {until && (
              <>
                {' '}
                {words.until} <Time iso={until} />
              </>
            )}
          </span>
        )}
      </td>
      <td data-label={words.outcome}>
        <Outcome firing={firing} />
      </td>
      <td class="muted" data-label={words.cause}>
        {causeSaid(firing)}
      </td>
      <td class="num" data-label={words.took}>
        {startTime ? <Duration from={startTime} to={endTime ?? null} /> : '–'}
      </td>
    </tr>
  )
}

function Definition({ read }: { read: Read }) {
  const words = t.value.schedules
  const pretty = indented(read.source)
  return (
    <section>
      <div class="section-head">
        <h2>{words.definition}</h2>
        <CopyButton text={pretty} label={t.value.copy} />
      </div>
      <dl class="table spaced">
        {policies(read.schedule).map(([name, said]) => (
          <Fact key={name} name={name}>
            {said}
          </Fact>
        ))}
      </dl>
      <Text text={pretty} mono />
    </section>
  )
}
