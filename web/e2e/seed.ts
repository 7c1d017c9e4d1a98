import type { Service } from './service'

const PAGES = [
  'index',
  'about',
  'pricing',
  'shop',
  'cart',
  'blog',
  'contact',
  'terms',
  'jobs',
  'press',
]
const REASONS = [
  '404 Not Found',
  'connection reset by peer',
  'timed out after 30 s',
  'certificate has expired',
]

/** A few trees as a team would have them: for pictures and for tests of what they show. */
export async function seed(
  service: Service,
): Promise<{ crawl: string; deploy: string; report: string; run: string }> {
  const run = await plan(service)
  const by = { createdBy: 'crawler' }
  for (const day of ['saturday', 'sunday']) {
    const id = await service.create({ name: `backup ${day}`, createdBy: 'cron', tags: ['backup'] })
    await service.report(id, 'Running')
    await service.report(id, 'RanToCompletion', 'wrote 12.4 GB in 3 files')
  }
  const report = await service.create({
    name: 'quarterly report',
    createdBy: 'finance',
    tags: ['report'],
  })
  for (const stage of ['collect', 'convert', 'render', 'send']) {
    const id = await service.create({ name: stage, parent: Number(report) })
    await service.report(id, 'Running')
    if (stage !== 'send') await service.report(id, 'RanToCompletion')
  }
  await service.report(report, 'Running')
  const deploy = await service.create({
    name: 'deploy web 4.2.0',
    createdBy: 'ci',
    tags: ['deploy', 'production'],
  })
  await service.report(deploy, 'Running')
  const hosts = await service.children(
    deploy,
    40,
    (at) => `host-${String(at + 1).padStart(2, '0')}`,
  )
  await atOnce(40, async (at) => {
    if (at < 34) await service.report(hosts + at, 'Running')
    if (at < 28) await service.report(hosts + at, 'RanToCompletion', 'healthy')
    if (at === 28)
      await service.report(hosts + at, 'Warning', 'attempt 1 of 3 failed: health check says 503')
  })
  const crawl = await service.create({ name: 'nightly crawl', ...by, tags: ['nightly', 'crawl'] })
  await service.report(crawl, 'Running', 'started by the schedule')
  for (const site of ['shop.example', 'blog.example', 'docs.example']) {
    const id = await service.create({ name: site, parent: Number(crawl), ...by })
    await service.report(id, 'Running')
    const first = await service.children(
      id,
      60,
      (at) => `/${PAGES[at % 10]}/${Math.floor(at / 10) + 1}`,
    )
    await atOnce(60, async (at) => {
      if (site === 'docs.example' && at > 40) return
      await service.report(first + at, 'Running')
      if (site === 'docs.example' && at > 34) return
      const isBad = at % 19 === 7 && site !== 'docs.example'
      if (isBad) await service.report(first + at, 'Faulted', REASONS[at % 4])
      else await service.report(first + at, 'RanToCompletion')
    })
    await service.report(id, 'RanToCompletion')
  }
  await say(service, crawl)
  await furnish(service, deploy)
  return { crawl, deploy, report, run }
}

/** What admins and operators have made: a rule that deletes nothing, a token, an action, a check. */
async function furnish(service: Service, deploy: string) {
  const rule = { keepDays: 30, tags: ['nightly'], states: ['RanToCompletion'], enabled: false }
  await service.api('PUT', 'retention/rules/nightly', rule)
  await service.api('POST', 'tokens', { name: 'build-server', role: 'operator' })
  const http = { url: 'https://ops.example/hooks/deploy' }
  await service.api('POST', `jobs/${deploy}/actions`, { states: ['Faulted', 'Warning'], http })
  const at = new Date(Date.now() + 3_600_000).toISOString()
  const check = { kind: 'state', at, states: ['RanToCompletion'], failure: { http } }
  await service.api('POST', `jobs/${deploy}/checks`, check)
}

const EVERY: [string, string, object, object][] = [
  [
    'nightly-report',
    'reports/nightly',
    { kind: 'cron', pattern: '30 2 * * *', zone: 'Europe/Berlin' },
    { description: 'The figures of the day before, for those who come early' },
  ],
  ['refresh-prices', 'prices/refresh', { kind: 'fixedRate', everyMs: 3_600_000 }, {}],
  ['after-the-report', 'reports/archive', { kind: 'after', schedule: 'nightly-report' }, {}],
]

/** Schedules, workers, and runs of the first schedule; answers the one that a worker has now. */
async function plan(service: Service): Promise<string> {
  for (const [name, handler, trigger, more] of EVERY) {
    const task = { handler, params: { days: 1 }, retry: { max: 3 } }
    const definition = { ...more, triggers: [trigger], run: { tags: ['report'], task } }
    await service.api('POST', 'schedules', { name, definition })
  }
  await service.api('POST', 'schedules/refresh-prices/disable', {})
  const description = 'Collects the figures and writes the report'
  const handlers = [{ name: 'reports/nightly', description }, { name: 'reports/weekly' }]
  const labels = { zone: 'eu-1' }
  const [press] = await Promise.all(
    ['press-1', 'press-2'].map(async (name) => {
      const worker = { name, handlers, slots: 4, tags: ['linux'], labels }
      return (await service.api('POST', 'workers', worker)).id as string
    }),
  )
  const end = async (state: string, message?: string) => {
    await service.api('POST', 'schedules/nightly-report/trigger', {})
    const claimed = await service.api('POST', `workers/${press}/claim`, { free: 1, waitMs: 20_000 })
    const { job, epoch } = claimed.tasks[0]
    const report = { worker: press, epoch, state, message }
    await service.api('POST', `jobs/${job}/task/report`, { ...report, progress: 40 })
    return { job: String(job), lease: { worker: press, epoch } }
  }
  await end('succeeded')
  await end('rejected', 'the figures of yesterday are not complete')
  const { job, lease } = await end('progress')
  const lines = ['\u001b[32mINFO\u001b[0m  read 18,204 orders', 'rendering page 4 of 10']
  await service.api('POST', `jobs/${job}/task/log`, { ...lease, lines })
  const tasks = [{ job: Number(job), epoch: lease.epoch, progress: 40 }]
  const load = { cpu: 0.31, freeMemory: 6_200_000_000 }
  await service.api('POST', `workers/${press}/heartbeat`, { tasks, load, waitMs: 0 })
  return job
}

/** A log with the colours of a terminal, and an attachment. */
async function say(service: Service, crawl: string) {
  const lines = Array.from({ length: 120 }, (_, at) =>
    at % 17 === 5
      ? `\u001b[33mWARN\u001b[0m  slow answer from shop.example: ${400 + at} ms`
      : at % 31 === 9
        ? `\u001b[1;31mERROR\u001b[0m fetch /cart/${at}: ${REASONS[at % 4]}`
        : `\u001b[32mINFO\u001b[0m  fetched /${PAGES[at % 10]}/${at} \u001b[2m(${20 + ((at * 7) % 90)} ms)\u001b[0m`,
  )
  await service.api('POST', `jobs/${crawl}/log`, lines.join('\n'), 'text/plain')
  await service.api(
    'PUT',
    `jobs/${crawl}/attachments/summary.txt`,
    'pages: 180\nfailed: 7\n',
    'text/plain',
  )
}

async function atOnce(count: number, work: (at: number) => Promise<void>) {
  await Promise.all(Array.from({ length: count }, (_, at) => work(at)))
}
