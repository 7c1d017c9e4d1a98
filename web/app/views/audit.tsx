import { get } from '../api/client'
import type { AuditEntry, Page } from '../api/types'
import { usePages } from '../parts/load'
import { More } from '../parts/more'
import { Empty, Failed, Skeleton, Time } from '../parts/small'
import { may } from '../shell/session'
import { useTitle } from '../shell/title'
import { t } from '../texts'

/** What was done by hand, the last first. */
export function AuditView() {
  const words = t.value.audit
  useTitle(t.value.nav.audit)
  const loaded = usePages('audit', (abort, cursor) =>
    get<Page<AuditEntry>>('audit', { limit: 200, cursor }, abort),
  )
  if (!may('admin')) return <Empty title={t.value.needsRole('admin')} />
  const { items } = loaded
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{words.title}</h1>
        <span class="grow" />
        <button type="button" class="quiet" onClick={loaded.reload}>
          {t.value.refresh}
        </button>
      </div>
      <div class="scroll pad">
        {loaded.error !== undefined && <Failed error={loaded.error} retry={loaded.reload} />}
        {!loaded.value && loaded.isLoading && <Skeleton />}
        {loaded.value && items.length === 0 && <Empty title={words.none} />}
        {items.length > 0 && (
          <div class="table-scroll" tabIndex={0} role="region" aria-label={words.title}>
            <table class="plain-table">
              <thead>
                <tr>
                  <th>{words.when}</th>
                  <th>{words.who}</th>
                  <th>{words.what}</th>
                  <th>{words.from}</th>
                  <th>{words.request}</th>
                </tr>
              </thead>
              <tbody>
                {items.map((entry) => (
                  <Line key={`${entry.time} ${entry.requestId} ${entry.subject}`} entry={entry} />
                ))}
              </tbody>
            </table>
          </div>
        )}
        <More pages={loaded} />
      </div>
    </div>
  )
}

function Line({ entry }: { entry: AuditEntry }) {
  return (
    <tr>
      <td>
        <Time iso={entry.time} />
      </td>
      <td>
        <b>{entry.name}</b> <span class="muted">{t.value.roles[entry.role]}</span>
      </td>
      <td>
        {entry.act} <code>{entry.subject}</code>
        {entry.failed && <span class="wrong"> {entry.failed}</span>}
      </td>
      <td class="tabular">{entry.from ?? '–'}</td>
      <td>
        <code>{entry.requestId}</code>
      </td>
    </tr>
  )
}
