/** Browsers end between 16.7 and 33.5 million pixels; beyond this height scrolling is scaled. */
export const TALLEST = 8_000_000

/**
 * Where a long list is scrolled to. `top` is the place in the whole list, in pixels; the element is
 * lower when the list is taller than an element may be. Small steps move the list by as much, and
 * large ones, as of a dragged scrollbar, by the part of the whole.
 */
export class Scroll {
  top = 0
  private element = 0

  constructor(
    public rows: number,
    public rowHeight: number,
    public viewport: number,
  ) {}

  get whole(): number {
    return this.rows * this.rowHeight
  }

  get height(): number {
    return Math.min(this.whole, TALLEST)
  }

  private get last(): number {
    return Math.max(0, this.whole - this.viewport)
  }

  private get lastElement(): number {
    return Math.max(0, this.height - this.viewport)
  }

  /** The element was scrolled; answers where the list is now. */
  scrolled(element: number): number {
    const step = element - this.element
    this.element = element
    if (this.whole <= TALLEST) this.top = element
    else if (element <= 0) this.top = 0
    else if (element >= this.lastElement - 1) this.top = this.last
    else if (Math.abs(step) <= this.viewport * 2) this.top = this.within(this.top + step)
    else this.top = (element / this.lastElement) * this.last
    return this.top
  }

  /** Whether the element was last known here; otherwise it has been scrolled since. */
  isAt(element: number): boolean {
    return this.element === element
  }

  /** Goes to a place; answers where the element has to be scrolled to. */
  goTo(top: number): number {
    this.top = this.within(top)
    return this.settled()
  }

  /** Where the element belongs for the present place: to be set when scrolling has ended. */
  settled(): number {
    const part = this.last > 0 ? this.top / this.last : 0
    this.element = this.whole <= TALLEST ? this.top : Math.round(part * this.lastElement)
    return this.element
  }

  /** Where a row stands in the element. */
  offset(row: number): number {
    return row * this.rowHeight - this.top + this.element
  }

  /** The first row to draw and the one behind the last, with a few around what is seen. */
  range(around: number): [number, number] {
    const first = Math.max(0, Math.floor(this.top / this.rowHeight) - around)
    const shown = Math.ceil(this.viewport / this.rowHeight) + 2 * around
    return [first, Math.min(this.rows, first + shown)]
  }

  private within(top: number): number {
    return Math.min(Math.max(0, top), this.last)
  }
}
