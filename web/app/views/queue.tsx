import { get } from '../api/client'
import type { Page, QueueCounts, QueuedTask } from '../api/types'
import { useServiceState } from '../live/state'
import { Icon } from '../parts/icons'
import { Listing, Table, type Head } from '../parts/listing'
import { usePages, useReloadOn } from '../parts/load'
import { More } from '../parts/more'
import { exact } from '../parts/number'
import { Age, Empty, Time } from '../parts/small'
import { link, query, setQuery } from '../shell/router'
import { useTitle } from '../shell/title'
import { t } from '../texts'

type QueueState = QueuedTask['state']
const STATES: readonly QueueState[] = ['leased', 'ready', 'delayed']
/** The list follows the numbers, and not faster than one can read. */
const RELOAD_MS = 2_000
const LIMIT = 100

/** The tasks that wait for a worker, and those that one has. */
export function QueueView() {
  const words = t.value.queue
  useTitle(t.value.nav.queue)
  const [states, handler, worker] = ['states', 'handler', 'worker'].map(
    (name) => query.value.get(name) ?? undefined,
  )
  const loaded = usePages(`queue ${states} ${handler} ${worker}`, (abort, cursor) =>
    get<Page<QueuedTask>>('queue', { states, handler, worker, limit: LIMIT, cursor }, abort),
  )
  const counts = useServiceState({
    topic: 'queue',
    read: (frame) => (frame.t === 'queue' ? frame.counts : undefined),
    ask: () => get<QueueCounts>('queue/counts'),
  })
  useReloadOn(counts, () => loaded.isFirst && loaded.reload(), RELOAD_MS)
  const isFiltered = Boolean(states || handler || worker)
  return (
    <Listing
      title={words.title}
      note={counts && <Length counts={counts} />}
      tools={<States chosen={states} counts={counts} />}
      loaded={loaded}
      isEmpty={loaded.items.length === 0 && !loaded.isMore && !isFiltered}
      none={<Empty title={words.none} />}
    >
      {counts && counts.handlers.length > 0 && <Handlers counts={counts} chosen={handler} />}
      <section>
        <div class="section-head">
          <h2>{words.tasks}</h2>
          <Chosen name="worker" value={worker} />
        </div>
        {loaded.items.length > 0 ? (
          <Tasks tasks={loaded.items} />
        ) : (
          <p class="muted">{loaded.isMore ? words.further : words.noMatch}</p>
        )}
        <More pages={loaded} />
      </section>
    </Listing>
  )
}

/** How long the oldest task has waited; where more are than were counted it says so. */
function Length({ counts: { oldest, more } }: { counts: QueueCounts }) {
  const words = t.value.queue
  return (
    <span class="muted num">
      {oldest && (
        <>
          {words.oldest} <Age iso={oldest} />
        </>
      )}
      {more && <span title={words.moreHint}> {words.more}</span>}
    </span>
  )
}

interface StatesProps {
  chosen: string | undefined
  counts: QueueCounts | undefined
}

function States({ chosen, counts }: StatesProps) {
  const words = t.value.queue
  const all = [undefined, ...STATES]
  return (
    <div class="segments" role="group" aria-label={t.value.columns.state}>
      {all.map((state) => (
        <button
          key={state}
          type="button"
          aria-pressed={chosen === state}
          onClick={() => setQuery({ states: state })}
        >
          {state ? words.states[state] : words.all}{' '}
          {state && counts && <span class="num muted">{exact(counts[state])}</span>}
        </button>
      ))}
    </div>
  )
}

/** What the list is narrowed to, and the way back. */
function Chosen({ name, value }: { name: 'handler' | 'worker'; value: string | undefined }) {
  if (!value) return null
  return (
    <button
      type="button"
      class="chip"
      title={t.value.clearFilter}
      onClick={() => setQuery({ [name]: undefined })}
    >
      <code>{value}</code> <Icon name="close" size={12} />
    </button>
  )
}

function Handlers({ counts, chosen }: { counts: QueueCounts; chosen: string | undefined }) {
  const words = t.value.queue
  const heads: Head[] = [
    t.value.task.handler,
    ...STATES.map((state): Head => ({ text: words.states[state], is: 'num' })),
    { text: words.oldest, is: 'num' },
  ]
  return (
    <section>
      <div class="section-head">
        <h2>{words.byHandler}</h2>
        <Chosen name="handler" value={chosen} />
      </div>
      <Table label={words.byHandler} heads={heads} isNumbers>
        {counts.handlers.map((one) => (
          <tr key={one.handler} class={chosen && chosen !== one.handler ? 'over' : ''}>
            <td class="main-cell">
              <a href={link('queue', { handler: one.handler })}>
                <code>{one.handler}</code>
              </a>
            </td>
            {STATES.map((state) => (
              <td key={state} class="num" data-label={words.states[state]}>
                {exact(one[state])}
              </td>
            ))}
            <td class="num" data-label={words.oldest}>
              {one.oldest ? <Age iso={one.oldest} /> : '–'}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}

function Tasks({ tasks }: { tasks: QueuedTask[] }) {
  const words = t.value.queue
  const heads: Head[] = [
    t.value.columns.job,
    t.value.columns.state,
    t.value.task.handler,
    t.value.task.worker,
    words.since,
    { text: words.attempts, is: 'num' },
  ]
  return (
    <Table label={words.tasks} heads={heads}>
      {tasks.map((task) => (
        <Line key={task.job} task={task} />
      ))}
    </Table>
  )
}

function Line({ task }: { task: QueuedTask }) {
  const words = t.value.queue
  const { job, name, handler, state, since, attempt, worker, assignedTo, cancelling } = task
  const ownWorker = worker ?? assignedTo
  return (
    <tr>
      <td class="main-cell">
        <a href={link(`jobs/${job}`)}>{name || job}</a>
        <code class="below">{job}</code>
      </td>
      <td data-label={t.value.columns.state}>
        <span class="coming">
          <span class={`delivery-status q-${state}`}>{words.states[state]}</span>
          {state === 'leased' && <span class="muted num">{task.progress} %</span>}
          {cancelling && <span class="i-Warning">{t.value.task.cancelling}</span>}
        </span>
      </td>
      <td data-label={t.value.task.handler}>
        <code>{handler}</code>
      </td>
      <td data-label={t.value.task.worker}>
        {ownWorker ? (
          <span class="coming">
            <a href={link('workers', { q: ownWorker })}>
              <code>{ownWorker}</code>
            </a>
            {!worker && <span class="muted">{words.kept}</span>}
          </span>
        ) : (
          <span class="muted">–</span>
        )}
      </td>
      <td data-label={words.since}>
        <span class="coming">
          <Time iso={since} />
          {state !== 'delayed' && (
            <span class="muted num">
              <Age iso={since} />
            </span>
          )}
        </span>
      </td>
      <td class="num" data-label={words.attempts}>
        {exact(attempt)}
      </td>
    </tr>
  )
}
