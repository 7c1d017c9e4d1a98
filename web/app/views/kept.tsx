import type { Job, KeptFailure } from '../api/types'
import { StateIcon } from '../parts/icons'
import { Age, Text } from '../parts/small'
import { t } from '../texts'

/** What is kept of a tree that a retention rule has deleted, below its numbers and times. */
export function KeptTree({ job }: { job: Job }) {
  const { failures = [] } = job
  return (
    <section class="scroll pad">
      <p>{t.value.kept.title}</p>
      {failures.length > 0 && (
        <>
          <h2>{t.value.waiting.causes}</h2>
          <p class="muted">{t.value.kept.causesHint}</p>
          <ol class="chains">
            {failures.map((failure) => (
              <Failure key={failure.id} failure={failure} top={job} />
            ))}
          </ol>
        </>
      )}
    </section>
  )
}

/** As the causes of a failed job are shown, without links to what is not there. */
function Failure({ failure, top }: { failure: KeptFailure; top: Job }) {
  const { id, name, path, time, message, reasonCode } = failure
  const isItself = id === top.id
  return (
    <li class="chain">
      <div class="chain-path">
        {!isItself && <span class="muted">{top.name}</span>}
        {path.map((step) => (
          <span key={step.id} class="step">
            {step.name}
          </span>
        ))}
        <span class={isItself ? '' : 'step'}>
          <StateIcon state="Faulted" />
          <span class="chain-job">{name}</span>
          <span class="muted">
            <Age iso={time} /> {t.value.ago}
          </span>
          {reasonCode && <code class="tag">{reasonCode}</code>}
        </span>
      </div>
      {message && <Text text={message} mono />}
    </li>
  )
}
