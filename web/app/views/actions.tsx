import { useState } from 'preact/hooks'
import type { Job, Row } from '../api/types'
import { Icon } from '../parts/icons'
import { Lazy } from '../parts/lazy'
import { may } from '../shell/session'
import { t } from '../texts'

export interface ActionProps {
  job: Job
  row: Row
  reload: () => void
}

const DIALOGS = {
  report: () => import('./act').then((module) => module.ReportDialog),
  remove: () => import('./act').then((module) => module.RemoveDialog),
}

/** What the caller may do with the job; what it may not is there, and says why not. */
export function Actions({ job, row, reload }: ActionProps) {
  const [isOpen, setOpen] = useState<keyof typeof DIALOGS | undefined>(undefined)
  const mayReport = may('writer')
  return (
    <span class="acts">
      <button
        type="button"
        disabled={!mayReport}
        title={mayReport ? undefined : t.value.needsRole('writer')}
        onClick={() => setOpen('report')}
      >
        <Icon name="plus" /> {t.value.act.report}
      </button>
      {job.depth === 0 && may('admin') && (
        <button
          type="button"
          class="quiet icon-only"
          title={t.value.act.remove}
          aria-label={t.value.act.remove}
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
