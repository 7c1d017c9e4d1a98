import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { get } from '../api/client'
import { rowOfJob } from '../api/rows'
import { isFinished, type Blocker, type Id, type Job, type Page, type Row } from '../api/types'
import { putRow, rowSignal, RowWindow } from '../live/rows'
import { Icon, StateIcon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { useLoad, useReloadOn, type Loaded } from '../parts/load'
import {
  Age,
  CopyButton,
  Duration,
  Empty,
  Failed,
  Skeleton,
  Steady,
  Tags,
  Time,
} from '../parts/small'
import { Bar, Legend, numbersSaid } from '../parts/state'
import { exact } from '../parts/number'
import { useTitle } from '../shell/title'
import { id as jobId, link, query, setQuery } from '../shell/router'
import { remember } from '../shell/recent'
import { t } from '../texts'
import { isGone } from '../tree/pages'
import { Actions } from './actions'
import { useTask, type ReadTask } from './task_state'
import { TreeView } from './tree'

export interface TabProps {
  job: Row
  full: Job
}

const TABS = [
  'tree',
  'waiting',
  'shape',
  'timeline',
  'history',
  'log',
  'details',
  'alerts',
  'task',
] as const
export type Tab = (typeof TABS)[number]

/** A chunk for each view, loaded when it is looked at. */
const VIEWS: Record<Exclude<Tab, 'tree' | 'task'>, () => Promise<ComponentType<TabProps>>> = {
  waiting: () => import('./waiting').then((module) => module.WaitingView),
  shape: () => import('./shape').then((module) => module.ShapeView),
  timeline: () => import('./timeline').then((module) => module.TimelineView),
  history: () => import('./history').then((module) => module.HistoryView),
  log: () => import('./log').then((module) => module.LogView),
  details: () => import('./details').then((module) => module.DetailsView),
  alerts: () => import('./alerts').then((module) => module.AlertsView),
}

const loadKept = () => import('./kept').then((module) => module.KeptTree)
const loadTask = () => import('./task').then((module) => module.TaskView)

function currentTab(tabs: readonly Tab[], row: Row, beginsWithTask: boolean): Tab {
  const asked = tabs.find((tab) => tab === query.value.get('view'))
  if (asked) return asked
  // A job without children has no tree to show; what its worker does, or it reported, says more.
  if (row.subtree.total > 0) return 'tree'
  if (beginsWithTask) return 'task'
  return row.depth > 0 ? 'history' : 'tree'
}

/** The page does not wait longer for the task of a job; it has a view once it is known. */
const TASK_MS = 1_000

/** Whether it is known if the job has a task, or was not within the time. */
function useTaskKnown(task: Loaded<ReadTask | null>): boolean {
  const [isLate, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), TASK_MS)
    return () => clearTimeout(timer)
  }, [])
  return isLate || task.value !== undefined || task.error !== undefined
}

export function JobView() {
  const id = jobId.value
  return <JobPage key={id} id={id} />
}

function JobPage({ id }: { id: Id }) {
  const loaded = useLoad(id, async (abort) => {
    const read = await readJob(id, abort)
    putRow(rowOfJob(read.job, rowSignal(id).peek()))
    return read
  })
  const { value, error } = loaded
  const root = value?.job.summary ? undefined : value?.job.root
  const window = useMemo(() => (root === undefined ? undefined : new RowWindow(root)), [root])
  useEffect(() => {
    window?.set([id])
    return () => window?.close()
  }, [window, id])
  const row = rowSignal(id).value
  const task = useTask(id, row)
  const isTaskKnown = useTaskKnown(task)
  const isOver = window?.isOver.value ?? false
  // The answer says by whom it was deleted, and when.
  useEffect(() => {
    if (isOver) loaded.reload()
  }, [isOver])
  useTitle(value ? value.job.name : t.value.job)
  useEffect(() => {
    if (value) remember(value.job)
  }, [value])
  if (isGone(error)) {
    return (
      <Empty title={error.status === 410 || value ? t.value.jobGone(id) : t.value.noJob(id)}>
        <p>{error.detail}</p>
        <a href={link('')}>{t.value.toTrees}</a>
      </Empty>
    )
  }
  if (!value) {
    if (error === undefined) return <Skeleton rows={8} />
    return <Failed error={error} retry={loaded.reload} />
  }
  const shown = row ?? rowOfJob(value.job)
  if (value.job.summary) {
    return (
      <div class="job-page fill">
        <Header job={value.job} row={shown} above={[]} reload={loaded.reload} />
        <Lazy load={loadKept} props={{ job: value.job }} />
      </div>
    )
  }
  if (!isTaskKnown) return <Skeleton rows={8} />
  return (
    <div class="job-page fill">
      <Announced row={shown} />
      <Header job={value.job} row={shown} above={value.above} reload={loaded.reload} />
      <Tabs job={value.job} row={shown} task={task} />
    </div>
  )
}

async function readJob(id: Id, abort: AbortSignal): Promise<{ job: Job; above: Job[] }> {
  const above = get<Page<Job>>(`jobs/${id}/ancestors`, {}, abort)
  // If the job is not there either, that is said first; of a deleted tree the root alone is kept.
  above.catch(() => {})
  const job = await get<Job>(`jobs/${id}`, {}, abort)
  return { job, above: job.summary ? [] : (await above).items.reverse() }
}

/** Tells those who listen how the job is, at most each ten seconds. */
function Announced({ row }: { row: Row }) {
  const said = useSignal('')
  const text = `${t.value.states[row.state]}, ${numbersSaid(row.subtree)}`
  useReloadOn(text, () => (said.value = text), 10_000)
  return (
    <p class="visually-hidden" role="status">
      {said.value}
    </p>
  )
}

interface HeaderProps {
  job: Job
  row: Row
  above: Job[]
  reload: () => void
}

function Header({ job, row, above, reload }: HeaderProps) {
  return (
    <header class="job-head">
      <Breadcrumb above={above} job={job} />
      <div class="title-line">
        <StateIcon state={row.state} size={24} />
        <h1>{job.name}</h1>
        <StateWord row={row} />
        <span class="id-chip">
          <code>{job.id}</code>
          <CopyButton text={job.id} label={t.value.copyId} />
        </span>
        <span class="grow" />
        {!job.summary && <Actions job={job} row={row} reload={reload} />}
      </div>
      {row.subtree.total > 0 && (
        <div class="numbers">
          <Bar subtree={row.subtree} tall />
          <Legend subtree={row.subtree} />
        </div>
      )}
      {!job.summary && <Why row={row} />}
      <dl class="facts">
        <Fact name={t.value.facts.created}>
          <Time iso={job.createTime} />
          <span class="muted">
            {' · '}
            <Age iso={job.createTime} /> {t.value.ago}
          </span>
        </Fact>
        {row.treeStart && (
          <Fact name={t.value.facts.started}>
            <Time iso={row.treeStart} />
          </Fact>
        )}
        {row.treeEnd && isFinished(row.state) && (
          <Fact name={t.value.facts.ended}>
            <Time iso={row.treeEnd} />
          </Fact>
        )}
        {row.treeStart && (
          <Fact name={t.value.facts.duration}>
            <Duration from={row.treeStart} to={isFinished(row.state) ? row.treeEnd : null} />
          </Fact>
        )}
        {job.createdBy && <Fact name={t.value.facts.by}>{job.createdBy}</Fact>}
        {job.tags.length > 0 && (
          <Fact name={t.value.facts.tags}>
            <Tags tags={job.tags} />
          </Fact>
        )}
      </dl>
    </header>
  )
}

function StateWord({ row }: { row: Row }) {
  return (
    <span class={`state-chip t-${row.state}`}>
      <span class="word">{t.value.states[row.state]}</span>
    </span>
  )
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

function Breadcrumb({ above, job }: { above: Job[]; job: Job }) {
  return (
    <nav class="breadcrumb" aria-label={t.value.breadcrumb}>
      <a href={link('')}>{t.value.nav.trees}</a>
      {above.map((one) => (
        <span key={one.id}>
          <Icon name="right" size={12} />
          <a href={link(`jobs/${one.id}`)} title={one.name}>
            {one.name}
          </a>
        </span>
      ))}
      <span class="here">
        <Icon name="right" size={12} />
        <span aria-current="page">{job.name}</span>
      </span>
    </nav>
  )
}

/** What it waits for, or why it failed, in one line that leads to all of it. */
function Why({ row }: { row: Row }) {
  const isAsked = row.state === 'Faulted' || (!isFinished(row.state) && row.subtree.total > 0)
  const key = isAsked ? `${row.id} ${row.state}` : ''
  const loaded = useLoad(key, async (abort) => {
    if (!isAsked) return []
    const params = { limit: 1, path: true }
    return (await get<Page<Blocker>>(`jobs/${row.id}/blockers`, params, abort)).items
  })
  useReloadOn(isAsked && row, loaded.reload)
  const first = loaded.value?.[0]
  if (!isAsked) return null
  // It keeps its place while it is read, so that what is below does not move.
  if (!first && loaded.isLoading) return <WhyToCome isFailed={row.state === 'Faulted'} />
  if (!first) return null
  const { job, lastChange } = first
  const isFailed = row.state === 'Faulted'
  const isItself = job.id === row.id
  if (isItself && !lastChange.message) return null
  return (
    <p class={isFailed ? 'why failed-why' : 'why'}>
      <StateIcon state={job.state as Row['state']} />
      <span class="why-word">{isFailed ? t.value.failedBecause : t.value.waitsFor}</span>
      {!isItself && (
        <span>
          <a href={link(`jobs/${job.id}`)}>{job.name}</a>
          {lastChange.message && <span class="muted">:</span>}
        </span>
      )}
      <span class="message" title={lastChange.message ?? undefined}>
        {lastChange.message}
      </span>
      <a class="all" href={link(`jobs/${row.id}`, { view: 'waiting' })}>
        {t.value.showAll}
      </a>
    </p>
  )
}

function WhyToCome({ isFailed }: { isFailed: boolean }) {
  return (
    <p class={isFailed ? 'why failed-why' : 'why'} aria-busy="true">
      <span class="ghost" />
    </p>
  )
}

/** What a failed job waited for is why it failed. */
function isCauses(tab: Tab, row: Row): boolean {
  return tab === 'waiting' && row.state === 'Faulted'
}

interface TabsProps {
  job: Job
  row: Row
  task: Loaded<ReadTask | null>
}

function Tabs({ job, row, task }: TabsProps) {
  // One that the address asks for is waited for in its place.
  const isAsked = query.value.get('view') === 'task' && task.value === undefined
  const hasTask = Boolean(task.value) || task.error !== undefined || isAsked
  // One that is known late adds its view, and does not take the place of the one that is shown.
  const begun = useRef(hasTask)
  const tabs: readonly Tab[] = hasTask ? TABS : TABS.filter((name) => name !== 'task')
  const tab = currentTab(tabs, row, hasTask && begun.current)
  const counts: Partial<Record<Tab, number>> = { history: row.changes, log: row.logLines }
  const choose = (name: Tab) => setQuery({ view: name }, '')
  // Where there is no room for all of them, the one that is shown is among those that are seen.
  useEffect(() => {
    document.getElementById(`tab-${tab}`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [tab])
  const moved = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (step === 0) return
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length] as Tab
    choose(next)
    document.getElementById(`tab-${next}`)?.focus()
  }
  return (
    <>
      <div class="tabs" role="tablist" aria-label={t.value.views} onKeyDown={moved}>
        {tabs.map((name) => (
          <button
            key={name}
            id={`tab-${name}`}
            type="button"
            role="tab"
            aria-selected={tab === name}
            aria-controls="tab-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => choose(name)}
          >
            <Steady text={t.value.tabs[isCauses(name, row) ? 'causes' : name]} />
            {counts[name] ? <span class="count">{exact(counts[name])}</span> : null}
          </button>
        ))}
      </div>
      <div id="tab-panel" class="tab-panel fill" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === 'tree' ? (
          <TreeView job={row} />
        ) : tab === 'task' ? (
          <Lazy load={loadTask} props={{ job: row, full: job, task }} />
        ) : (
          <Lazy key={tab} load={VIEWS[tab]} props={{ job: row, full: job }} />
        )}
      </div>
    </>
  )
}
