import { isFinished, type Row } from '../api/types'
import { link } from '../shell/router'
import { t } from '../texts'
import { StateIcon } from './icons'
import { exact } from './number'
import { Age, Duration, Tags } from './small'
import { Bar } from './state'

/** The height of a row: one line on a desk, two on a telephone. */
export const ROW = 32
export const NARROW_ROW = 60

/** The cells of a job behind its name: the same in every table of jobs. */
export function Cells({ row }: { row: Row }) {
  const { subtree } = row
  return (
    <>
      <span role="gridcell" class={`c-state i-${row.state}`}>
        {t.value.states[row.state]}
      </span>
      <span role="gridcell" class="c-bar">
        <Bar subtree={subtree} />
      </span>
      <span role="gridcell" class="c-done num">
        {subtree.total > 0 && (
          <>
            {exact(subtree.successful)}
            <span class="muted"> / {exact(subtree.total)}</span>
          </>
        )}
      </span>
      <span role="gridcell" class="c-failed num">
        {subtree.failed > 0 && (
          <span class="i-Faulted" title={`${exact(subtree.failed)} ${t.value.parts.failed}`}>
            <StateIcon state="Faulted" size={12} /> {exact(subtree.failed)}
          </span>
        )}
      </span>
      <span role="gridcell" class="c-time">
        <Duration
          from={row.treeStart ?? row.startTime}
          to={isFinished(row.state) ? (row.treeEnd ?? row.endTime) : null}
        />
      </span>
      <span role="gridcell" class="c-age">
        <Age iso={row.createTime} />
      </span>
    </>
  )
}

export function Name({ row }: { row: Row }) {
  return (
    <>
      <StateIcon state={row.state} />
      <a class="name" href={link(`jobs/${row.id}`)} tabIndex={-1} title={row.name}>
        {row.name}
      </a>
      <Tags tags={row.tags} />
    </>
  )
}

export function Head({ first }: { first: string }) {
  const columns = t.value.columns
  return (
    <div class="row head" role="row">
      <span role="columnheader" class="c-name">
        {first}
      </span>
      <span role="columnheader" class="c-state">
        {columns.state}
      </span>
      <span role="columnheader" class="c-bar">
        {columns.below}
      </span>
      <span role="columnheader" class="c-done num">
        {columns.done}
      </span>
      <span role="columnheader" class="c-failed num">
        {columns.failed}
      </span>
      <span role="columnheader" class="c-time">
        {columns.duration}
      </span>
      <span role="columnheader" class="c-age">
        {columns.age}
      </span>
    </div>
  )
}
