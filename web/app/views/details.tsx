import { useState } from 'preact/hooks'
import { get, type Params } from '../api/client'
import type { Attachments, Id } from '../api/types'
import { useLoad, useReloadOn } from '../parts/load'
import { exact } from '../parts/number'
import { CopyButton, Failed, Skeleton, Tags, Text, Time } from '../parts/small'
import { link } from '../shell/router'
import { t } from '../texts'
import { indented } from './indented'
import type { TabProps } from './job'

/** What its creator said of the job, and the small texts that it has. */
export function DetailsView({ job, full }: TabProps) {
  const words = t.value.details
  const pretty = full.options ? indented(full.options) : undefined
  return (
    <section class="scroll pad stack">
      <dl class="table">
        <Line name={words.id}>
          <code>{job.id}</code> <CopyButton text={job.id} label={t.value.copyId} />
        </Line>
        <Line name={words.root}>
          <a href={link(`jobs/${job.root}`)}>
            <code>{job.root}</code>
          </a>
        </Line>
        {full.parent && (
          <Line name={words.parent}>
            <a href={link(`jobs/${full.parent}`)}>
              <code>{full.parent}</code>
            </a>
          </Line>
        )}
        <Line name={words.depth}>{exact(full.depth)}</Line>
        <Line name={t.value.facts.by}>{full.createdBy || '–'}</Line>
        <Line name={t.value.facts.created}>
          <Time iso={full.createTime} millis />
        </Line>
        <Line name={words.ownStart}>
          <Time iso={job.startTime} millis />
        </Line>
        <Line name={words.ownEnd}>
          <Time iso={job.endTime} millis />
        </Line>
        <Line name={t.value.facts.started}>
          <Time iso={job.treeStart} millis />
        </Line>
        <Line name={t.value.facts.ended}>
          <Time iso={job.treeEnd} millis />
        </Line>
        <Line name={t.value.facts.tags}>
          {full.tags.length > 0 ? <Tags tags={full.tags} /> : '–'}
        </Line>
        <Line name={words.source}>{full.sourceLink ? <Source text={full.sourceLink} /> : '–'}</Line>
      </dl>
      <div>
        <div class="section-head">
          <h2>{words.options}</h2>
          {full.options && <CopyButton text={full.options} label={t.value.copy} />}
        </div>
        {pretty ? <Text text={pretty} mono /> : <p class="muted">{words.noOptions}</p>}
      </div>
      <AttachmentList job={job.id} count={job.attachments} />
    </section>
  )
}

function Line({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** A link only where it leads to a page: other schemes could run code. */
function Source({ text }: { text: string }) {
  const isWeb = /^https?:\/\//i.test(text)
  return (
    <>
      {isWeb ? (
        <a href={text} target="_blank" rel="noreferrer noopener">
          {text}
        </a>
      ) : (
        <span>{text}</span>
      )}{' '}
      <CopyButton text={text} label={t.value.copy} />
    </>
  )
}

function AttachmentList({ job, count }: { job: Id; count: number }) {
  const loaded = useLoad(job, (abort) => get<Attachments>(`jobs/${job}/attachments`, {}, abort))
  useReloadOn(count, loaded.reload)
  const items = loaded.value?.items ?? []
  return (
    <div>
      <h2>{t.value.details.attachments}</h2>
      {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
      {!loaded.value && loaded.error === undefined && <Skeleton rows={2} />}
      {loaded.value && items.length === 0 && <p class="muted">{t.value.details.noAttachments}</p>}
      <ul class="attachments">
        {items.map(({ key, size }) => (
          <Attachment key={key} job={job} name={key} size={size} />
        ))}
      </ul>
    </div>
  )
}

function Attachment({ job, name, size }: { job: Id; name: string; size: number }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <li>
      <button type="button" class="quiet" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <code>{name}</code> <span class="muted num">{t.value.details.bytes(size)}</span>
      </button>
      {isOpen && <Content job={job} name={name} />}
    </li>
  )
}

function Content({ job, name }: { job: Id; name: string }) {
  const at = `jobs/${job}/attachments/${encodeURIComponent(name)}`
  const loaded = useLoad(at, (abort) => get<unknown>(at, {} as Params, abort))
  if (loaded.error !== undefined) return <Failed error={loaded.error} retry={loaded.reload} />
  if (loaded.value === undefined) return <Skeleton rows={2} />
  const { value } = loaded
  return <Text text={typeof value === 'string' ? value : JSON.stringify(value, null, 2)} mono />
}
