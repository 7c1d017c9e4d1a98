import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useSignal, useSignalEffect } from '@preact/signals'
import { apiLink, get } from '../api/client'
import { isFinished, type Id, type LogLine, type Page } from '../api/types'
import { plain } from '../parts/ansi'
import { Coloured } from '../parts/coloured'
import { Icon } from '../parts/icons'
import { bothZones, copy, Empty, Failed } from '../parts/small'
import { clock } from '../parts/time'
import { Virtual, type VirtualHandle } from '../parts/virtual'
import { zone } from '../shell/prefs'
import { fragment, link, query, setQuery } from '../shell/router'
import { t } from '../texts'
import type { TabProps } from './job'
import { LogLines } from './log_lines'

const LINE = 20

/** The lines that an address names, from 0: `L12-L20` counts from 1. */
export function linesOf(hash: string): [number, number] | undefined {
  const match = /^L(\d{1,9})(?:-L?(\d{1,9}))?$/.exec(hash)
  if (!match) return undefined
  const [from, to] = [Number(match[1]) - 1, Number(match[2] ?? match[1]) - 1]
  return from >= 0 && to >= from ? [from, to] : undefined
}

export function LogView({ job }: TabProps) {
  const lines = useMemo(() => new LogLines(job.id), [job.id])
  const handle = useRef<VirtualHandle>(null)
  const isFollowing = useSignal(linesOf(fragment.peek()) === undefined && !isFinished(job.state))
  const seen = useSignal(job.logLines)
  lines.grow(job.logLines)
  useEffect(() => {
    lines.follow()
    return () => lines.close()
  }, [lines])
  useFollow(lines, handle, isFollowing, seen)
  const count = lines.count.value
  const search = query.value.get('find') ?? ''
  const isOver = isFinished(job.state)
  return (
    <section class="log fill">
      <LogBar
        job={job.id}
        lines={lines}
        search={search}
        isOver={isOver}
        isFollowing={isFollowing}
        handle={handle}
      />
      {lines.error.value !== undefined && (
        <Failed error={lines.error.value} retry={() => lines.want(0, 100)} />
      )}
      {search ? (
        <Found key={search} job={job.id} search={search} />
      ) : count === 0 ? (
        <Empty title={isOver ? t.value.log.none : t.value.log.noneYet} />
      ) : (
        <Lines lines={lines} handle={handle} isFollowing={isFollowing} seen={seen} />
      )}
      {!isFollowing.value && !search && count > seen.value && (
        <button
          type="button"
          class="pill more-lines"
          onClick={() => {
            isFollowing.value = true
            handle.current?.toEnd()
          }}
        >
          <Icon name="down" size={14} /> {t.value.log.fresh(count - seen.value)}
        </button>
      )}
    </section>
  )
}

interface Flag {
  value: boolean
  peek(): boolean
}

/** Goes to the named lines first, and to the end while it follows. */
function useFollow(
  lines: LogLines,
  handle: { current: VirtualHandle | null },
  isFollowing: Flag,
  seen: { value: number },
) {
  const hash = fragment.value
  useEffect(() => {
    const named = linesOf(hash)
    if (named) isFollowing.value = false
    const go = () => (named ? handle.current?.show(named[0], true) : undefined)
    const frame = requestAnimationFrame(go)
    return () => cancelAnimationFrame(frame)
  }, [lines, hash])
  useSignalEffect(() => {
    const count = lines.count.value
    if (!isFollowing.value) return
    seen.value = count
    requestAnimationFrame(() => handle.current?.toEnd())
  })
}

interface BarProps {
  job: Id
  lines: LogLines
  search: string
  isOver: boolean
  isFollowing: Flag
  handle: { current: VirtualHandle | null }
}

function LogBar({ job, lines, search, isOver, isFollowing, handle }: BarProps) {
  const [text, setText] = useState(search)
  const named = linesOf(fragment.value)
  const isWrapped = query.value.has('wrap')
  const find = (event: Event) => {
    event.preventDefault()
    setQuery({ find: text || undefined })
  }
  return (
    <div class="toolbar">
      <form class="field search log-search" role="search" onSubmit={find}>
        <Icon name="search" />
        <input
          id="filter"
          type="search"
          aria-label={t.value.log.search}
          placeholder={t.value.log.search}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value)
            if (!event.currentTarget.value) setQuery({ find: undefined })
          }}
        />
      </form>
      <span class="muted num">{t.value.log.lines(lines.count.value)}</span>
      {!isOver && (
        <button
          type="button"
          aria-pressed={isFollowing.value}
          class={isFollowing.value ? 'pressed' : ''}
          onClick={() => {
            isFollowing.value = !isFollowing.value
            if (isFollowing.value) handle.current?.toEnd()
          }}
        >
          <Icon name="down" /> {t.value.log.follow}
        </button>
      )}
      <span class="grow" />
      {named && (
        <button type="button" class="quiet" onClick={() => void copyLines(job, named)}>
          <Icon name="copy" /> {t.value.log.copyLines(named[1] - named[0] + 1)}
        </button>
      )}
      <button
        type="button"
        class={isWrapped ? 'quiet pressed' : 'quiet'}
        aria-pressed={isWrapped}
        onClick={() => setQuery({ wrap: isWrapped ? undefined : '1' })}
      >
        <Icon name="wrap" /> {t.value.log.wrap}
      </button>
      <a
        class="button quiet"
        href={apiLink(`jobs/${job}/log`, { format: 'text', limit: 1000 })}
        target="_blank"
      >
        <Icon name="external" /> {t.value.log.raw}
      </a>
    </div>
  )
}

async function copyLines(job: Id, [from, to]: [number, number]) {
  const params = { from, limit: Math.min(1000, to - from + 1) }
  const page = await get<Page<LogLine>>(`jobs/${job}/log`, params)
  await copy(page.items.map((line) => plain(line.text)).join('\n'))
}

interface LinesProps {
  lines: LogLines
  handle: { current: VirtualHandle | null }
  isFollowing: Flag
  seen: { value: number }
}

function Lines({ lines, handle, isFollowing, seen }: LinesProps) {
  void lines.revision.value
  const count = lines.count.value
  const named = linesOf(fragment.value)
  const isWrapped = query.value.has('wrap')
  const last = useRef(0)
  const scrolled = () => {
    const top = handle.current?.top ?? 0
    // Only who is at the end follows; to scroll up is to stay.
    if (isFollowing.peek() && top < last.current) {
      isFollowing.value = false
      seen.value = lines.count.peek()
    } else if (!isFollowing.peek() && top > last.current && handle.current?.isAtEnd) {
      isFollowing.value = true
    }
    last.current = top
  }
  return (
    <Virtual
      rows={count}
      rowHeight={LINE}
      handle={handle}
      onRange={(first, end) => lines.want(first, end)}
      onScroll={scrolled}
      frame={{
        class: isWrapped ? 'lines wrapped' : 'lines',
        tabIndex: 0,
        role: 'log',
        'aria-live': 'off',
        'aria-label': t.value.tabs.log,
      }}
      render={(index) => (
        <Line
          key={index}
          index={index}
          line={lines.lineAt(index)}
          isNamed={named !== undefined && index >= named[0] && index <= named[1]}
        />
      )}
    />
  )
}

interface LineProps {
  index: number
  line: LogLine | undefined
  isNamed: boolean
}

function Line({ index, line, isNamed }: LineProps) {
  return (
    <div class={isNamed ? 'line named' : 'line'} data-line={index + 1}>
      <a class="line-number" href={`#L${index + 1}`} onClick={(event) => nameLine(event, index)}>
        {index + 1}
      </a>
      {!line && <span class="ghost" />}
      {line && (
        <>
          <time class="line-time" dateTime={line.time} title={bothZones(line.time)}>
            {clock(line.time, zone.value)}
          </time>
          <Attempt line={line} />
          <span class="line-text">
            <Coloured text={line.text} />
          </span>
        </>
      )}
    </div>
  )
}

/** Which attempt of the task has said it. */
function Attempt({ line }: { line: LogLine }) {
  if (line.attempt == null) return null
  return (
    <span class="line-attempt" title={t.value.log.attempt(line.attempt)}>
      #{line.attempt}
    </span>
  )
}

/** Names a line in the address; with shift, all from the named one on. */
function nameLine(event: MouseEvent, index: number) {
  event.preventDefault()
  const named = linesOf(fragment.peek())
  if (event.shiftKey && named) {
    const [from, to] = [Math.min(named[0], index), Math.max(named[0], index)]
    setQuery({}, `L${from + 1}-L${to + 1}`)
  } else {
    setQuery({}, `L${index + 1}`)
  }
}

/** The lines that have a text, as the service finds them: up to 20,000 lines are read at once. */
function Found({ job, search }: { job: Id; search: string }) {
  const items = useSignal<LogLine[]>([])
  const cursor = useSignal<string | null | undefined>(undefined)
  const error = useSignal<unknown>(undefined)
  const isReading = useSignal(false)
  const next = async () => {
    isReading.value = true
    try {
      const params = { search, limit: 200, cursor: cursor.peek() }
      const page = await get<Page<LogLine>>(`jobs/${job}/log`, params)
      items.value = [...items.peek(), ...page.items]
      cursor.value = page.nextCursor ?? null
      error.value = undefined
    } catch (failure) {
      error.value = failure
    } finally {
      isReading.value = false
    }
  }
  useEffect(() => void next(), [])
  return (
    <div class="scroll lines found">
      <p class="muted pad-line" role="status">
        {isReading.value
          ? t.value.loading
          : t.value.log.found(items.value.length, typeof cursor.value === 'string')}
      </p>
      {error.value !== undefined && <Failed error={error.value} retry={() => void next()} />}
      {items.value.map((line) => (
        <a
          key={line.line}
          class="line"
          href={`${link(`jobs/${job}`, { view: 'log' })}#L${line.line + 1}`}
        >
          <span class="line-number">{line.line + 1}</span>
          <span class="line-time">{clock(line.time, zone.value)}</span>
          <Attempt line={line} />
          <span class="line-text">
            <Coloured text={line.text} />
          </span>
        </a>
      ))}
      {typeof cursor.value === 'string' && (
        <button type="button" disabled={isReading.value} onClick={() => void next()}>
          {t.value.more}
        </button>
      )}
    </div>
  )
}
