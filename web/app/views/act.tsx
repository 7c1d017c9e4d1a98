import { useState } from 'preact/hooks'
import { post, request } from '../api/client'
import { isFinished, type Cancelled, type State } from '../api/types'
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

/** Requests that one press sends at most, each of which looks at some 10,000 jobs. */
const ROUNDS = 100

/** Cancels the job with all that is open below it: as many as its numbers say. */
export function CancelDialog({ job, row, reload, onClose }: ActionProps & { onClose: () => void }) {
  const words = t.value.act
  const { waiting, running, waitingForChildren } = row.subtree
  const open = waiting + running + waitingForChildren + (isFinished(row.state) ? 0 : 1)
  const act = async () => {
    let ended = 0
    for (let round = 1; ; round++) {
      const done = await post<Cancelled>(`jobs/${job.id}/cancel`, {})
      ended += done.ended
      // Those that are to stop are looked at again by each request, until they have.
      const goesOn = done.more && done.ended > 0 && round < ROUNDS
      say(words.cancelled(ended, done.stopping, done.more))
      if (!goesOn) break
    }
    reload()
  }
  return (
    <ActDialog
      title={row.subtree.total > 0 ? words.cancelTree : words.cancelJob}
      doIt={words.cancelIt(open)}
      undo={t.value.cannotUndo}
      isDangerous
      isReady={open > 0}
      act={act}
      onClose={onClose}
    >
      <p>{words.cancelWhat(job.name, open)}</p>
      <p class="muted">{words.cancelHow}</p>
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
