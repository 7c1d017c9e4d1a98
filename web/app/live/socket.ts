import { computed, signal } from '@preact/signals'
import { BASE, get, needsLogin } from '../api/client'
import { parseJson } from '../api/json'
import type { Id, Problem, ServerFrame, Subscribe } from '../api/types'
import { compareVersion } from '../shell/version'

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
  /** The service has ended it for good; it is not asked for again. */
  isOver: boolean
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
/** A proxy may take a connection and never answer. */
const HELLO_MS = 10_000
/** A connection that ends sooner counts as one that failed. */
const STEADY_MS = 5_000
/** A subscription that cannot be had at present is asked for again after this time. */
const RETRY_SUB_MS = 10_000

/** One WebSocket for the whole page; its subscriptions come again after every break. */
class Live {
  readonly status = signal<Status>('connecting')
  readonly isPaused = signal(false)
  /** When the service last said something. */
  readonly heard = signal(0)
  /** Whether what is shown follows the service. */
  readonly isLive = computed(() => this.status.value === 'live' || this.status.value === 'polling')

  private socket: WebSocket | undefined
  private subscriptions = new Map<number, Subscription>()
  private next = 1
  private tries = 0
  /** When the service has answered on this connection. */
  private helloAt: number | undefined
  /** Polling goes on while this is its own number. */
  private round = 0
  private timer: ReturnType<typeof setTimeout> | undefined
  private hiddenTimer: ReturnType<typeof setTimeout> | undefined
  private isHidden = false
  private lastTick = Date.now()

  constructor() {
    document.addEventListener('visibilitychange', () => this.visibility())
    window.addEventListener('online', () => this.again())
    window.addEventListener('offline', () => this.lost())
    setInterval(() => this.tick(), 5_000)
  }

  subscribe(request: () => Omit<Subscribe, 'sub'>, listener: Listener): Handle {
    const sub = this.next++
    const subscription = { sub, request, listener, isOver: false }
    this.subscriptions.set(sub, subscription)
    if (this.helloAt !== undefined) this.begin(subscription)
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

  private begin({ sub, request, isOver }: Subscription) {
    if (!isOver) this.send({ t: 'sub', sub, ...request() })
  }

  private drop() {
    clearTimeout(this.timer)
    this.round += 1
    this.helloAt = undefined
    const socket = this.socket
    this.socket = undefined
    socket?.close()
  }

  private connect() {
    if (this.socket || this.isPaused.value || this.isHidden || needsLogin.value) return
    clearTimeout(this.timer)
    // Asking the API, if that goes on, ends here.
    this.round += 1
    this.timer = setTimeout(() => this.lost(), HELLO_MS)
    if (this.status.value !== 'polling') {
      this.status.value = this.heard.value > 0 ? 'reconnecting' : 'connecting'
    }
    const url = new URL('api/v1/live', BASE)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url)
    this.socket = socket
    socket.onmessage = (message) => {
      if (this.socket === socket) this.receive(message.data as string)
    }
    socket.onclose = () => {
      if (this.socket === socket) this.lost()
    }
  }

  private receive(text: string) {
    try {
      this.take(parseJson(text) as ServerFrame)
    } catch (error) {
      // What cannot be read may have been about anything: all is told anew on another connection.
      console.warn(error)
      this.lost()
    }
  }

  private take(frame: ServerFrame) {
    this.heard.value = Date.now()
    if (frame.t === 'hello') {
      clearTimeout(this.timer)
      this.helloAt = Date.now()
      this.status.value = 'live'
      void compareVersion().catch(() => {})
      for (const subscription of this.subscriptions.values()) this.begin(subscription)
      return
    }
    const { sub } = frame
    const subscription = sub === undefined || sub === null ? undefined : this.subscriptions.get(sub)
    if (frame.t === 'end') this.ended(frame.problem, subscription)
    subscription?.listener.frame(frame)
  }

  /** A subscription has ended, or without one the connection. */
  private ended(problem: Problem, subscription: Subscription | undefined) {
    if (!subscription) {
      // The session may be over, which the next request is told.
      void get('session').catch(() => {})
      return
    }
    const isTransient = problem.retryAfterMs || problem.status === 429 || problem.status >= 500
    subscription.isOver = !isTransient
    if (!isTransient) return
    void subscription.listener.poll().catch(() => {})
    setTimeout(() => {
      const isWanted = this.subscriptions.get(subscription.sub) === subscription
      if (isWanted && this.helloAt !== undefined) this.begin(subscription)
    }, problem.retryAfterMs ?? RETRY_SUB_MS)
  }

  private lost() {
    const wasSteady = this.helloAt !== undefined && Date.now() - this.helloAt > STEADY_MS
    const wasRefused = this.helloAt === undefined
    this.drop()
    if (this.isPaused.value || this.isHidden) return
    this.tries = wasSteady ? 1 : this.tries + 1
    if (this.status.value !== 'polling') this.status.value = 'reconnecting'
    if (this.tries >= TRIES_BEFORE_POLLING) {
      void this.poll()
      return
    }
    // A refused WebSocket does not say why; a request does, and asks for a login where one is due.
    if (wasRefused) void get('session').catch(() => {})
    const pause = Math.min(500 * 2 ** this.tries, 5_000) * (0.75 + Math.random() / 2)
    this.timer = setTimeout(() => this.connect(), pause)
  }

  /** Asks the API while the WebSocket is blocked, and tries that again now and then. */
  private async poll(): Promise<void> {
    const round = ++this.round
    const isWanted = () => round === this.round
    const until = Date.now() + RETRY_SOCKET_MS
    for (;;) {
      const isReached = await this.askAll()
      // Meanwhile there may be a pause, a hidden window, or a connection.
      if (!isWanted()) return
      if (isReached) this.heard.value = Date.now()
      const isOld = Date.now() - this.heard.value > OLD_MS
      this.status.value = isReached ? 'polling' : isOld ? 'old' : 'reconnecting'
      if (!isReached || Date.now() > until) break
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      if (!isWanted()) return
    }
    this.timer = setTimeout(() => this.connect(), POLL_MS)
  }

  /** Whether the service could be asked. What one part is answered is its own affair. */
  private async askAll(): Promise<boolean> {
    try {
      await get('session')
    } catch {
      return false
    }
    const wanted = [...this.subscriptions.values()].filter(({ isOver }) => !isOver)
    await Promise.allSettled(wanted.map(({ listener }) => listener.poll()))
    return true
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
