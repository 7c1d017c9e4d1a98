import { useEffect, useRef, useState } from 'preact/hooks'
import type { ComponentChildren } from 'preact'
import { t } from '../texts'
import { Icon } from './icons'
import { Failed } from './small'

interface DialogProps {
  title: string
  onClose: () => void
  children: ComponentChildren
  wide?: boolean
  /** A press beside it closes it, unless it shows what cannot be had again. */
  isKept?: boolean
}

/** A dialog of the browser's own kind: it keeps the focus inside and gives it back. */
export function Dialog({ title, onClose, children, wide, isKept }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const dialog = element.current
    if (dialog && !dialog.open) dialog.showModal()
    return () => dialog?.close()
  }, [])
  // A selection of text that ends beside the dialog is not a press there.
  const isPressed = useRef(false)
  const isBeside = (event: MouseEvent) => {
    const box = element.current?.getBoundingClientRect()
    if (!box || event.target !== element.current) return false
    const { clientX: x, clientY: y } = event
    return x < box.left || x > box.right || y < box.top || y > box.bottom
  }
  const clicked = (event: MouseEvent) => {
    if (!isKept && isPressed.current && isBeside(event)) onClose()
  }
  return (
    <dialog
      ref={element}
      class={wide ? 'wide' : ''}
      aria-labelledby="dialog-title"
      onPointerDown={(event) => (isPressed.current = isBeside(event))}
      onClick={clicked}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <div class="dialog-head">
        <h2 id="dialog-title">{title}</h2>
        <button type="button" class="quiet icon-only" aria-label={t.value.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </dialog>
  )
}

interface ActProps {
  title: string
  /** What it will do, with the exact number it touches. */
  children: ComponentChildren
  doIt: string
  /** How it can be taken back, or that it cannot. */
  undo: string
  isDangerous?: boolean
  isReady?: boolean
  wide?: boolean
  act: () => Promise<void>
  onClose: () => void
}

/** A dialog that does one thing, once; what went wrong is said in it, and it can be tried again. */
export function ActDialog({
  title,
  children,
  doIt,
  undo,
  isDangerous,
  isReady = true,
  wide = false,
  act,
  onClose,
}: ActProps) {
  const [error, setError] = useState<unknown>(undefined)
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    if (isBusy) return
    setBusy(true)
    setError(undefined)
    try {
      await act()
      onClose()
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      <form onSubmit={submit} class="stack">
        {children}
        <p class="muted">{undo}</p>
        {error !== undefined && <Failed error={error} />}
        <div class="dialog-foot">
          <button type="button" onClick={onClose}>
            {t.value.cancel}
          </button>
          <button
            type="submit"
            class={isDangerous ? 'primary danger' : 'primary'}
            disabled={isBusy || !isReady}
          >
            {doIt}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
