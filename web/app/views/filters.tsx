import { useEffect, useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import type { Params } from '../api/client'
import { STATES, type State } from '../api/types'
import { Icon, StateIcon } from '../parts/icons'
import { now } from '../parts/clock'
import { typed } from '../parts/time'
import { zone } from '../shell/prefs'
import { query, setQuery } from '../shell/router'
import { t } from '../texts'
import { parsed } from './filter_text'

/** Spans that stay relative: a link to the last hour is about the hour before it is opened. */
export const RANGES = {
  '1h': 3_600_000,
  '24h': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
}
type Range = keyof typeof RANGES

export function rangeOf(values: URLSearchParams): Range | undefined {
  return (Object.keys(RANGES) as Range[]).find((range) => range === values.get('range'))
}

export function hasFilter(values: URLSearchParams): boolean {
  return ['states', 'q', 'range', 'from', 'to'].some((name) => values.has(name))
}

/** A minute is the grain of a relative time, so that the list is not read anew each second. */
function rounded(ms: number): string {
  return new Date(Math.floor(ms / 60_000) * 60_000).toISOString()
}

/** What the API is asked for, from what the address says. */
export function filterParams(values: URLSearchParams): Params {
  const range = rangeOf(values)
  const time = (name: string) => typed(values.get(name) ?? '', zone.value)
  return {
    states: values.get('states') ?? undefined,
    from: range ? rounded(now.peek() - RANGES[range]) : time('from'),
    to: range ? undefined : time('to'),
    ...parsed(values.get('q') ?? ''),
  }
}

export function Filters() {
  const chosen = (query.value.get('states') ?? '').split(',').filter(Boolean)
  const toggle = (state: State) => {
    const next = chosen.includes(state) ? chosen.filter((one) => one !== state) : [...chosen, state]
    setQuery({ states: next.join(',') || undefined })
  }
  return (
    <div class="filters" role="search">
      <SearchField />
      <div class="chips" role="group" aria-label={t.value.columns.state}>
        {STATES.map((state) => (
          <button
            key={state}
            type="button"
            class={`chip i-${state}`}
            aria-pressed={chosen.includes(state)}
            onClick={() => toggle(state)}
          >
            <StateIcon state={state} size={14} /> <span>{t.value.states[state]}</span>
          </button>
        ))}
      </div>
      <RangeField />
    </div>
  )
}

function SearchField() {
  const field = useRef<HTMLInputElement>(null)
  const text = useSignal(query.peek().get('q') ?? '')
  const asked = query.value.get('q') ?? ''
  useEffect(() => {
    if (document.activeElement !== field.current) text.value = asked
  }, [asked])
  useEffect(() => {
    const timer = setTimeout(() => {
      if (text.value !== asked) setQuery({ q: text.value || undefined })
    }, 250)
    return () => clearTimeout(timer)
  }, [text.value])
  return (
    <label class="field search">
      <Icon name="search" />
      <input
        ref={field}
        id="filter"
        type="search"
        autocomplete="off"
        spellcheck={false}
        aria-label={t.value.trees.filter}
        placeholder={t.value.trees.filterHint}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
    </label>
  )
}

function RangeField() {
  const range = rangeOf(query.value)
  const isOwn = query.value.has('from') || query.value.has('to')
  const choose = (value: string) => {
    if (value === 'own') {
      const day = new Date(now.peek()).toISOString().slice(0, 10)
      setQuery({ range: undefined, from: query.peek().get('from') ?? day })
    } else {
      setQuery({ range: value || undefined, from: undefined, to: undefined })
    }
  }
  return (
    <div class="range">
      <select
        aria-label={t.value.trees.range}
        value={isOwn ? 'own' : (range ?? '')}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        <option value="">{t.value.trees.anyTime}</option>
        {(Object.keys(RANGES) as Range[]).map((name) => (
          <option key={name} value={name}>
            {t.value.trees.ranges[name]}
          </option>
        ))}
        <option value="own">{t.value.trees.ownRange}</option>
      </select>
      {isOwn && (
        <>
          <TimeField name="from" label={t.value.trees.from} />
          <TimeField name="to" label={t.value.trees.to} />
        </>
      )}
    </div>
  )
}

/** A time in the zone that is shown. */
function TimeField({ name, label }: { name: string; label: string }) {
  const value = query.value.get(name) ?? ''
  const isWrong = value !== '' && typed(value, zone.value) === undefined
  return (
    <input
      type="text"
      class="time-field"
      aria-label={`${label} (${zone.value === 'utc' ? 'UTC' : t.value.local})`}
      aria-invalid={isWrong}
      placeholder="2026-11-30 08:00"
      value={value}
      onChange={(event) => setQuery({ [name]: event.currentTarget.value || undefined })}
    />
  )
}
