import type { ButtonHTMLAttributes, ComponentChildren } from 'preact'
import type { Role } from '../api/types'
import { query, setQuery } from '../shell/router'
import { may } from '../shell/session'
import { t } from '../texts'
import { Icon } from './icons'
import type { Loaded } from './load'
import { Failed, Skeleton } from './small'

interface ListingProps {
  title: string
  /** Said beside the title. */
  note?: ComponentChildren
  /** Filters and buttons of the list. */
  tools?: ComponentChildren
  loaded: Loaded<unknown>
  isEmpty: boolean
  /** Shown in place of the rows where there are none. */
  none: ComponentChildren
  children: ComponentChildren
  /** What opens above the list. */
  dialogs?: ComponentChildren
}

/** A page that is a list: its head, how it is read, and its rows or why there are none. */
export function Listing(props: ListingProps) {
  const { title, note, tools, loaded, isEmpty, none, children, dialogs } = props
  const { value, error, isLoading, reload } = loaded
  const isBegun = value !== undefined
  return (
    <div class="fill">
      <div class="page-head">
        <h1>{title}</h1>
        {note}
        <span class="grow" />
        {tools}
      </div>
      <div class="scroll pad stack" aria-busy={!isBegun && isLoading}>
        {error !== undefined && <Failed error={error} retry={reload} />}
        {!isBegun && isLoading && <Skeleton />}
        {isBegun && (isEmpty ? none : children)}
      </div>
      {dialogs}
    </div>
  )
}

type Button = Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'role' | 'title' | 'disabled'>

interface RoleButtonProps extends Button {
  /** The role that the caller has to have. */
  needs: Role
  disabled?: boolean
  title?: string | undefined
}

/** A button that is there for all, and says to those who may not press it what it needs. */
export function RoleButton({ needs, disabled = false, title, ...rest }: RoleButtonProps) {
  const canAct = may(needs)
  return (
    <button
      type="button"
      {...rest}
      disabled={disabled || !canAct}
      title={canAct ? title : t.value.needsRole(needs)}
    />
  )
}

/** Filters a list by a text, which is a part of the address. */
export function SearchField({
  name,
  label,
  hint = label,
}: Record<'name' | 'label', string> & { hint?: string }) {
  return (
    <span class="field search">
      <Icon name="search" />
      <input
        id="filter"
        type="search"
        aria-label={label}
        placeholder={hint}
        value={query.value.get(name) ?? ''}
        onInput={(event) => setQuery({ [name]: event.currentTarget.value.trim() || undefined })}
      />
    </span>
  )
}

/** The head of a column: of numbers, or one that is only heard. */
export type Head = string | { text: string; is: 'num' | 'unseen' }

interface TableProps {
  label: string
  heads: readonly Head[]
  /** All but the first column are numbers, which have room beside each other anywhere. */
  isNumbers?: boolean
  children: ComponentChildren
}

/** A table whose rows become cards where it is narrow; each cell names its column there. */
export function Table({ label, heads, isNumbers, children }: TableProps) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table class={`plain-table stacked${isNumbers ? ' figures' : ''}`}>
        <thead>
          <tr>
            {heads.map((head) =>
              typeof head === 'string' ? (
                <th key={head}>{head}</th>
              ) : (
                <th key={head.text} class={head.is === 'num' ? 'num' : undefined}>
                  {head.is === 'num' ? head.text : <span class="visually-hidden">{head.text}</span>}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

/** Names of which a line has room for a few; all of them are in the tooltip. */
export function Few({ texts, most, code }: { texts: string[]; most: number; code?: boolean }) {
  const rest = texts.length - most
  return (
    <span class="coming" title={texts.join('\n')}>
      {texts
        .slice(0, most)
        .map((text) => (code ? <code key={text}>{text}</code> : <span key={text}>{text}</span>))}
      {rest > 0 && <span class="muted num">+{rest}</span>}
    </span>
  )
}
