import { useState } from 'preact/hooks'
import { isFinished, type Job, type Row } from '../api/types'
import { Icon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { RoleButton } from '../parts/listing'
import { may } from '../shell/session'
import { t } from '../texts'

export interface ActionProps {
  job: Job
  row: Row
  reload: () => void
}

const DIALOGS = {
  report: () => import('./act').then((module) => module.ReportDialog),
  cancel: () => import('./act').then((module) => module.CancelDialog),
  remove: () => import('./act').then((module) => module.RemoveDialog),
}

/** What the caller may do with the job; what it may not is there, and says why not. */
export function Actions({ job, row, reload }: ActionProps) {
  const [isOpen, setOpen] = useState<keyof typeof DIALOGS | undefined>(undefined)
  const words = t.value.act
  return (
    <span class="acts">
      <RoleButton needs="writer" onClick={() => setOpen('report')}>
        <Icon name="plus" /> {words.report}
      </RoleButton>
      {!isFinished(row.state) && (
        <RoleButton needs="operator" onClick={() => setOpen('cancel')}>
          {row.subtree.total > 0 ? words.cancelTree : words.cancelJob}
        </RoleButton>
      )}
      {job.depth === 0 && may('admin') && (
        <button
          type="button"
          class="quiet icon-only"
          title={words.remove}
          aria-label={words.remove}
          onClick={() => setOpen('remove')}
        >
          <Icon name="bin" />
        </button>
      )}
      {isOpen && (
        <Lazy
          key={isOpen}
          load={DIALOGS[isOpen]}
          props={{ job, row, reload, onClose: () => setOpen(undefined) }}
        />
      )}
    </span>
  )
}
