/** A piece of a line of a log with how it looks. */
export interface Piece {
  text: string
  /** A class for each: `a31`, `bold`. */
  style: string
}

const SEQUENCE =
  /\u001b\[([0-9;:]*)([A-Za-z])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]/g

interface Look {
  fore: number | undefined
  back: number | undefined
  flags: Set<string>
}

const FLAGS: Record<number, string> = {
  1: 'bold',
  2: 'dim',
  3: 'italic',
  4: 'under',
  7: 'inverse',
  9: 'strike',
}
const OFF: Record<number, readonly string[]> = {
  22: ['bold', 'dim'],
  23: ['italic'],
  24: ['under'],
  27: ['inverse'],
  29: ['strike'],
}

/** The nearest of the sixteen colours to one of the 256, or to one of 24 bits. */
function nearest(codes: number[]): number | undefined {
  const [kind, ...rest] = codes
  if (kind === 5) {
    const index = rest[0] ?? 0
    if (index < 8) return 30 + index
    if (index < 16) return 82 + index
    if (index >= 232) return index < 244 ? 90 : 37
    const level = (part: number) => Math.floor((index - 16) / part) % 6
    return ofLevels(level(36) > 2, level(6) > 2, level(1) > 2)
  }
  if (kind === 2) return ofLevels((rest[0] ?? 0) > 110, (rest[1] ?? 0) > 110, (rest[2] ?? 0) > 110)
  return undefined
}

function ofLevels(red: boolean, green: boolean, blue: boolean): number {
  return 30 + (red ? 1 : 0) + (green ? 2 : 0) + (blue ? 4 : 0)
}

function apply(look: Look, codes: number[]) {
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0
    const flag = FLAGS[code]
    if (code === 0) Object.assign(look, { fore: undefined, back: undefined, flags: new Set() })
    else if (flag) look.flags.add(flag)
    else if (OFF[code]) for (const off of OFF[code]) look.flags.delete(off)
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) look.fore = code
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) look.back = code
    else if (code === 39) look.fore = undefined
    else if (code === 49) look.back = undefined
    else if (code === 38 || code === 48) {
      const size = codes[at + 1] === 2 ? 4 : 2
      const colour = nearest(codes.slice(at + 1, at + 1 + size))
      if (code === 38) look.fore = colour
      else look.back = colour === undefined ? undefined : colour + 10
      at += size
    }
  }
}

function styleOf(look: Look): string {
  const colours = [look.fore && `a${look.fore}`, look.back && `a${look.back}`]
  return [...look.flags, ...colours].filter(Boolean).join(' ')
}

/** The pieces of a line with colours of a terminal; other sequences vanish. */
export function pieces(line: string): Piece[] {
  if (!line.includes('\u001b')) return [{ text: line, style: '' }]
  const found: Piece[] = []
  const look: Look = { fore: undefined, back: undefined, flags: new Set() }
  let from = 0
  const put = (text: string) => {
    if (text) found.push({ text, style: styleOf(look) })
  }
  for (const match of line.matchAll(SEQUENCE)) {
    put(line.slice(from, match.index))
    from = match.index + match[0].length
    if (match[2] === 'm') apply(look, (match[1] ?? '').split(/[;:]/).map(Number))
  }
  put(line.slice(from))
  return found
}

/** A line without its colours, for a copy. */
export function plain(line: string): string {
  return line.replace(SEQUENCE, '')
}
