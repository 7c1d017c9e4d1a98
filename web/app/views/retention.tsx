import { useState } from 'preact/hooks'
import { get, post, request } from '../api/client'
import { isName } from '../api/names'
import type { NamedRule, Page, Preview, Rule } from '../api/types'
import { ActDialog } from '../parts/dialog'
import { Icon, StateIcon } from '../parts/icons'
import { useLoad } from '../parts/load'
import { Empty, Failed, say, Skeleton, Tags, Time } from '../parts/small'
import { link, navigate } from '../shell/router'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'
import { ruleOf, textOf, type RuleText } from './rule_text'

type Shown = { edit: NamedRule | undefined } | { remove: NamedRule }

const put = (name: string, rule: Rule) =>
  request(`retention/rules/${encodeURIComponent(name)}`, { method: 'PUT', body: rule })
const drop = (name: string) =>
  request(`retention/rules/${encodeURIComponent(name)}`, { method: 'DELETE' })

/** By which rules finished trees are deleted, and what each would delete now. */
export function RetentionView() {
  const words = t.value.retention
  useTitle(t.value.nav.retention)
  const [shown, setShown] = useState<Shown | undefined>(undefined)
  const isAdmin = may('admin')
  const loaded = useLoad(`retention ${isAdmin}`, async (abort) =>
    isAdmin ? (await get<Page<NamedRule>>('retention/rules', {}, abort)).items : [],
  )
  if (!isAdmin) return <Empty title={t.value.needsRole('admin')} />
  const items = loaded.value ?? []
  const close = () => setShown(undefined)
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
        <span class="grow" />
        <button type="button" class="primary" onClick={() => setShown({ edit: undefined })}>
          <Icon name="plus" /> {words.make}
        </button>
      </div>
      <div class="scroll pad stack">
        <p class="muted">{words.hint}</p>
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {!loaded.value && loaded.isLoading && <Skeleton />}
        {loaded.value && items.length === 0 && <p>{words.none}</p>}
        <ul class="deliveries">
          {items.map((item) => (
            <RuleLine key={item.name} item={item} show={setShown} />
          ))}
        </ul>
        <Deleted />
      </div>
      {shown && 'edit' in shown && (
        <Edit before={shown.edit} others={items} done={loaded.reload} close={close} />
      )}
      {shown && 'remove' in shown && (
        <Remove item={shown.remove} done={loaded.reload} close={close} />
      )}
    </div>
  )
}

function RuleLine({ item, show }: { item: NamedRule; show: (shown: Shown) => void }) {
  const words = t.value.retention
  const { name, rule } = item
  const isOff = rule.enabled === false
  return (
    <li class={isOff ? 'delivery over' : 'delivery'}>
      <div class="delivery-line">
        <b>{name}</b>
        <span>{words.keeps(rule.keepDays)}</span>
        {rule.summaryDays && <span class="muted">{words.keepsSummary(rule.summaryDays)}</span>}
        {isOff && <span class="tag">{words.off}</span>}
        <span class="grow" />
        <span class="acts">
          <button type="button" onClick={() => show({ edit: item })}>
            {words.edit}
          </button>
          <button type="button" class="quiet" onClick={() => show({ remove: item })}>
            {words.remove}
          </button>
        </span>
      </div>
      <div class="delivery-line">
        <Meant rule={rule} />
        <span class="grow" />
        <span class="muted">
          {words.by(item.by)} <Time iso={item.time} />
        </span>
      </div>
    </li>
  )
}

/** Which trees a rule is about. */
function Meant({ rule }: { rule: Rule }) {
  const words = t.value.retention
  const { namePrefix, createdBy, tags = [], states = [], expression } = rule
  const isAll = !namePrefix && !createdBy && tags.length + states.length === 0 && !expression
  if (isAll) return <span class="muted">{words.all}</span>
  return (
    <>
      {states.map((state) => (
        <span key={state} class={`state i-${state}`}>
          <StateIcon state={state} size={14} /> {t.value.states[state]}
        </span>
      ))}
      {namePrefix && (
        <span>
          <span class="muted">{words.name}</span> {namePrefix}…
        </span>
      )}
      {createdBy && (
        <span>
          <span class="muted">{t.value.facts.by}</span> {createdBy}
        </span>
      )}
      <Tags tags={tags} />
      {expression && <code>{expression}</code>}
    </>
  )
}

interface EditProps {
  before: NamedRule | undefined
  others: NamedRule[]
  done: () => void
  close: () => void
}

/** A rule is put in force only after it was seen what it would delete. */
function Edit({ before, others, done, close }: EditProps) {
  const words = t.value.retention
  const [name, setName] = useState(before?.name ?? '')
  const [text, setText] = useState(() => textOf(before?.rule))
  const change = (part: Partial<RuleText>) => setText({ ...text, ...part })
  const rule = ruleOf(text)
  const isTaken = !before && others.some((other) => other.name === name)
  const key = rule ? JSON.stringify({ ...rule, enabled: true }) : ''
  const preview = usePreview(key)
  const act = async () => {
    if (!rule) return
    await put(name, rule)
    say(words.saved(name, text.enabled), async () => {
      await (before ? put(name, before.rule) : drop(name))
      done()
    })
    done()
  }
  const seen = preview.value
  const isReady = isName(name) && !isTaken && rule !== undefined && seen?.key === key
  const trees = text.enabled ? (seen?.preview?.trees ?? 0) : 0
  return (
    <ActDialog
      title={before ? words.edit : words.make}
      doIt={words.saveIt(trees)}
      undo={words.saveUndo}
      isDangerous={trees > 0}
      isReady={isReady}
      act={act}
      onClose={close}
    >
      <div class="fields">
        <label class="labelled">
          {words.ruleName}
          <input
            type="text"
            value={name}
            disabled={before !== undefined}
            placeholder="nightly"
            aria-invalid={name !== '' && (!isName(name) || isTaken)}
            onInput={(event) => setName(event.currentTarget.value)}
          />
          {isTaken && <small class="wrong">{words.taken}</small>}
        </label>
        <Field name="keepDays" label={words.keepDays} hint="30" {...{ text, change }} />
        <Field
          name="summaryDays"
          label={words.summaryDays}
          hint={words.noSummary}
          {...{ text, change }}
        />
        <Field name="namePrefix" label={words.namePrefix} hint="nightly " {...{ text, change }} />
        <Field name="createdBy" label={words.createdBy} hint="crawler" {...{ text, change }} />
        <Field name="tags" label={words.tags} hint="nightly, linux" {...{ text, change }} />
        <Field
          name="expression"
          label={words.expression}
          hint="subtree.total > 100"
          {...{ text, change }}
        />
      </div>
      <Ends text={text} change={change} />
      <label class="choice">
        <input
          type="checkbox"
          checked={text.enabled}
          onChange={(event) => change({ enabled: event.currentTarget.checked })}
        />
        {words.enabled}
      </label>
      {preview.error !== undefined && <Failed error={preview.error} retry={preview.reload} />}
      {preview.error === undefined && rule && seen?.preview && (
        <Previewed preview={seen.preview} isOld={seen.key !== key} />
      )}
    </ActDialog>
  )
}

/** What a rule would delete now; asked for anew a moment after it was changed. */
function usePreview(key: string) {
  return useLoad(key, async (abort): Promise<{ key: string; preview: Preview | undefined }> => {
    if (key === '') return { key, preview: undefined }
    await new Promise((resolve) => setTimeout(resolve, 300))
    if (abort.aborted) return { key, preview: undefined }
    return { key, preview: await post<Preview>('retention/preview', JSON.parse(key), abort) }
  })
}

interface PartProps {
  text: RuleText
  change: (part: Partial<RuleText>) => void
}

type Name = 'keepDays' | 'summaryDays' | 'namePrefix' | 'createdBy' | 'tags' | 'expression'
type FieldProps = PartProps & { name: Name; label: string; hint: string }

function Field({ name, label, hint, text, change }: FieldProps) {
  const isWrong =
    text[name] !== '' && ruleOf({ ...text, keepDays: '1', [name]: text[name] }) === undefined
  return (
    <label class="labelled">
      {label}
      <input
        type="text"
        inputMode={name.endsWith('Days') ? 'numeric' : undefined}
        value={text[name]}
        placeholder={hint}
        aria-invalid={isWrong}
        onInput={(event) => change({ [name]: event.currentTarget.value })}
      />
    </label>
  )
}

const ENDS = ['RanToCompletion', 'Faulted'] as const

function Ends({ text, change }: PartProps) {
  const toggle = (state: (typeof ENDS)[number]) => {
    const { states } = text
    change({
      states: states.includes(state) ? states.filter((one) => one !== state) : [...states, state],
    })
  }
  return (
    <fieldset class="choices">
      <legend>{t.value.retention.ends}</legend>
      {ENDS.map((state) => (
        <label key={state} class={`choice i-${state}`}>
          <input
            type="checkbox"
            checked={text.states.includes(state)}
            onChange={() => toggle(state)}
          />
          <StateIcon state={state} /> {t.value.states[state]}
        </label>
      ))}
    </fieldset>
  )
}

function Previewed({ preview, isOld }: { preview: Preview; isOld: boolean }) {
  const words = t.value.retention
  const { trees, jobs, oldest, newest, complete, lookedAt } = preview
  return (
    <div class={isOld ? 'preview stale' : 'preview'} role="status">
      <p>
        <b>{words.deletes(trees, jobs)}</b>
        {oldest && (
          <>
            {' '}
            {words.oldest} <Time iso={oldest.createTime} />.
          </>
        )}
      </p>
      {!complete && <p class="muted">{words.incomplete(lookedAt)}</p>}
      {newest.length > 0 && (
        <details>
          <summary>{words.newest(newest.length)}</summary>
          <ul class="preview-trees">
            {newest.map((tree) => (
              <li key={tree.root}>
                <a href={link(`jobs/${tree.root}`)} target="_blank">
                  {tree.name}
                </a>
                <span class="muted num">{words.jobs(tree.jobs)}</span>
                <Time iso={tree.endTime} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  )
}

function Remove({ item, done, close }: { item: NamedRule; done: () => void; close: () => void }) {
  const words = t.value.retention
  const act = async () => {
    await drop(item.name)
    say(words.removed(item.name), async () => (await put(item.name, item.rule), done()))
    done()
  }
  return (
    <ActDialog
      title={words.remove}
      doIt={words.removeIt}
      undo={t.value.canUndo}
      isDangerous
      act={act}
      onClose={close}
    >
      <p>{words.removeWhat(item.name)}</p>
    </ActDialog>
  )
}

/** The service knows a deleted root for a time: its page says who deleted it, and when. */
function Deleted() {
  const words = t.value.retention
  const [id, setId] = useState('')
  const isId = /^[1-9][0-9]{0,18}$/.test(id.trim())
  const show = (event: Event) => {
    event.preventDefault()
    if (isId) navigate(link(`jobs/${id.trim()}`))
  }
  return (
    <section class="stack">
      <h2>{words.deleted}</h2>
      <p class="muted">{words.deletedHint}</p>
      <form class="id-form" onSubmit={show}>
        <input
          type="text"
          class="id-field"
          inputMode="numeric"
          aria-label={words.deletedId}
          placeholder={words.deletedId}
          value={id}
          onInput={(event) => setId(event.currentTarget.value)}
        />
        <button type="submit" disabled={!isId}>
          {t.value.uploads.show}
        </button>
      </form>
    </section>
  )
}
