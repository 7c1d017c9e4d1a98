import AxeBuilder from '@axe-core/playwright'
import { expect, test } from './fixtures'

const JOB_VIEWS = ['tree', 'waiting', 'shape', 'timeline', 'history', 'log', 'details', 'alerts']
const PAGES = [
  '',
  'schedules',
  'schedules/nightly-report',
  'queue',
  'workers',
  'deliveries',
  'uploads',
  'service',
  'retention',
  'tokens',
  'audit',
]

/** Every view by its address alone, and the name of its picture. */
function addresses(ids: { crawl: string; deploy: string; run: string }): [string, string][] {
  const { crawl, deploy, run } = ids
  return [
    ...PAGES.map((path): [string, string] => [path, path.replace('/', '-') || 'trees']),
    [`jobs/${run}?view=task`, 'job-task'],
    ...JOB_VIEWS.map((view): [string, string] => {
      const job = view === 'alerts' ? deploy : crawl
      return [`jobs/${job}?view=${view}`, `job-${view}`]
    }),
  ]
}

for (const scheme of ['light', 'dark'] as const) {
  test(`nothing stands in the way of anyone, ${scheme}`, async ({ page, seeded }) => {
    test.setTimeout(300_000)
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
    for (const [path, name] of addresses(seeded.ids)) {
      await page.goto(`${seeded.service.url}/${path}`)
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      await expect(page.locator('.skeleton')).toHaveCount(0)
      // To be looked at.
      await page.screenshot({ path: `../target/page/${name}-${scheme}.png` })
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(violations.map(({ id, nodes }) => `${path} ${id}: ${nodes[0]?.html}`)).toEqual([])
    }
  })
}

test('it fits on a telephone, in Chinese too', async ({ page, seeded }) => {
  test.setTimeout(300_000)
  await page.setViewportSize({ width: 360, height: 720 })
  for (const language of ['en', 'zh']) {
    for (const [path, name] of addresses(seeded.ids)) {
      await page.goto(`${seeded.service.url}/${path}`)
      await page.evaluate((to) => localStorage.setItem('jobtracker.language', to), language)
      await page.reload()
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      await expect(page.locator('.skeleton')).toHaveCount(0)
      const width = await page.evaluate(() => document.documentElement.scrollWidth)
      expect(width, path).toBeLessThanOrEqual(360)
      // To be looked at.
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        const file = `../target/page/telephone-${name}-${language}-${colorScheme}.png`
        await page.screenshot({ path: file })
      }
    }
  }
  await expect(page.getByRole('tab', { name: '告警' })).toHaveAttribute('aria-selected', 'true')
  const small = await page.evaluate(
    () =>
      [...document.querySelectorAll('button, .tabs button')]
        .filter((button) => (button as HTMLElement).offsetParent !== null)
        .map((button) => button.getBoundingClientRect())
        .filter((box) => box.height > 0 && box.height < 43.5).length,
  )
  expect(small).toBe(0)
})

test('every page can be reached in a window of any width', async ({ page, seeded }) => {
  await page.goto(`${seeded.service.url}/retention`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  for (const width of [1360, 1201, 1200, 961, 960]) {
    await page.setViewportSize({ width, height: 700 })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width)
    const isInBar = width > 1200
    if (width > 960) {
      const bar = page.locator('.top .navigation')
      await expect(bar.getByRole('link', { name: 'Service' })).toBeInViewport({ ratio: 1 })
    }
    if (!isInBar) await page.getByRole('button', { name: 'Settings' }).click()
    const last = page.getByRole('link', { name: 'Audit' })
    await expect(last).toBeInViewport({ ratio: 1 })
    if (!isInBar) await page.keyboard.press('Escape')
  }
})

test('the first load and each further view keep to their budgets', async ({ page, seeded }) => {
  const client = await page.context().newCDPSession(page)
  await client.send('Network.enable')
  let bytes = 0
  client.on('Network.loadingFinished', (event) => (bytes += event.encodedDataLength))
  await page.goto(seeded.service.url)
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  expect(bytes).toBeLessThanOrEqual(70 * 1024)
  for (const view of JOB_VIEWS) {
    await page.goto(`${seeded.service.url}/jobs/${seeded.ids.crawl}`)
    await expect(page.getByRole('row').nth(1)).toBeVisible()
    bytes = 0
    await page.locator(`#tab-${view}`).click()
    await expect(page.locator('.skeleton')).toHaveCount(0)
    expect(bytes, view).toBeLessThanOrEqual(60 * 1024)
  }
})

test('times are shown in the zone that is chosen', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'when' })
  const { createTime } = await service.api('GET', `jobs/${root}`)
  await page.goto(`${service.url}/jobs/${root}`)
  const time = page.locator('.facts time').first()
  const utc = createTime.slice(0, 19).replace('T', ' ')
  const berlin = new Date(createTime).toLocaleString('sv-SE', { timeZone: 'Europe/Berlin' })
  await expect(time).toHaveText(berlin)
  expect(berlin).not.toBe(utc)
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'UTC', exact: true }).click()
  await expect(time).toHaveText(utc)
  await expect(time).toHaveAttribute('title', /UTC\+0[12]:00[^]*UTC/)
})

test('Ctrl-K opens a job by its id', async ({ page, seeded }) => {
  await page.goto(seeded.service.url)
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: 'Go to a job or a page' }).fill(seeded.ids.deploy)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'deploy web 4.2.0' })).toBeVisible()
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog')).toContainText('next, previous failure')
  await page.keyboard.press('Escape')
  await page.keyboard.press('5')
  await expect(page.locator('#tab-history')).toHaveAttribute('aria-selected', 'true')
})
