import type { Page } from '@playwright/test'
import { expect, row, test } from './fixtures'

const VIEW = '#tab-panel'

/** Where the fixed parts of a page stand. */
function tops(page: Page): Promise<[string, number][]> {
  return page
    .locator('header.top, h1, [role=tablist], .filters, .toolbar, .tiles')
    .evaluateAll((all) =>
      all.map((one) => [one.className || one.tagName, one.getBoundingClientRect().top]),
    )
}

test('every page and view says that it loads, can be used meanwhile, and does not jump', async ({
  page,
  seeded,
}) => {
  const { service, ids } = seeded
  const job = (view: string) => `jobs/${ids.crawl}?view=${view}`
  const parts: [string, string, string][] = [
    ['?q=nightly%20crawl', '**/api/v1/roots?*fields*', 'nightly crawl'],
    ['schedules', '**/api/v1/schedules?*', 'nightly-report'],
    ['schedules/nightly-report', '**/api/v1/schedules/*/firings', 'Done'],
    ['schedules/nightly-report', '**/api/v1/schedules/*/next-fires*', '02:30:00'],
    ['queue', '**/api/v1/queue?*', 'nightly-report'],
    ['workers', '**/api/v1/workers', 'press-1'],
    ['deliveries', '**/api/v1/deliveries/failed*', 'No delivery has failed'],
    ['service', '**/api/v1/overview', 'Operations a minute'],
    ['retention', '**/api/v1/retention/rules', 'keeps 30 days'],
    ['tokens', '**/api/v1/tokens*', 'build-server'],
    ['audit', '**/api/v1/audit*', 'createToken build-server (operator)'],
    [job('tree'), '**/api/v1/jobs/*/children*', 'docs.example'],
    [job('tree'), '**/api/v1/jobs/*/blockers*', 'Show all'],
    [job('waiting'), '**/api/v1/jobs/*/blockers*', 'What it waits for'],
    [job('shape'), '**/api/v1/jobs/*/shape*', 'As a table'],
    [job('timeline'), '**/api/v1/jobs/*/timeline*', 'All 3 children, by id'],
    [job('history'), '**/api/v1/jobs/*/changes*', 'started by the schedule'],
    [job('log'), '**/api/v1/jobs/*/log*', 'fetched'],
    [job('details'), '**/api/v1/jobs/*/attachments', 'summary.txt'],
    [job('alerts'), '**/api/v1/jobs/*/checks', 'What is checked'],
    [`jobs/${ids.run}?view=task`, '**/api/v1/jobs/*/task', 'attempt 1 of 4'],
  ]
  // Without what is told the page has what it asks for, and no more.
  await page.routeWebSocket(/api\/v1\/live/, () => {})
  for (const [path, at, then] of parts) {
    let [release, ask] = [() => {}, () => {}]
    const held = new Promise<void>((resolve) => (release = resolve))
    const isAsked = new Promise<void>((resolve) => (ask = resolve))
    await page.route(at, async (route) => {
      ask()
      await held
      await route.continue().catch(() => {})
    })
    await page.goto(`${service.url}/${path}`)
    await expect(page.getByRole('heading', { level: 1 }), path).toBeVisible()
    // The code of a view shows that it loads as well, before the view asks for anything.
    await isAsked
    const place = page.locator(
      then === 'Show all' ? '.why' : path.includes('view=') ? VIEW : 'main',
    )
    await expect(place.locator('.skeleton, .ghost').first(), path).toBeVisible()
    await page.keyboard.press('?')
    await expect(page.getByRole('dialog'), path).toContainText('copy the link')
    await page.keyboard.press('Escape')
    await expect(page.getByRole('dialog')).toHaveCount(0)
    const before = await tops(page)
    release()
    await expect(page.getByText(then).first(), path).toBeVisible()
    const after = new Map(await tops(page))
    for (const [name, top] of before)
      expect([path, name, after.get(name)]).toEqual([path, name, top])
    await page.unroute(at)
  }
})

const ROUND_TRIP_MS = 100

test('rows are seen soon, also far from the service', async ({ page, seeded }) => {
  const { service, ids } = seeded
  await page.route('**/*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, ROUND_TRIP_MS))
    await route.continue().catch(() => {})
  })
  for (const [path, name] of [
    // The tests before may have made more trees than fit on the screen.
    ['?q=nightly%20crawl', 'nightly crawl'],
    [`jobs/${ids.crawl}`, 'docs.example'],
  ] as const) {
    await page.goto(`${service.url}/${path}`, { waitUntil: 'commit' })
    // Asked at each frame: an expectation asks at times of its own, up to half a second apart.
    const painted = await page.waitForFunction((name) => {
      const rows = [...document.querySelectorAll('[role=row]')]
      return rows.some((row) => row.textContent.includes(name)) && performance.now()
    }, name)
    const seen = Number(await painted.jsonValue())
    await expect(row(page, name)).toBeVisible()
    const description = `${Math.round(seen)} ms`
    test.info().annotations.push({ type: `rows of /${path} at 100 ms`, description })
    // The budget of a second holds on a quiet machine; else it compiles and tests meanwhile.
    expect(seen).toBeLessThan(process.env.JOBTRACKER_LONG ? 1_000 : 10_000)
  }
})

test('what the document has asked for is what the page asks for', async ({ page, seeded }) => {
  const { service, ids } = seeded
  for (const [path, first] of [
    ['', ['session', 'roots?limit=100&fields=row']],
    [`jobs/${ids.crawl}`, ['', '/ancestors', '/task'].map((part) => `jobs/${ids.crawl}${part}`)],
  ] as const) {
    const warnings: string[] = []
    page.on('console', (message) => warnings.push(message.text()))
    const asked: string[] = []
    page.on('request', (request) => asked.push(request.url().split('/api/v1/')[1] ?? ''))
    await page.goto(`${service.url}/${path}`)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await page.waitForLoadState('load')
    for (const one of first) expect(asked.filter((it) => it === one)).toEqual([one])
    const unused = warnings.filter((text) => text.includes('preload'))
    expect(unused).toEqual([])
    page.removeAllListeners('request')
  }
})
