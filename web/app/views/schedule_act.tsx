import { useState } from 'preact/hooks'
import { JsonText, post, request } from '../api/client'
import type { Schedule, Triggered } from '../api/types'
import { ActDialog } from '../parts/dialog'
import { JsonField, NumberField, wholeNumber } from '../parts/fields'
import { say } from '../parts/small'
import { link, navigate } from '../shell/router'
import { t } from '../texts'
import { isJson } from './json_text'

interface Props {
  schedule: Schedule
  done: () => void
  close: () => void
}

/** The longest pause before a run by hand: a year of 366 days. */
const DELAY_MAX = 31_622_400

/** Fires once by hand, at once or later, with parameters of its own. */
export function FireDialog({ schedule, done, close }: Props) {
  const words = t.value.schedules
  const [params, setParams] = useState('')
  const [delay, setDelay] = useState('0')
  // So that a request that is sent again after a broken connection starts no second run.
  const [key] = useState(() => crypto.getRandomValues(new Uint32Array(3)).join('-'))
  const isRight = params.trim() === '' || isJson(params)
  const seconds = wholeNumber(delay)
  const act = async () => {
    const own = params.trim() && `,"params":${params}`
    const body = `{"idempotencyKey":"${key}","delayMs":${seconds * 1_000}${own}}`
    const at = `schedules/${schedule.name}/trigger`
    const { run, outcome } = await post<Triggered>(at, new JsonText(body))
    if (!run) say(words.wasSkipped)
    else say(outcome?.kind === 'started' ? words.fired(`${run}`) : words.willRun(`${run}`))
    done()
  }
  return (
    <ActDialog
      title={`${words.fire}: ${schedule.name}`}
      doIt={words.fireIt}
      undo={words.fireUndo}
      isReady={isRight && seconds <= DELAY_MAX}
      act={act}
      onClose={close}
    >
      <p>{words.fireWhat(schedule.name, schedule.running.length)}</p>
      <JsonField
        label={words.params}
        value={params}
        change={setParams}
        rows={4}
        placeholder={'{"days": 1}'}
        isOptional
      />
      <NumberField label={words.delay} value={delay} change={setDelay} most={DELAY_MAX} />
    </ActDialog>
  )
}

/** Deletes a schedule of the version that is shown. */
export function RemoveDialog({ schedule, close }: Props) {
  const words = t.value.schedules
  const { name, version, running, queued } = schedule
  const act = async () => {
    await request(`schedules/${name}`, { method: 'DELETE', version })
    say(words.removed(name))
    navigate(link('schedules'))
  }
  return (
    <ActDialog
      title={words.remove}
      doIt={words.removeIt}
      undo={t.value.cannotUndo}
      isDangerous
      act={act}
      onClose={close}
    >
      <p>{words.removeWhat(name, running.length, queued)}</p>
    </ActDialog>
  )
}
