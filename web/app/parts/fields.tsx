import { isJson } from '../views/json_text'

/** A whole number as it is typed; more than any limit where it is none. */
export function wholeNumber(text: string): number {
  return /^[0-9]{1,15}$/.test(text.trim()) ? Number(text) : Infinity
}

interface FieldProps {
  label: string
  value: string
  change: (text: string) => void
}

interface NumberProps extends FieldProps {
  least?: number
  most: number
  /** Nothing need be typed. */
  isOptional?: boolean
}

/** A whole number with its bounds. */
export function NumberField({ label, value, change, least = 0, most, isOptional }: NumberProps) {
  const number = wholeNumber(value)
  const isRight = (isOptional && value.trim() === '') || (number >= least && number <= most)
  return (
    <label class="labelled">
      {label}
      <input
        type="text"
        inputMode="numeric"
        value={value}
        aria-invalid={!isRight}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </label>
  )
}

interface JsonProps extends FieldProps {
  rows: number
  placeholder?: string
  isOptional?: boolean
  /** What the service says against it. */
  isRefused?: boolean
}

export function JsonField(props: JsonProps) {
  const { label, value, change, rows, placeholder, isOptional, isRefused } = props
  const isRight = (isOptional && value.trim() === '') || isJson(value)
  return (
    <label class="labelled">
      {label}
      <textarea
        class="mono"
        rows={rows}
        spellcheck={false}
        placeholder={placeholder}
        value={value}
        aria-invalid={!isRight || isRefused}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </label>
  )
}

interface TextProps extends FieldProps {
  placeholder?: string
  isWrong?: boolean
}

export function TextField({ label, value, change, placeholder, isWrong }: TextProps) {
  return (
    <label class="labelled">
      {label}
      <input
        type="text"
        spellcheck={false}
        value={value}
        placeholder={placeholder}
        aria-invalid={isWrong}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </label>
  )
}
