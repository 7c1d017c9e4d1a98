import type { ComponentChildren } from 'preact'
import type { State } from '../api/types'
import { t } from '../texts'
import { StateIcon } from './icons'
import { CopyButton, Empty } from './small'

export function CodeLines({ text }: { text: string }) {
  return (
    <div class="code-lines">
      <pre>{text}</pre>
      <CopyButton text={text} label={t.value.copy} />
    </div>
  )
}

interface Props {
  title: string
  first: string
  children: ComponentChildren
}

/** An empty page: the lines that make the first thing of its kind, for which it waits. */
export function FirstLines({ title, first, children }: Props) {
  return (
    <Empty title={title}>
      <p>{first}</p>
      {children}
      <p class="waiting-line">
        <StateIcon state={'Running' as State} /> {t.value.trees.waiting}
      </p>
    </Empty>
  )
}
