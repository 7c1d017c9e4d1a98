import { spawn, type ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export const BINARY = process.env.JOBTRACKER_BINARY ?? path.resolve('../target/debug/jobtracker')

/** The real service on its embedded store, in a folder of its own. */
export class Service {
  url = ''
  private process: ChildProcess | undefined

  private constructor(
    private readonly folder: string,
    private readonly token: string,
    private readonly settings: Record<string, string>,
  ) {}

  static async start(token = '', settings: Record<string, string> = {}): Promise<Service> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'jobtracker-page-'))
    const service = new Service(folder, token, settings)
    await service.run('127.0.0.1:0')
    return service
  }

  /** Starts the process and waits for the line that says where it listens. */
  private async run(listen: string) {
    const args = ['serve', '--data-dir', path.join(this.folder, 'data'), '--listen', listen]
    const env = {
      ...process.env,
      ...this.settings,
      JOBTRACKER__AUTH__TOKEN: this.token,
      JOBTRACKER__LOG__FILTER: 'warn',
    }
    const child = spawn(BINARY, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.process = child
    this.url = await new Promise((resolve, reject) => {
      let said = ''
      child.once('exit', (code) => reject(new Error(`the service has ended with ${code}: ${said}`)))
      child.stdout.on('data', (bytes: Buffer) => {
        said += bytes.toString()
        const at = /listens on (http:\S+)/.exec(said)
        if (at?.[1]) resolve(at[1])
      })
    })
  }

  /** Kills the process and starts it again at the same address. */
  async restart() {
    await this.end('SIGKILL')
    await this.run(new URL(this.url).host)
  }

  async kill() {
    await this.end('SIGKILL')
  }

  async again() {
    await this.run(new URL(this.url).host)
  }

  private async end(signal: NodeJS.Signals) {
    const child = this.process
    this.process = undefined
    if (!child || child.exitCode !== null) return
    child.removeAllListeners('exit')
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }

  async stop() {
    await this.end('SIGTERM')
    fs.rmSync(this.folder, { recursive: true, force: true })
  }

  async api(method: string, at: string, body?: unknown, kind = 'application/json'): Promise<any> {
    const headers: Record<string, string> = { 'content-type': kind }
    if (this.token) headers.authorization = `Bearer ${this.token}`
    const text =
      body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(`${this.url}/api/v1/${at}`, {
      method,
      headers,
      body: text ?? null,
    })
    const answer = await response.text()
    if (!response.ok) throw new Error(`${method} ${at}: ${response.status} ${answer}`)
    return answer ? JSON.parse(answer) : undefined
  }

  async create(job: Record<string, unknown>): Promise<string> {
    return String((await this.api('POST', 'jobs', job)).id)
  }

  async report(id: string | number, state: string, message?: string): Promise<void> {
    await this.api('POST', `jobs/${id}/changes`, { state, message })
  }

  /** Children under a parent, 10,000 at a time; answers the id of the first. */
  async children(
    parent: string,
    count: number,
    name = (at: number) => `page-${at}`,
  ): Promise<number> {
    let first = 0
    for (let from = 0; from < count; from += 10_000) {
      const size = Math.min(10_000, count - from)
      const jobs = Array.from({ length: size }, (_, at) => ({ name: name(from + at) }))
      const made = await this.api('POST', `jobs/${parent}/children`, { jobs })
      if (from === 0) first = Number(made.ids?.[0] ?? made.first ?? made.items?.[0]?.id)
    }
    return first
  }
}
