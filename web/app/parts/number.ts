const format = new Intl.NumberFormat('en-US')

/** Every digit of a number, grouped. */
export function exact(value: number): string {
  return format.format(value)
}
