import { useState } from 'preact/hooks'
import { get } from '../api/client'
import type { Page, TreeResult, UploadOutcome } from '../api/types'
import { useLoad } from '../parts/load'
import { exact } from '../parts/number'
import { Empty, Failed, Skeleton } from '../parts/small'
import { id, link, navigate } from '../shell/router'
import { useTitle } from '../shell/title'
import { t } from '../texts'

/** Uploads are named by those who send them, so one is looked up by its id. */
export function UploadsView() {
  useTitle(t.value.nav.uploads)
  const words = t.value.uploads
  const [text, setText] = useState('')
  const go = (event: Event) => {
    event.preventDefault()
    if (text.trim()) navigate(link(`uploads/${encodeURIComponent(text.trim())}`))
  }
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
      </div>
      <form class="pad stack narrow" onSubmit={go}>
        <p class="muted">{words.hint}</p>
        <label class="labelled">
          {words.id}
          <input
            id="filter"
            type="text"
            autocomplete="off"
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <div>
          <button type="submit" class="primary" disabled={!text.trim()}>
            {words.show}
          </button>
        </div>
      </form>
    </div>
  )
}

/** What became of an upload and of each of its trees. */
export function UploadView() {
  const upload = decodeURIComponent(id.value)
  const words = t.value.uploads
  useTitle(words.one(upload))
  const at = `commits/${encodeURIComponent(upload)}`
  const outcome = useLoad(at, (abort) => get<UploadOutcome>(at, {}, abort))
  const trees = useLoad(`${at}/trees`, (abort) =>
    get<Page<TreeResult>>(`${at}/trees`, { limit: 500 }, abort),
  )
  const { value } = outcome
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
        <code class="muted">{upload}</code>
      </div>
      <div class="scroll pad stack">
        {outcome.error !== undefined && <Failed error={outcome.error} retry={outcome.reload} />}
        {!value && outcome.isLoading && <Skeleton />}
        {value && <Outcome outcome={value} />}
        {value && trees.error !== undefined && <Failed error={trees.error} retry={trees.reload} />}
        {trees.value?.items.length === 0 && <Empty title={words.noTrees} />}
        <ul class="deliveries">
          {trees.value?.items.map((tree) => (
            <Tree key={tree.root} tree={tree} />
          ))}
        </ul>
      </div>
    </div>
  )
}

function Outcome({ outcome }: { outcome: UploadOutcome }) {
  const words = t.value.uploads
  const numbers: [string, number][] = [
    [words.trees, outcome.trees],
    [words.applied, outcome.applied],
    [words.refused, outcome.refused],
    [words.jobs, outcome.jobs],
    [words.changes, outcome.changes],
    [words.blocked, outcome.blocked],
  ]
  return (
    <>
      <p>
        <b>{outcome.complete ? words.complete : words.incomplete}</b>
      </p>
      <dl class="tiles">
        {numbers.map(([name, count]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="num">{exact(count)}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}

function Tree({ tree }: { tree: TreeResult }) {
  const words = t.value.uploads
  return (
    <li class={tree.refusal ? 'delivery d-failed' : 'delivery'}>
      <div class="delivery-line">
        <a href={link(`jobs/${tree.root}`)}>{words.tree(tree.root)}</a>
        <span class="muted num">{words.made(tree.jobs, tree.changes)}</span>
        {tree.blocked > 0 && <span class="num i-Warning">{words.blockedCount(tree.blocked)}</span>}
      </div>
      {tree.refusal && (
        <p class="wrong">
          <code>{tree.refusal.code}</code> {tree.refusal.detail}
        </p>
      )}
    </li>
  )
}
