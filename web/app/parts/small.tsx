import { useEffect, useRef, useState } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { signal } from '@preact/signals'
import { ApiError } from '../api/client'
import { zone } from '../shell/prefs'
import { t } from '../texts'
import { now } from './clock'
import { Icon } from './icons'
import { age, span, written, zoneName } from './time'

/** A time in the zone that is shown; the tooltip has both zones, and a copy is ISO UTC. */
export function Time({ iso, millis }: { iso: string | null | undefined; millis?: boolean }) {
  if (!iso) return <span class="muted">–</span>
  return (
    <time dateTime={iso} title={bothZones(iso)}>
      {written(iso, zone.value, millis)}
    </time>
  )
}

export function bothZones(iso: string): string {
  const local = `${written(iso, 'local', true)} ${zoneName(iso, 'local')}`
  const utc = `${written(iso, 'utc', true)} UTC`
  return local === utc ? utc : `${local}\n${utc}`
}

/** How long ago a time was, by the service's clock. */
export function Age({ iso }: { iso: string }) {
  return (
    <time class="num" dateTime={iso} title={bothZones(iso)}>
      {age(now.value - Date.parse(iso), t.value.units)}
    </time>
  )
}

/** From one time to another, or to now while it goes on. */
export function Duration({ from, to }: { from: string | null; to: string | null }) {
  if (!from) return <span class="muted">–</span>
  const end = to ? Date.parse(to) : now.value
  return <span class="num">{span(end - Date.parse(from), t.value.units)}</span>
}

interface Said {
  text: string
  /** Takes back what was done. */
  undo?: (() => Promise<void>) | undefined
}

const nothing: Said = { text: '' }
const said = signal(nothing)
const SHOWN_MS = 4_000
const UNDO_MS = 15_000

/** Says something to those who listen instead of looking, and in a corner. */
export function say(text: string, undo?: () => Promise<void>) {
  said.value = { text, undo }
}

export function Said() {
  const { text, undo } = said.value
  useEffect(() => {
    const timer = setTimeout(() => (said.value = nothing), undo ? UNDO_MS : SHOWN_MS)
    return () => clearTimeout(timer)
  }, [said.value])
  const takeBack = () => {
    said.value = nothing
    undo?.().then(
      () => say(t.value.undone),
      (error: unknown) => say(`${t.value.failed}: ${error instanceof Error ? error.message : ''}`),
    )
  }
  return (
    <div class={text ? 'said shown' : 'said'} role="status" aria-live="polite">
      <span>{text}</span>
      {undo && (
        <button type="button" onClick={takeBack}>
          {t.value.undo}
        </button>
      )}
    </div>
  )
}

export async function copy(text: string) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    // Without TLS there is no clipboard API; the old way works in a page that has the focus.
    const field = document.createElement('textarea')
    field.value = text
    field.className = 'offscreen'
    document.body.append(field)
    field.select()
    document.execCommand('copy')
    field.remove()
  }
  say(t.value.copied(text.length > 60 ? `${text.slice(0, 60)}…` : text))
}

/** Copies the address of what is shown, with the zone in which times are. */
export async function copyLink() {
  const url = new URL(location.href)
  if (zone.peek() === 'utc') url.searchParams.set('tz', 'utc')
  await copy(url.href)
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isDone, setDone] = useState(false)
  const act = async () => {
    await copy(text)
    setDone(true)
    setTimeout(() => setDone(false), 1_500)
  }
  return (
    <button type="button" class="quiet icon-only" title={label} aria-label={label} onClick={act}>
      <Icon name={isDone ? 'check' : 'copy'} size={14} />
    </button>
  )
}

/** Texts above this many characters come folded. */
const FOLDED = 4_096

/** A text of any length as it is: never read as HTML. */
export function Text({ text, mono }: { text: string; mono?: boolean }) {
  const [isWhole, setWhole] = useState(false)
  const isLong = text.length > FOLDED
  const shown = isLong && !isWhole ? text.slice(0, 1_024) : text
  return (
    <div class="text-block">
      <pre class={mono ? 'mono' : undefined}>{shown}</pre>
      {isLong && (
        <button type="button" class="quiet" onClick={() => setWhole(!isWhole)}>
          {isWhole ? t.value.fold : t.value.unfold(text.length)}
        </button>
      )}
    </div>
  )
}

/** A part that could not be read says so by itself, and the others go on. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const failure = error instanceof ApiError ? error : undefined
  const seconds = failure?.retryAfterMs ? Math.ceil(failure.retryAfterMs / 1000) : undefined
  const left = useCountdown(seconds, retry)
  const title = failure?.status === 0 ? t.value.unreachable : failure?.title || t.value.failed
  const detail = failure ? failure.detail : error instanceof Error ? error.message : `${error}`
  return (
    <div class="failed" role="alert">
      <strong>{title}</strong>
      {detail && <p>{detail}</p>}
      <p class="muted">
        {failure && failure.code !== 'unknown' && <code>{failure.code}</code>}
        {failure?.requestId && (
          <>
            {' '}
            <code>{failure.requestId}</code>{' '}
            <CopyButton text={failure.requestId} label={t.value.copyRequest} />
          </>
        )}
      </p>
      {retry && (
        <button type="button" onClick={retry}>
          {left ? t.value.retryIn(left) : t.value.retry}
        </button>
      )}
    </div>
  )
}

function useCountdown(seconds: number | undefined, done?: () => void): number | undefined {
  const [left, setLeft] = useState(seconds)
  const latest = useRef(done)
  latest.current = done
  useEffect(() => {
    if (!seconds) return
    setLeft(seconds)
    let rest = seconds
    const timer = setInterval(() => {
      rest -= 1
      setLeft(rest)
      if (rest <= 0) {
        clearInterval(timer)
        latest.current?.()
      }
    }, 1_000)
    return () => clearInterval(timer)
  }, [seconds])
  return left && left > 0 ? left : undefined
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** Grey lines where rows will be. */
export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div class="skeleton" aria-busy="true" aria-label={t.value.loading}>
      {Array.from({ length: rows }, (_, at) => (
        <span key={at} />
      ))}
    </div>
  )
}

/** A word that is bold where it is chosen, and takes the same room where it is not. */
export function Steady({ text }: { text: string }) {
  return (
    <span class="steady" data-text={text}>
      {text}
    </span>
  )
}

export function Tags({ tags }: { tags: string[] }) {
  return (
    <>
      {tags.map((tag) => (
        <span key={tag} class="tag">
          {tag}
        </span>
      ))}
    </>
  )
}
