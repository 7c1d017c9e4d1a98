import { get } from '../api/client'
import type { AuditEntry, Page } from '../api/types'
import { Listing, Table } from '../parts/listing'
import { usePages } from '../parts/load'
import { More } from '../parts/more'
import { Empty, Time } from '../parts/small'
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
  const refresh = (
    <button type="button" class="quiet" onClick={loaded.reload}>
      {t.value.refresh}
    </button>
  )
  return (
    <Listing
      title={words.title}
      tools={refresh}
      loaded={loaded}
      isEmpty={items.length === 0}
      none={<Empty title={words.none} />}
    >
      <Table
        label={words.title}
        heads={[words.when, words.who, words.what, words.from, words.request]}
      >
        {items.map((entry) => (
          <Line key={`${entry.time} ${entry.requestId} ${entry.subject}`} entry={entry} />
        ))}
      </Table>
      <More pages={loaded} />
    </Listing>
  )
}

function Line({ entry }: { entry: AuditEntry }) {
  const words = t.value.audit
  return (
    <tr>
      <td class="main-cell">
        <Time iso={entry.time} />
      </td>
      <td data-label={words.who}>
        <span>
          <b>{entry.name}</b> <span class="muted">{t.value.roles[entry.role]}</span>
        </span>
      </td>
      <td data-label={words.what}>
        <span>
          {entry.act} <code>{entry.subject}</code>
          {entry.failed && <span class="wrong"> {entry.failed}</span>}
        </span>
      </td>
      <td class="tabular" data-label={words.from}>
        {entry.from ?? '–'}
      </td>
      <td data-label={words.request}>
        <code>{entry.requestId}</code>
      </td>
    </tr>
  )
}
