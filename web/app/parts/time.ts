/** Times as texts. All of it is pure: the zone and the present are given. */

export type ZoneName = 'local' | 'utc'

const two = (value: number) => `${value}`.padStart(2, '0')

function fields(date: Date, zone: ZoneName): number[] {
  return zone === 'utc'
    ? [
        date.getUTCFullYear(),
        date.getUTCMonth() + 1,
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
        date.getUTCMilliseconds(),
      ]
    : [
        date.getFullYear(),
        date.getMonth() + 1,
        date.getDate(),
        date.getHours(),
        date.getMinutes(),
        date.getSeconds(),
        date.getMilliseconds(),
      ]
}

/** `2026-11-30 00:14:03`, with milliseconds where they matter. */
export function written(iso: string, zone: ZoneName, withMillis = false): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return iso
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milli = 0] = fields(
    date,
    zone,
  )
  const rest = withMillis ? `.${`${milli}`.padStart(3, '0')}` : ''
  const clock = `${two(hour)}:${two(minute)}:${two(second)}${rest}`
  return `${`${year}`.padStart(4, '0')}-${two(month)}-${two(day)} ${clock}`
}

/** `00:14:03.120`: the clock alone. */
export function clock(iso: string, zone: ZoneName): string {
  return written(iso, zone, true).slice(11)
}

/** The zone with its distance from UTC at that time, such as `UTC+08:00`. */
export function zoneName(iso: string | number, zone: ZoneName): string {
  if (zone === 'utc') return 'UTC'
  const minutes = -new Date(iso).getTimezoneOffset()
  if (minutes === 0) return 'UTC'
  const sign = minutes < 0 ? '-' : '+'
  const size = Math.abs(minutes)
  return `UTC${sign}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

/** A time that a person typed, in the zone that is shown; undefined if it is none. */
export function typed(text: string, zone: ZoneName): string | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?$/.exec(text.trim())
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match
    .slice(1)
    .map((digits) => Number(digits ?? 0))
  const parts = [
    year ?? 0,
    (month ?? 1) - 1,
    day ?? 1,
    hour ?? 0,
    minute ?? 0,
    second ?? 0,
  ] as const
  const date = zone === 'utc' ? new Date(Date.UTC(...parts)) : new Date(...parts)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** The two largest units of a span, such as `3 min 4 s`; `units` names them. */
export function span(ms: number, units: Units): string {
  if (ms < 0) return span(0, units)
  if (ms < 1000) return `${Math.round(ms)} ${units.ms}`
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} ${units.s}`
  const seconds = Math.floor(ms / 1000)
  const steps: [number, string][] = [
    [86_400, units.d],
    [3_600, units.h],
    [60, units.min],
    [1, units.s],
  ]
  const at = steps.findIndex(([size]) => seconds >= size)
  const [size, unit] = steps[at] ?? [1, units.s]
  const whole = `${Math.floor(seconds / size)} ${unit}`
  const [below, belowUnit] = steps[at + 1] ?? [0, '']
  const rest = below > 0 ? Math.floor((seconds % size) / below) : 0
  return rest > 0 ? `${whole} ${rest} ${belowUnit}` : whole
}

/** The largest unit alone, for ages. */
export function age(ms: number, units: Units): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} ${units.s}`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} ${units.min}`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} ${units.h}`
  return `${Math.floor(seconds / 86_400)} ${units.d}`
}

/** `41.6 GB`: a size in its largest unit. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let at = 0
  let value = size
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000
    at += 1
  }
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`
}

export interface Units {
  ms: string
  s: string
  min: string
  h: string
  d: string
}
