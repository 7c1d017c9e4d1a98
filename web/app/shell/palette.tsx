import { useState } from 'preact/hooks'
import { Dialog } from '../parts/dialog'
import { t } from '../texts'
import { recent } from './recent'
import { link, navigate } from './router'
import { may } from './session'

interface Found {
  label: string
  note?: string
  to: string
}

/** Opens any job by its id, and a recent job or a page by its name. */
function found(text: string): Found[] {
  const word = text.trim().toLowerCase()
  const jobs = recent.value
    .filter(({ id, name }) => name.toLowerCase().includes(word) || id.startsWith(word))
    .map(({ id, name }) => ({ label: name, note: id, to: link(`jobs/${id}`) }))
  const nav = t.value.nav
  const pages: [string, string][] = [
    [nav.trees, ''],
    [nav.schedules, 'schedules'],
    [nav.queue, 'queue'],
    [nav.workers, 'workers'],
    [nav.deliveries, 'deliveries'],
    [nav.uploads, 'uploads'],
    [nav.service, 'service'],
  ]
  if (may('admin')) {
    pages.push([nav.retention, 'retention'], [nav.tokens, 'tokens'], [nav.audit, 'audit'])
  }
  const named = pages
    .filter(([name]) => name.toLowerCase().includes(word))
    .map(([name, to]) => ({ label: name, note: t.value.palette.page, to: link(to) }))
  const isId = /^[1-9][0-9]{0,18}$/.test(word)
  const own = isId
    ? [{ label: t.value.palette.job(word), note: word, to: link(`jobs/${word}`) }]
    : []
  const search =
    word && !isId
      ? [
          {
            label: t.value.palette.search(text.trim()),
            note: nav.trees,
            to: link('', { q: text.trim() }),
          },
        ]
      : []
  return [...own, ...jobs.filter(({ note }) => !isId || note !== word), ...named, ...search].slice(
    0,
    14,
  )
}

export function Palette({ close }: { close: () => void }) {
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const items = found(text)
  const go = (item: Found | undefined) => {
    if (!item) return
    close()
    navigate(item.to)
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, items.length - 1))
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0))
    else if (event.key === 'Enter') go(items[at])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title={t.value.palette.title} onClose={close}>
      <input
        type="text"
        class="palette-field"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-items"
        aria-activedescendant={items[at] ? `palette-${at}` : undefined}
        aria-label={t.value.palette.title}
        placeholder={t.value.palette.hint}
        autofocus
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value)
          setAt(0)
        }}
        onKeyDown={pressed}
      />
      <ul
        id="palette-items"
        class="palette-items"
        role="listbox"
        aria-label={t.value.palette.title}
      >
        {items.map((item, index) => (
          <li
            key={item.to}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => go(item)}
          >
            <span>{item.label}</span>
            <span class="muted num">{item.note}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  )
}
