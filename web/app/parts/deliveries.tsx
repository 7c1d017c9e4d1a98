import { useState } from 'preact/hooks'
import { request } from '../api/client'
import type { Delivery, State } from '../api/types'
import { may } from '../shell/session'
import { link } from '../shell/router'
import { t } from '../texts'
import { ActDialog } from './dialog'
import { StateIcon } from './icons'
import { CopyButton, say, Text, Time } from './small'

type Act = 'replay' | 'cancel'

/** One delivery: what was told, to whom, what the receiver said, and what can be done. */
export function DeliveryLine({
  delivery,
  withJob,
  done,
}: {
  delivery: Delivery
  withJob?: boolean
  done: () => void
}) {
  const [act, setAct] = useState<Act | undefined>(undefined)
  const words = t.value.deliveries
  const { event, lastAttempt, status } = delivery
  const state = event.state as State
  const canAct = may('operator')
  const why = canAct ? undefined : t.value.needsRole('operator')
  return (
    <li class={`delivery d-${status}`}>
      <div class="delivery-line">
        <span class={`delivery-status d-${status}`}>{words.status[status]}</span>
        <StateIcon state={state} />
        <span class={`i-${state}`}>{t.value.states[state]}</span>
        {withJob && (
          <a href={link(`jobs/${delivery.job}`, { view: 'alerts' })}>{words.ofJob(delivery.job)}</a>
        )}
        <span class="muted">{words.channel[delivery.channel]}</span>
        <span class="muted">{triggerSaid(delivery)}</span>
        <span class="grow" />
        <span class="muted num">{words.tries(delivery.attempts)}</span>
        <Time iso={lastAttempt?.time ?? event.time} />
        {(status === 'failed' || status === 'cancelled') && (
          <button type="button" disabled={!canAct} title={why} onClick={() => setAct('replay')}>
            {words.replay}
          </button>
        )}
        {status === 'waiting' && (
          <button type="button" disabled={!canAct} title={why} onClick={() => setAct('cancel')}>
            {words.cancel}
          </button>
        )}
      </div>
      {event.message && <p class="delivery-said">“{event.message}”</p>}
      {lastAttempt && (
        <details>
          <summary>
            {words.answer} {lastAttempt.status ?? ''}
          </summary>
          <Text text={lastAttempt.response || '–'} mono />
          <p class="muted">
            <code>{delivery.id}</code> <CopyButton text={delivery.id} label={t.value.copyId} />
          </p>
        </details>
      )}
      {delivery.nextTry && (
        <p class="muted">
          {words.next} <Time iso={delivery.nextTry} />
        </p>
      )}
      {act && <Sure act={act} delivery={delivery} done={done} close={() => setAct(undefined)} />}
    </li>
  )
}

function triggerSaid({ trigger }: Delivery): string {
  const words = t.value.deliveries
  if ('action' in trigger) return words.action(trigger.action)
  if ('checkPassed' in trigger) return words.checkPassed(trigger.checkPassed)
  return words.checkFailed(trigger.checkFailed)
}

interface SureProps {
  act: Act
  delivery: Delivery
  done: () => void
  close: () => void
}

function Sure({ act, delivery, done, close }: SureProps) {
  const words = t.value.deliveries
  const go = async () => {
    const once = (act: Act) => request(`deliveries/${delivery.id}/${act}`, { method: 'POST' })
    await once(act)
    if (act === 'replay') say(words.replayed(1))
    else say(words.cancelled, async () => (await once('replay'), done()))
    done()
  }
  return (
    <ActDialog
      title={words[act]}
      doIt={act === 'replay' ? words.replayCount(1) : words.cancelCount(1)}
      undo={act === 'replay' ? words.replayUndo : t.value.canUndo}
      isDangerous={act === 'cancel'}
      act={go}
      onClose={close}
    >
      <p>{act === 'replay' ? words.replayWhat(delivery.job) : words.cancelWhat(delivery.job)}</p>
    </ActDialog>
  )
}
