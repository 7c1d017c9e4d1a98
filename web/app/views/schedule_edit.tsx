import { useState } from 'preact/hooks'
import { JsonText, post, request } from '../api/client'
import { isName } from '../api/names'
import type { PlannedTimes, Schedule } from '../api/types'
import { ActDialog } from '../parts/dialog'
import { JsonField, TextField } from '../parts/fields'
import { useLoad, type Loaded } from '../parts/load'
import { Coming } from '../parts/schedules'
import { Failed, say } from '../parts/small'
import { t } from '../texts'
import { indented } from './indented'
import { isJson, jsonFault } from './json_text'
import { Forms } from './schedule_forms'

/** What a definition may begin with; all of its fields are in docs/schedules.md. */
const TRIGGERS = {
  cron: [
    { kind: 'cron', pattern: '30 2 * * *', zone: Intl.DateTimeFormat().resolvedOptions().timeZone },
  ],
  fixedRate: [{ kind: 'fixedRate', everyMs: 300_000 }],
  after: [{ kind: 'after', schedule: 'another', on: 'success' }],
  byHand: [],
}
type Kind = keyof typeof TRIGGERS
const KINDS = Object.keys(TRIGGERS) as Kind[]

function template(kind: Kind): string {
  const task = { handler: 'service/name', params: {}, retry: { max: 3 } }
  const run = { tags: [], task }
  return JSON.stringify({ description: '', triggers: TRIGGERS[kind], run }, null, 2)
}

interface Props {
  /** The schedule that is changed, with its definition as it was written. */
  before?: { schedule: Schedule; source: string }
  done: () => void
  close: () => void
}

/** A definition is put only after the service has checked it and said when it would fire. */
export function EditDialog({ before: shown, done, close }: Props) {
  // What is told meanwhile is another version than the one that is edited.
  const [before] = useState(shown)
  const words = t.value.schedules
  const [name, setName] = useState(before?.schedule.name ?? '')
  const [isOn, setOn] = useState(true)
  const [text, setText] = useState(() => (before ? indented(before.source) : template('cron')))
  const preview = usePreview(text)
  const isChecked = preview.value?.text === text && preview.error === undefined
  const act = () => (before ? replace(before, text, done) : make(name, isOn, text, done))
  return (
    <ActDialog
      title={before ? `${words.edit}: ${name}` : words.make}
      doIt={before ? words.editIt : words.makeIt}
      undo={t.value.canUndo}
      isReady={isName(name) && isChecked && isJson(text)}
      wide
      act={act}
      onClose={close}
    >
      {before ? (
        <p>{words.editWhat(name, before.schedule.running.length, before.schedule.queued)}</p>
      ) : (
        <div class="fields">
          <TextField
            label={words.name}
            value={name}
            change={setName}
            placeholder="nightly-report"
            isWrong={name !== '' && !isName(name)}
          />
          <Templates choose={(kind) => setText(template(kind))} />
        </div>
      )}
      <div class="beside">
        <JsonField
          label={words.asJson}
          value={text}
          change={setText}
          rows={16}
          isRefused={preview.error !== undefined}
        />
        <Previewed text={text} preview={preview} />
      </div>
      <Forms text={text} change={setText} />
      {!before && (
        <label class="choice">
          <input
            type="checkbox"
            checked={isOn}
            onChange={(event) => setOn(event.currentTarget.checked)}
          />
          {words.enabled}
        </label>
      )}
    </ActDialog>
  )
}

function Templates({ choose }: { choose: (kind: Kind) => void }) {
  const words = t.value.schedules
  return (
    <div class="labelled">
      <span id="templates">{words.begin}</span>
      <div class="segments" role="group" aria-labelledby="templates">
        {KINDS.map((kind) => (
          <button key={kind} type="button" onClick={() => choose(kind)}>
            {words.kinds[kind]}
          </button>
        ))}
      </div>
    </div>
  )
}

async function make(name: string, enabled: boolean, text: string, done: () => void) {
  const body = `{"name":${JSON.stringify(name)},"enabled":${enabled},"definition":${text}}`
  const { version } = await post<Schedule>('schedules', new JsonText(body))
  say(t.value.schedules.made(name), async () => {
    await request(`schedules/${name}`, { method: 'DELETE', version })
    done()
  })
  done()
}

/** Another version than the one that was shown is left as it is. */
async function replace(before: NonNullable<Props['before']>, text: string, done: () => void) {
  const { name } = before.schedule
  const put = (definition: string, version: number) =>
    request<Schedule>(`schedules/${name}`, {
      method: 'PUT',
      body: new JsonText(definition),
      version,
    })
  const { version } = await put(text, before.schedule.version)
  say(t.value.schedules.saved(name), async () => (await put(before.source, version), done()))
  done()
}

interface Preview {
  text: string
  times: string[]
}

/** When a definition would fire; the service is asked a moment after it was changed. */
function usePreview(text: string): Loaded<Preview> {
  return useLoad(text, async (abort) => {
    if (!isJson(text)) return { text, times: [] }
    await new Promise((resolve) => setTimeout(resolve, 300))
    if (abort.aborted) return { text, times: [] }
    const body = new JsonText(`{"definition":${text},"count":8}`)
    const { times } = await post<PlannedTimes>('planned-times', body, abort)
    return { text, times }
  })
}

function Previewed({ text, preview }: { text: string; preview: Loaded<Preview> }) {
  const words = t.value.schedules
  const fault = jsonFault(text)
  if (fault !== undefined) {
    return (
      <div class="preview" role="status">
        <b>{words.notJson}</b>
        <p class="wrong">{fault}</p>
      </div>
    )
  }
  if (preview.error !== undefined) return <Failed error={preview.error} />
  const { value } = preview
  return (
    <div class={value?.text === text ? 'preview' : 'preview stale'} role="status">
      <b>{words.preview}</b>
      {value?.times.length === 0 && <p class="muted">{words.noTimes}</p>}
      <ol class="times">
        {value?.times.map((time) => (
          <li key={time}>
            <Coming iso={time} />
          </li>
        ))}
      </ol>
    </div>
  )
}
