import { useRef } from 'preact/hooks'
import { useSignal } from '@preact/signals'
import { get } from '../api/client'
import { isFinished, childCount, type JobSummary, type State, type Timeline } from '../api/types'
import { now } from '../parts/clock'
import { StateIcon } from '../parts/icons'
import { useLoad, useReloadOn, useSize } from '../parts/load'
import { exact } from '../parts/number'
import { bothZones, Empty, Failed, Skeleton } from '../parts/small'
import { span, written } from '../parts/time'
import { Virtual } from '../parts/virtual'
import { zone } from '../shell/prefs'
import { link } from '../shell/router'
import { t } from '../texts'
import type { TabProps } from './job'

const LINE = 28

/** When the work of each child began and ended, as bars over one span of time. */
export function TimelineView({ job }: TabProps) {
  const loaded = useLoad(job.id, (abort) =>
    get<Timeline>(`jobs/${job.id}/timeline`, { limit: 1000 }, abort),
  )
  useReloadOn(!isFinished(job.state) && job, loaded.reload, 3_000)
  const place = useRef<HTMLDivElement>(null)
  const size = useSignal<[number, number]>([0, 0])
  useSize(place, size)
  const { value } = loaded
  if (!value) {
    return loaded.error === undefined ? (
      <Skeleton />
    ) : (
      <Failed error={loaded.error} retry={loaded.reload} />
    )
  }
  const begun = value.items.filter((child) => child.treeStart)
  if (begun.length === 0) {
    const hasChildren = childCount(job.children) > 0
    return <Empty title={hasChildren ? t.value.timeline.notBegun : t.value.tree.empty} />
  }
  const isOver = isFinished(job.state)
  const present = isOver ? 0 : now.value
  const from = Math.min(...begun.map(startOf))
  const ends = begun.map((child) => endOf(child, present))
  const to = Math.max(from + 1, present, ...ends)
  return (
    <section class="fill timeline" ref={place}>
      <p class="muted toolbar" role="note">
        {value.sampled
          ? t.value.timeline.sampled(exact(value.items.length), exact(childCount(job.children)))
          : t.value.timeline.all(exact(value.items.length))}
      </p>
      <Axis from={from} to={to} />
      <Virtual
        rows={begun.length}
        rowHeight={LINE}
        frame={{ class: 'bars', tabIndex: 0, role: 'list', 'aria-label': t.value.tabs.timeline }}
        render={(at) => (
          <Line
            key={begun[at]?.id}
            child={begun[at] as JobSummary}
            from={from}
            to={to}
            present={present}
          />
        )}
      />
    </section>
  )
}

function startOf(child: JobSummary): number {
  return Date.parse(child.treeStart?.time ?? '')
}

function endOf(child: JobSummary, present: number): number {
  const end = isFinished(child.state) ? (child.treeEnd?.time ?? child.endTime) : undefined
  return end ? Date.parse(end) : present
}

function Axis({ from, to }: { from: number; to: number }) {
  return (
    <div class="axis num muted" aria-hidden="true">
      <span class="axis-name" />
      <span class="axis-line">
        {[0, 0.25, 0.5, 0.75, 1].map((part) => {
          const time = from + (to - from) * part
          return (
            <span key={part} title={bothZones(new Date(time).toISOString())}>
              {part === 0
                ? written(new Date(time).toISOString(), zone.value).slice(11)
                : `+${span(time - from, t.value.units)}`}
            </span>
          )
        })}
      </span>
    </div>
  )
}

interface LineProps {
  child: JobSummary
  from: number
  to: number
  present: number
}

function Line({ child, from, to, present }: LineProps) {
  const [start, end] = [startOf(child), Math.max(startOf(child), endOf(child, present))]
  const left = ((start - from) / (to - from)) * 100
  const width = ((end - start) / (to - from)) * 100
  const state = child.state as State
  const said = `${t.value.states[state]}, ${span(end - start, t.value.units)}`
  return (
    <div class="bar-line" role="listitem">
      <span class="axis-name">
        <StateIcon state={state} size={14} />
        <a href={link(`jobs/${child.id}`)}>{child.definition?.name}</a>
      </span>
      <span class="axis-line">
        <span
          class={`span-bar b-${state}`}
          role="img"
          aria-label={said}
          title={said}
          style={{ left: `${left}%`, width: `max(3px, ${width}%)` }}
        />
        <span class="span-text num muted" style={spanStyle(left, width)}>
          {span(end - start, t.value.units)}
        </span>
      </span>
    </div>
  )
}

/** Beside the bar, on the side where there is room. */
function spanStyle(left: number, width: number) {
  return left + width > 85
    ? { right: `${100 - left}%`, paddingRight: '6px' }
    : { left: `${left + width}%`, paddingLeft: '6px' }
}
