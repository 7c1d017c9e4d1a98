import { signal } from '@preact/signals'
import { BASE } from '../api/client'

/** True when the service has another page than this one. */
export const isOutdated = signal(false)

const RELOADED = 'jobtracker.reloaded'
let own: string | undefined

/** The build that the service has now; the files of a page have the same names in each. */
async function served(): Promise<string> {
  const answer = await fetch(new URL('page/version.txt', BASE), { cache: 'no-cache' })
  if (!answer.ok) throw new Error(`version.txt: ${answer.status}`)
  return answer.text()
}

/** Asks which build the service has: after a break it may be a newer one. */
export async function compareVersion() {
  const now = await served()
  own ??= now
  if (now !== own) isOutdated.value = true
}

/**
 * Loads the page again, once for each build: a part of it could not be loaded, and may be one of
 * another build. Answers whether it does.
 */
export async function reloadOnce(): Promise<boolean> {
  const now = await served().catch(() => undefined)
  if (now === undefined) return false
  try {
    const before = sessionStorage.getItem(RELOADED)?.split(' ') ?? []
    if (before.includes(now)) return false
    sessionStorage.setItem(RELOADED, [...before, now].join(' '))
  } catch {
    // What cannot be remembered could be repeated for ever.
    return false
  }
  location.reload()
  return true
}
