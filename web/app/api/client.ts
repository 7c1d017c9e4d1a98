import { signal } from '@preact/signals'
import { parseJson } from './json'
import type { Problem } from './types'

/** Where the service is: the page may be below any path, and its files are in `page/`. */
export const BASE = new URL('..', /* @vite-ignore */ import.meta.url).href

/** How far the clock of this machine is behind that of the service, in milliseconds. */
export const clockOffset = signal(0)

/** True while the service wants a login: requests wait for it and go on. */
export const needsLogin = signal(false)
let waiting: (() => void)[] = []

/** A request that was refused, or got no answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly requestId?: string | null,
    readonly retryAfterMs?: number | null,
    readonly field?: string | null,
  ) {
    super(detail || title)
  }
}

export type Params = Record<string, string | number | boolean | null | undefined>

/** The query of an address; what has no value is left out. */
export function queryOf(params: Params): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== '') query.set(name, `${value}`)
  }
  return query.toString()
}

function address(path: string, params?: Params): string {
  const url = new URL(path.startsWith('/') ? `.${path}` : `./api/v1/${path}`, BASE)
  url.search = queryOf(params ?? {})
  return url.href
}

/** An address of the API for a link, such as a download. */
export const apiLink = address

function problemOf(response: Response, text: string): ApiError {
  try {
    const problem = parseJson(text) as Problem
    return new ApiError(
      response.status,
      problem.code,
      problem.title,
      problem.detail,
      problem.requestId,
      problem.retryAfterMs,
      problem.field,
    )
  } catch {
    return new ApiError(response.status, 'unknown', `HTTP ${response.status}`, text.slice(0, 300))
  }
}

function readClock(response: Response) {
  const date = Date.parse(response.headers.get('date') ?? '')
  if (Number.isNaN(date)) return
  // The header has whole seconds; a difference below two means nothing.
  const offset = date - Date.now()
  clockOffset.value = Math.abs(offset) < 2000 ? 0 : offset
}

function loggedIn(): Promise<void> {
  needsLogin.value = true
  return new Promise((resolve) => waiting.push(resolve))
}

/** Lets the requests go on that wait for a login. */
export function resume() {
  needsLogin.value = false
  const ready = waiting
  waiting = []
  for (const go of ready) go()
}

/** JSON that is sent as it was written. */
export class JsonText {
  constructor(readonly text: string) {}
}

interface Options {
  method?: string
  params?: Params
  body?: unknown
  signal?: AbortSignal | undefined
  /** The version that is replaced; another one is left as it is. */
  version?: number | undefined
  /** Answers the text as it came. */
  isText?: boolean
  /** Answers a refusal instead of asking for a login. */
  bare?: boolean
}

async function exchange(path: string, options: Options): Promise<[Response, string]> {
  const { method = 'GET', params, body, signal, version } = options
  const init: RequestInit = { method, signal: signal ?? null, credentials: 'same-origin' }
  const headers: Record<string, string> = {}
  if (version !== undefined) headers['if-match'] = `"${version}"`
  if (body !== undefined) {
    init.body = body instanceof JsonText ? body.text : JSON.stringify(body)
    headers['content-type'] = 'application/json'
  }
  init.headers = headers
  let response: Response
  let text: string
  try {
    response = await fetch(address(path, params), init)
    text = await response.text()
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, 'unreachable', '', '')
  }
  readClock(response)
  return [response, text]
}

/** Asks the API; waits for a login where one is needed, and goes on after it. */
export async function request<Answer>(path: string, options: Options = {}): Promise<Answer> {
  for (;;) {
    const [response, text] = await exchange(path, options)
    if (response.ok) {
      const isJson = response.headers.get('content-type')?.includes('json')
      return (isJson && !options.isText ? parseJson(text) : text) as Answer
    }
    if (response.status !== 401 || options.bare) throw problemOf(response, text)
    await loggedIn()
  }
}

export function get<Answer>(path: string, params?: Params, signal?: AbortSignal): Promise<Answer> {
  return request<Answer>(path, { params: params ?? {}, signal })
}

export function post<Answer>(path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
  return request<Answer>(path, { method: 'POST', body, signal })
}

/** An answer as it was written, for what is shown or sent back as it is. */
export function getText(path: string, params?: Params, signal?: AbortSignal): Promise<string> {
  return request<string>(path, { params: params ?? {}, signal, isText: true })
}
