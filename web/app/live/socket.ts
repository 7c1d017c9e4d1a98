import { computed, signal } from '@preact/signals'
import { BASE, get } from '../api/client'
import { parseJson } from '../api/json'
import type { Id, ServerFrame, Subscribe } from '../api/types'

export type Status = 'connecting' | 'live' | 'paused' | 'reconnecting' | 'polling' | 'old'

/** What a subscription does with what it is told. */
export interface Listener {
  frame(frame: ServerFrame): void
  /** Asks the API instead, while there is no WebSocket. */
  poll(): Promise<void>
}

interface Subscription {
  sub: number
  request: () => Omit<Subscribe, 'sub'>
  listener: Listener
}

export interface Handle {
  window(ids: Id[]): void
  close(): void
}

const HIDDEN_MS = 10_000
const POLL_MS = 2_000
/** The service says something every 15 seconds. */
const SILENT_MS = 40_000
const TRIES_BEFORE_POLLING = 3
const RETRY_SOCKET_MS = 30_000
const OLD_MS = 30_000

/** One WebSocket for the whole page; its subscriptions come again after every break. */
class Live {
  readonly status = signal<Status>('connecting')
  readonly isPaused = signal(false)
  /** When the service last said something. */
  readonly heard = signal(0)
  /** True when the service has come back with another page than this one. */
  readonly isOutdated = signal(false)
  /** Present rows are told at most this often; the service slows down under load. */
  readonly isLive = computed(() => this.status.value === 'live' || this.status.value === 'polling')

  private socket: WebSocket | undefined
  private subscriptions = new Map<number, Subscription>()
  private next = 1
  private tries = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private hiddenTimer: ReturnType<typeof setTimeout> | undefined
  private isHidden = false
  private lastTick = Date.now()
  private tag: string | null = null

  constructor() {
    document.addEventListener('visibilitychange', () => this.visibility())
    window.addEventListener('online', () => this.again())
    window.addEventListener('offline', () => this.lost())
    setInterval(() => this.tick(), 5_000)
  }

  subscribe(request: () => Omit<Subscribe, 'sub'>, listener: Listener): Handle {
    const sub = this.next++
    const subscription = { sub, request, listener }
    this.subscriptions.set(sub, subscription)
    if (this.socket?.readyState === WebSocket.OPEN) this.begin(subscription)
    else if (this.status.value === 'polling') void listener.poll().catch(() => {})
    else this.connect()
    return {
      window: (ids) => {
        if (ids.length > 0) this.send({ t: 'window', sub, ids })
      },
      close: () => {
        this.subscriptions.delete(sub)
        this.send({ t: 'unsub', sub })
      },
    }
  }

  pause() {
    this.isPaused.value = true
    this.drop()
    this.status.value = 'paused'
  }

  goOn() {
    this.isPaused.value = false
    this.again()
  }

  /** Connects at once, and everything is read again. */
  again() {
    if (this.isPaused.value || this.isHidden) return
    this.drop()
    this.tries = 0
    this.connect()
  }

  private send(frame: object) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame))
  }

  private begin({ sub, request }: Subscription) {
    this.send({ t: 'sub', sub, ...request() })
  }

  private drop() {
    clearTimeout(this.timer)
    const socket = this.socket
    this.socket = undefined
    socket?.close()
  }

  private connect() {
    if (this.socket || this.isPaused.value || this.isHidden) return
    clearTimeout(this.timer)
    if (this.status.value !== 'polling') {
      this.status.value = this.heard.value > 0 ? 'reconnecting' : 'connecting'
    }
    const url = new URL('api/v1/live', BASE)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url)
    this.socket = socket
    socket.onmessage = (message) => {
      if (this.socket === socket) this.receive(parseJson(message.data as string) as ServerFrame)
    }
    socket.onclose = () => {
      if (this.socket === socket) this.lost()
    }
  }

  private receive(frame: ServerFrame) {
    this.heard.value = Date.now()
    if (frame.t === 'hello') {
      this.tries = 0
      this.status.value = 'live'
      void this.compare().catch(() => {})
      for (const subscription of this.subscriptions.values()) this.begin(subscription)
      return
    }
    if (frame.sub !== undefined && frame.sub !== null) {
      this.subscriptions.get(frame.sub)?.listener.frame(frame)
    }
  }

  /** Asks for the tag of the page's own file: after a break it may be that of a newer page. */
  private async compare() {
    const { headers } = await fetch(new URL('page/app.js', BASE), { method: 'HEAD' })
    const tag = headers.get('etag')
    if (tag && this.tag && tag !== this.tag) this.isOutdated.value = true
    this.tag ??= tag
  }

  private lost() {
    this.drop()
    if (this.isPaused.value || this.isHidden) return
    this.tries += 1
    if (this.status.value !== 'polling') this.status.value = 'reconnecting'
    if (this.tries >= TRIES_BEFORE_POLLING) {
      void this.poll()
    } else {
      const pause = Math.min(500 * 2 ** this.tries, 5_000) * (0.75 + Math.random() / 2)
      this.timer = setTimeout(() => this.connect(), pause)
    }
  }

  /** Asks the API while the WebSocket is blocked, and tries that again now and then. */
  private async poll(): Promise<void> {
    const until = Date.now() + RETRY_SOCKET_MS
    while (!this.socket && !this.isPaused.value && !this.isHidden) {
      try {
        await get('session')
        await Promise.all([...this.subscriptions.values()].map(({ listener }) => listener.poll()))
        this.heard.value = Date.now()
        this.status.value = 'polling'
      } catch {
        const isOld = Date.now() - this.heard.value > OLD_MS
        this.status.value = isOld ? 'old' : 'reconnecting'
      }
      if (Date.now() > until || this.status.value !== 'polling') break
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    if (!this.socket) this.timer = setTimeout(() => this.connect(), POLL_MS)
  }

  private visibility() {
    clearTimeout(this.hiddenTimer)
    if (document.visibilityState === 'hidden') {
      this.hiddenTimer = setTimeout(() => {
        this.isHidden = true
        this.drop()
      }, HIDDEN_MS)
    } else {
      const wasHidden = this.isHidden
      this.isHidden = false
      if (wasHidden) this.again()
    }
  }

  /** Notices a machine that slept, and a connection that is open and says nothing. */
  private tick() {
    const slept = Date.now() - this.lastTick > 20_000
    this.lastTick = Date.now()
    const isSilent = this.status.value === 'live' && Date.now() - this.heard.value > SILENT_MS
    if (slept || isSilent) this.again()
  }
}

export const live = new Live()
