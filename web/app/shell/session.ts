import { computed, signal } from '@preact/signals'
import { ApiError, needsLogin, request, resume } from '../api/client'
import type { Role, Session } from '../api/types'
import { live } from '../live/socket'

const ROLES: readonly Role[] = ['reader', 'writer', 'operator', 'admin']

export const session = signal<Session | undefined>(undefined)
/** Why it is not known who the caller is, other than for want of a login. */
export const sessionError = signal<unknown>(undefined)

/** Whether the caller may do what needs a role. The service decides; this is for what is offered. */
export function may(role: Role): boolean {
  const own = session.value?.role
  return own !== undefined && ROLES.indexOf(own) >= ROLES.indexOf(role)
}

export const isOpen = computed(() => session.value?.tokenRequired === false)

/** Asks who the caller is, before anything else is asked. */
export async function loadSession(): Promise<void> {
  try {
    session.value = await request<Session>('session', { bare: true })
    sessionError.value = undefined
    live.again()
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) needsLogin.value = true
    else sessionError.value = error
  }
}

export async function login(token: string): Promise<void> {
  await request('session', { method: 'POST', body: { token }, bare: true })
  session.value = await request<Session>('session', { bare: true })
  resume()
  live.again()
}

export async function logout(): Promise<void> {
  await request('session', { method: 'DELETE', bare: true })
  location.reload()
}
