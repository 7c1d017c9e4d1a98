import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { withSource } from '../api/json'
import type { Alarm, AlarmAction, Routing, ScheduleDefinition } from '../api/types'
import { NumberField, TextField, wholeNumber } from '../parts/fields'
import { t } from '../texts'
import { indented } from './indented'
import { isJson } from './json_text'

interface FormProps {
  /** The definition as JSON, in which the form writes its own part alone. */
  text: string
  change: (text: string) => void
}

/** Parts of a definition that are easier to choose than to write. */
export function Forms({ text, change }: FormProps) {
  if (!isJson(text)) return null
  const definition = JSON.parse(text) as ScheduleDefinition | null
  if (definition === null || typeof definition !== 'object') return null
  const put = (path: string[], value: unknown) => {
    const source = value === undefined ? undefined : JSON.stringify(value)
    change(indented(withSource(text, path, source)))
  }
  return (
    <div class="forms">
      {definition.run?.task && (
        <RoutingForm
          routing={definition.run.task.routing ?? { kind: 'any' }}
          put={(routing) =>
            put(['run', 'task', 'routing'], routing.kind === 'any' ? undefined : routing)
          }
        />
      )}
      <AlarmForm alarm={definition.alarm ?? undefined} put={(alarm) => put(['alarm'], alarm)} />
    </div>
  )
}

function Part({
  title,
  note,
  children,
}: {
  title: string
  note: string
  children: ComponentChildren
}) {
  return (
    <details>
      <summary>
        {title} <span class="muted">{note}</span>
      </summary>
      <div class="stack">{children}</div>
    </details>
  )
}

type Kind = Routing['kind']
const KINDS: readonly Kind[] = [
  'any',
  'first',
  'last',
  'roundRobin',
  'random',
  'consistentHash',
  'leastDispatched',
  'leastRecentlyUsed',
  'leastLoaded',
  'idleFirst',
  'memoryFirst',
  'cpuFirst',
  'fastestResponse',
  'failover',
  'specific',
  'custom',
]

/** A rule of this kind, with what it needs still to be typed. */
function ruleOf(kind: Kind): Routing {
  if (kind === 'specific') return { kind, workers: [] }
  if (kind === 'custom') return { kind, name: '' }
  return { kind } as Routing
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean)
}

/** A text that is left out where nothing is typed. */
function given(text: string): string | undefined {
  return text === '' ? undefined : text
}

function RoutingForm({ routing, put }: { routing: Routing; put: (routing: Routing) => void }) {
  const said = t.value.schedules.routing
  return (
    <Part title={said.title} note={said.kinds[routing.kind]}>
      <label class="labelled">
        {said.rule}
        <select
          value={routing.kind}
          onChange={(event) => put(ruleOf(event.currentTarget.value as Kind))}
        >
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {said.kinds[kind]}
            </option>
          ))}
        </select>
      </label>
      {routing.kind === 'consistentHash' && (
        <div class="fields">
          <TextField
            label={said.param}
            value={routing.param ?? ''}
            change={(param) => put({ ...routing, param: given(param) } as Routing)}
          />
          <TextField
            label={said.key}
            value={routing.key ?? ''}
            change={(key) => put({ ...routing, key: given(key) } as Routing)}
          />
        </div>
      )}
      {routing.kind === 'specific' && (
        <TypedWords
          key="workers"
          label={said.workers}
          value={routing.workers}
          change={(workers) => put({ kind: 'specific', workers })}
        />
      )}
      {routing.kind === 'custom' && (
        <TextField
          label={said.name}
          value={routing.name}
          isWrong={routing.name === ''}
          change={(name) => put({ kind: 'custom', name })}
        />
      )}
    </Part>
  )
}

interface WordsProps {
  label: string
  value: string[]
  change: (value: string[]) => void
  placeholder?: string
}

/** Several words in a line; the blank that one types last is kept while one types on. */
function TypedWords({ label, value, change, placeholder }: WordsProps) {
  const [text, type] = useState(value.join(', '))
  return (
    <TextField
      label={label}
      placeholder={placeholder}
      value={text}
      isWrong={value.length === 0}
      change={(text) => {
        type(text)
        change(words(text))
      }}
    />
  )
}

/** Limits of the service, in the units of the form. */
const RECEIVERS = 4
const THRESHOLD = 100
const YEAR_MINUTES = 527_040
const YEAR_SECONDS = 31_622_400
const PERCENT: [number, number] = [101, 100_000]

interface AlarmProps {
  alarm: Alarm | undefined
  put: (alarm: Alarm | undefined) => void
}

function AlarmForm({ alarm, put }: AlarmProps) {
  const said = t.value.schedules.alarm
  const first: AlarmAction = { kind: 'http', url: '' }
  return (
    <Part title={said.title} note={alarm ? said.tells(alarm.actions?.length ?? 0) : said.none}>
      <label class="choice">
        <input
          type="checkbox"
          checked={alarm !== undefined}
          onChange={(event) => put(event.currentTarget.checked ? { actions: [first] } : undefined)}
        />
        {said.tell}
      </label>
      {alarm && (
        <Receivers actions={alarm.actions ?? []} put={(actions) => put({ ...alarm, actions })} />
      )}
      {alarm && <When alarm={alarm} put={put} />}
    </Part>
  )
}

function Receivers({
  actions,
  put,
}: {
  actions: AlarmAction[]
  put: (actions: AlarmAction[]) => void
}) {
  const said = t.value.schedules.alarm
  const replace = (at: number, ...by: AlarmAction[]) =>
    put([...actions.slice(0, at), ...by, ...actions.slice(at + 1)])
  return (
    <>
      {actions.map((action, at) => (
        <div key={`${at} ${action.kind}`} class="receiver">
          <select
            aria-label={said.receiver}
            value={action.kind}
            onChange={(event) =>
              replace(
                at,
                event.currentTarget.value === 'email'
                  ? { kind: 'email', to: [] }
                  : { kind: 'http', url: '' },
              )
            }
          >
            <option value="http">{said.http}</option>
            <option value="email">{said.email}</option>
          </select>
          {action.kind === 'http' ? (
            <TextField
              label={said.url}
              placeholder="https://example.com/alarms"
              value={action.url}
              isWrong={!/^https?:\/\/\S+$/i.test(action.url)}
              change={(url) => replace(at, { kind: 'http', url })}
            />
          ) : (
            <TypedWords
              label={said.to}
              placeholder="ops@example.com"
              value={action.to}
              change={(to) => replace(at, { kind: 'email', to })}
            />
          )}
          <button
            type="button"
            class="quiet"
            disabled={actions.length === 1}
            onClick={() => replace(at)}
          >
            {said.remove}
          </button>
        </div>
      ))}
      <div>
        <button
          type="button"
          disabled={actions.length >= RECEIVERS}
          onClick={() => put([...actions, { kind: 'http', url: '' }])}
        >
          {said.add}
        </button>
      </div>
    </>
  )
}

/** When receivers are told. A field that is empty is left out of the definition. */
function When({ alarm, put }: { alarm: Alarm; put: (alarm: Alarm) => void }) {
  const said = t.value.schedules.alarm
  const shown = (value: number | null | undefined, unit = 1) =>
    typeof value === 'number' ? `${value / unit}` : ''
  const number = (name: keyof Alarm, unit: number) => (text: string) => {
    const { [name]: _, ...others } = alarm
    const value = wholeNumber(text)
    put((value === Infinity ? others : { ...others, [name]: value * unit }) as Alarm)
  }
  return (
    <div class="fields">
      <NumberField
        label={said.threshold}
        value={shown(alarm.threshold ?? 1)}
        change={number('threshold', 1)}
        least={1}
        most={THRESHOLD}
      />
      <NumberField
        label={said.silence}
        value={shown(alarm.silenceMs, 60_000)}
        change={number('silenceMs', 60_000)}
        most={YEAR_MINUTES}
        isOptional
      />
      <NumberField
        label={said.notStarted}
        value={shown(alarm.notStartedMs, 1_000)}
        change={number('notStartedMs', 1_000)}
        least={1}
        most={YEAR_SECONDS}
        isOptional
      />
      <NumberField
        label={said.long}
        value={shown(alarm.longPercent)}
        change={number('longPercent', 1)}
        least={PERCENT[0]}
        most={PERCENT[1]}
        isOptional
      />
    </div>
  )
}
