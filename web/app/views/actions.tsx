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

const report = () => import('./act').then((module) => module.ReportDialog)

/** What the caller may do with the job; what it may not is there, and says why not. */
export function Actions({ job, row, reload }: ActionProps) {
  const [isOpen, setOpen] = useState(false)
  const mayReport = may('writer')
  return (
    <span class="acts">
      <button
        type="button"
        disabled={!mayReport}
        title={mayReport ? undefined : t.value.needsRole('writer')}
        onClick={() => setOpen(true)}
      >
        <Icon name="plus" /> {t.value.act.report}
      </button>
      {isOpen && <Lazy load={report} props={{ job, row, reload, onClose: () => setOpen(false) }} />}
    </span>
  )
}
