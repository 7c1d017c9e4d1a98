import { useState } from 'preact/hooks'
import { post, request } from '../api/client'
import { STATES, type Row, type State, type Target, type Tested } from '../api/types'
import { ActDialog } from '../parts/dialog'
import { StateIcon } from '../parts/icons'
import { Failed, say } from '../parts/small'
import { typed, zoneName } from '../parts/time'
import { now } from '../parts/clock'
import { zone } from '../shell/prefs'
import { t } from '../texts'
import { TestedLine } from './alerts'

interface AddProps {
  job: Row
  done: () => void
  close: () => void
}

/** An address of the web, or of e-mail with commas between. */
function targetOf(text: string): Target | undefined {
  const word = text.trim()
  if (/^https?:\/\/\S+$/.test(word)) return { http: { url: word } } as Target
  const to = word.split(/[,\s]+/).filter(Boolean)
  const isMail = to.length > 0 && to.every((one) => /^[^@\s]+@[A-Za-z0-9.-]+$/.test(one))
  return isMail ? ({ email: { to } } as Target) : undefined
}

interface FieldProps {
  value: string
  change: (text: string) => void
}

function TargetField({ value, change }: FieldProps) {
  const [tested, setTested] = useState<Tested | undefined>(undefined)
  const [error, setError] = useState<unknown>(undefined)
  const target = targetOf(value)
  const test = async () => {
    setTested(undefined)
    setError(undefined)
    await post<Tested>('actions/test', target).then(setTested, setError)
  }
  return (
    <>
      <label class="labelled">
        {t.value.alerts.target}
        <input
          type="text"
          placeholder="https://ops.example/hooks · ops@example.com"
          value={value}
          aria-invalid={value !== '' && target === undefined}
          onInput={(event) => change(event.currentTarget.value)}
        />
      </label>
      <div>
        <button type="button" disabled={!target} onClick={() => void test()}>
          {t.value.alerts.test}
        </button>
      </div>
      {tested && <TestedLine tested={tested} />}
      {error !== undefined && <Failed error={error} />}
    </>
  )
}

function StatesField({ value, change }: { value: State[]; change: (states: State[]) => void }) {
  const toggle = (state: State) =>
    change(value.includes(state) ? value.filter((one) => one !== state) : [...value, state])
  return (
    <fieldset class="choices">
      <legend>{t.value.alerts.when}</legend>
      {STATES.map((state) => (
        <label key={state} class={`choice i-${state}`}>
          <input type="checkbox" checked={value.includes(state)} onChange={() => toggle(state)} />
          <StateIcon state={state} /> {t.value.states[state]}
        </label>
      ))}
    </fieldset>
  )
}

export function AddAction({ job, done, close }: AddProps) {
  const [states, setStates] = useState<State[]>(['Faulted'])
  const [text, setText] = useState('')
  const words = t.value.alerts
  const target = targetOf(text)
  const act = async () => {
    await post(`jobs/${job.id}/actions`, { states, ...target })
    say(words.actionAdded)
    done()
  }
  const isReady = target !== undefined && states.length > 0
  return (
    <ActDialog
      title={words.addAction}
      doIt={words.addIt}
      undo={words.actionUndo}
      isReady={isReady}
      act={act}
      onClose={close}
    >
      <p>{words.actionWhat(job.name)}</p>
      <StatesField value={states} change={setStates} />
      <TargetField value={text} change={setText} />
    </ActDialog>
  )
}

export function AddCheck({ job, done, close }: AddProps) {
  const [states, setStates] = useState<State[]>(['RanToCompletion'])
  const [text, setText] = useState('')
  const [at, setAt] = useState('')
  const words = t.value.alerts
  const time = typed(at, zone.value)
  const failure = targetOf(text)
  const act = async () => {
    const check = { kind: 'state', at: time, states, failure }
    const { number } = await post<{ number: number }>(`jobs/${job.id}/checks`, check)
    say(words.checkAdded, async () => {
      await request(`jobs/${job.id}/checks/${number}`, { method: 'DELETE' })
      done()
    })
    done()
  }
  const isReady = time !== undefined && failure !== undefined && states.length > 0
  return (
    <ActDialog
      title={words.addCheck}
      doIt={words.addIt}
      undo={t.value.canUndo}
      isReady={isReady}
      act={act}
      onClose={close}
    >
      <p>{words.checkWhat(job.name)}</p>
      <label class="labelled">
        {words.checkAt} ({zoneName(now.value, zone.value)})
        <input
          type="text"
          placeholder="2026-11-30 18:00"
          value={at}
          aria-invalid={at !== '' && time === undefined}
          onInput={(event) => setAt(event.currentTarget.value)}
        />
      </label>
      <StatesField value={states} change={setStates} />
      <TargetField value={text} change={setText} />
    </ActDialog>
  )
}
