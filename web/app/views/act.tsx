import { useState } from 'preact/hooks'
import { post, request } from '../api/client'
import type { State } from '../api/types'
import { ActDialog } from '../parts/dialog'
import { say } from '../parts/small'
import { StateIcon } from '../parts/icons'
import { link, navigate } from '../shell/router'
import { t } from '../texts'
import type { ActionProps } from './actions'

const REPORTED: readonly State[] = ['Running', 'Warning', 'RanToCompletion', 'Faulted']

export function ReportDialog({ job, row, reload, onClose }: ActionProps & { onClose: () => void }) {
  const [state, setState] = useState<State>('RanToCompletion')
  const [message, setMessage] = useState('')
  const [changeId] = useState(() => crypto.getRandomValues(new Uint32Array(3)).join('-'))
  const [changes] = useState(() => row.changes)
  const act = async () => {
    // It is refused if the job has moved on since this dialog was opened.
    const body = {
      state,
      changeId,
      message: message || undefined,
      expect: { changes },
    }
    const done = await post<{ applied: boolean }>(`jobs/${job.id}/changes`, body)
    say(done.applied ? t.value.act.reported : t.value.act.notApplied)
    reload()
  }
  return (
    <ActDialog
      title={t.value.act.report}
      doIt={t.value.act.reportIt}
      undo={t.value.act.reportUndo}
      act={act}
      onClose={onClose}
    >
      <p>{t.value.act.reportWhat(job.name, job.depth)}</p>
      <fieldset class="choices">
        <legend>{t.value.columns.state}</legend>
        {REPORTED.map((name) => (
          <label key={name} class={`choice i-${name}`}>
            <input
              type="radio"
              name="state"
              checked={state === name}
              onChange={() => setState(name)}
            />
            <StateIcon state={name} /> {t.value.states[name]}
          </label>
        ))}
      </fieldset>
      <label class="labelled">
        {t.value.act.message}
        <textarea
          rows={3}
          maxLength={4096}
          value={message}
          onInput={(event) => setMessage(event.currentTarget.value)}
        />
      </label>
    </ActDialog>
  )
}

/** Deletes a whole tree; its id has to be typed, since this cannot be undone. */
export function RemoveDialog({ job, row, onClose }: ActionProps & { onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const count = 1 + row.subtree.total
  const words = t.value.act
  const act = async () => {
    await request(`jobs/${job.id}`, { method: 'DELETE' })
    say(words.removed(job.name))
    navigate(link(''))
  }
  return (
    <ActDialog
      title={words.remove}
      doIt={words.removeIt(count)}
      undo={t.value.cannotUndo}
      isDangerous
      isReady={typed.trim() === job.id}
      act={act}
      onClose={onClose}
    >
      <p>{words.removeWhat(job.name, count)}</p>
      <label class="labelled">
        {words.removeSure(job.id)}
        <input
          type="text"
          inputMode="numeric"
          autocomplete="off"
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
    </ActDialog>
  )
}
