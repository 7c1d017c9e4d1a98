import type { Page, WebSocketRoute } from '@playwright/test'
import { expect, row, test } from './fixtures'
import { proxied } from './proxy'
import { Service } from './service'

type Told = (frame: string, page: WebSocketRoute) => void

/** Stands between the page and the service, and may tell the page something else. */
async function between(page: Page, tell: Told) {
  const connections: WebSocketRoute[] = []
  await page.routeWebSocket(/api\/v1\/live/, (socket) => {
    connections.push(socket)
    socket.connectToServer().onMessage((frame) => tell(String(frame), socket))
  })
  return connections
}

const pass: Told = (frame, socket) => socket.send(frame)

test('a frame that cannot be read is made good by another connection', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'garbled' })
  const connections = await between(page, pass)
  await page.goto(`${service.url}/jobs/${root}`)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  connections[0]?.send('{"t":"snap","sub":')
  await expect.poll(() => connections.length).toBe(2)
  connections[1]?.send('{"t":"snap","sub":1}')
  await expect.poll(() => connections.length).toBe(3)
  await service.report(root, 'Warning', 'after all')
  await expect(page.locator('.state-chip')).toHaveText('Warning')
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
})

test('lines that were not told are read, and so is what was done meanwhile', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const root = await service.create({ name: 'with a gap' })
  await service.report(root, 'Running')
  // The service tells a gap in place of each event, as one that was restarted does.
  await between(page, (frame, socket) => {
    const { t, sub, at } = JSON.parse(frame)
    const gap = { t: 'gap', sub, from: '0', to: at, why: 'gone' }
    socket.send(t === 'event' ? JSON.stringify(gap) : frame)
  })
  await page.goto(`${service.url}/jobs/${root}?view=log`)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  await expect(page.getByText('No line yet')).toBeVisible()
  await service.api('POST', `jobs/${root}/log`, 'one\ntwo', 'text/plain')
  await expect(page.locator('[data-line="2"]')).toContainText('two')
  await service.api('POST', `jobs/${root}/log`, 'three', 'text/plain')
  await expect(page.locator('[data-line="3"]')).toContainText('three')
  await page.getByRole('tab', { name: 'Alerts' }).click()
  await expect(page.getByText('Nothing was told yet')).toBeVisible()
  const action = { states: ['Warning'], http: { url: 'http://127.0.0.1:9/' } }
  await service.api('POST', `jobs/${root}/actions`, action)
  await service.report(root, 'Warning', 'slow')
  await expect(page.locator('.delivery-status')).toHaveText('Waiting')
})

test('the page tells of a tree that is deleted while it is shown', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'soon gone' })
  await page.goto(`${service.url}/jobs/${root}`)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  await service.api('DELETE', `jobs/${root}`)
  await expect(page.getByRole('heading', { name: `Job ${root} was deleted` })).toBeVisible()
})

test('a session that ends is asked for again, and the view goes on where it was', async ({
  page,
}) => {
  const admin = 'a-token-for-the-browser-tests'
  const service = await Service.start(admin)
  const root = await service.create({ name: 'for a while' })
  const first = await service.children(root, 3)
  const expireTime = new Date(Date.now() + 8_000).toISOString()
  const { secret } = await service.api('POST', 'tokens', {
    name: 'short',
    role: 'reader',
    expireTime,
  })
  const login = async (token: string) => {
    await page.getByLabel('Token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
  }
  const address = `${service.url}/jobs/${root}?order=newest&at=${first + 1}`
  await page.goto(address)
  await login(secret)
  await expect(page.locator('.row.focused')).toContainText('page-1')
  // Nothing is pressed: the service ends the connection.
  await expect(page.getByRole('dialog')).toBeVisible()
  await login(admin)
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await service.report(first + 1, 'Warning', 'seen')
  await expect(page.locator('.row.focused')).toContainText('Warning')
  expect(page.url()).toBe(address)
  await service.stop()
})

test('a pause during a poll stays a pause, and a tree that is gone ends no polling', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const root = await service.create({ name: 'asked for' })
  const proxy = await proxied(service.url, '/jobs', false)
  await page.goto(`${proxy.url}/jobs/${root}`)
  await expect(page.getByRole('button', { name: /^Polling/ })).toBeVisible()
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  await page.route('**/api/v1/session', async (route) => {
    await held
    await route.continue()
  })
  await page.waitForRequest('**/api/v1/session')
  await page.keyboard.press('.')
  const answered = page.waitForResponse('**/api/v1/session')
  release()
  await answered
  await page.evaluate(() => new Promise(requestAnimationFrame))
  await expect(page.getByRole('button', { name: /^Paused/ })).toBeVisible()
  await page.keyboard.press('.')
  await service.api('DELETE', `jobs/${root}`)
  await expect(page.getByRole('heading', { name: `Job ${root} was deleted` })).toBeVisible()
  await expect(page.getByRole('button', { name: /^Polling/ })).toBeVisible()
  await proxy.close()
})

test('the newest first stay where they are while others come', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'growing' })
  await service.children(root, 250, (at) => `old-${at}`)
  await page.goto(`${service.url}/jobs/${root}?order=newest`)
  await expect(row(page, 'old-249')).toBeVisible()
  await service.children(root, 30, (at) => `new-${at}`)
  const more = page.getByRole('button', { name: '30 more now' })
  await expect(more).toBeVisible()
  const grid = page.getByRole('treegrid')
  await grid.focus()
  await page.keyboard.press('End')
  await expect(row(page, 'old-0')).toBeVisible()
  await expect(page.locator('.rows .ghost')).toHaveCount(0)
  const rows = await page
    .locator('.rows .row')
    .evaluateAll((all) =>
      all.map((one) => [
        one.getAttribute('aria-posinset'),
        one.querySelector('.name')?.textContent,
      ]),
    )
  for (const [place, name] of rows) expect(name).toBe(`old-${250 - Number(place)}`)
  await more.click()
  await expect(row(page, 'new-29')).toBeVisible()
  await expect(more).toHaveCount(0)
})

test('a list by state goes on behind a short page', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'short pages' })
  const first = await service.children(root, 9, (at) => `part-${at}`)
  for (const at of [1, 3, 4, 6, 8]) await service.report(first + at, 'Faulted', 'broken')
  // The service ends a page where it has looked at many.
  await page.route(/children.*states=/, (route) =>
    route.continue({ url: route.request().url().replace('limit=500', 'limit=2') }),
  )
  await page.goto(`${service.url}/jobs/${root}?only=failed`)
  await expect(row(page, 'part-8')).toBeVisible()
  await expect(page.locator('.rows .name')).toHaveText([1, 3, 4, 6, 8].map((at) => `part-${at}`))
})

test('a list of which little is true asks before it looks further back', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  for (let at = 0; at < 12; at++) await service.create({ name: `rare ${at}` })
  let asked = 0
  let isBroken = false
  await page.route(/roots.*limit=100/, (route) => {
    asked += 1
    if (isBroken) return route.fulfill({ status: 500, body: 'out of order' })
    return route.continue({ url: route.request().url().replace('limit=100', 'limit=1') })
  })
  await page.goto(`${service.url}/?q=rare`)
  const further = page.getByRole('button', { name: 'Look further back' })
  await expect(further).toBeVisible()
  await expect(page.locator('.further')).toContainText('5 trees found so far')
  expect(asked).toBe(5)
  // A next page that cannot be read says so, below those that were.
  isBroken = true
  await further.click()
  await expect(page.getByRole('alert')).toContainText('HTTP 500')
  await expect(page.locator('.rows .row')).toHaveCount(5)
  isBroken = false
  await page.getByRole('button', { name: 'Try again' }).click()
  await expect(page.locator('.rows .row')).toHaveCount(6)
  await expect(further).toBeVisible()
})

test('a part of another build loads the page anew, once', async ({ page, seeded }) => {
  const { service, ids } = seeded
  let loads = 0
  page.on('domcontentloaded', () => (loads += 1))
  await page.route('**/page/alerts.js', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: 'import { gone } from "./app.js"' }),
  )
  await page.goto(`${service.url}/jobs/${ids.crawl}`)
  await page.getByRole('tab', { name: 'Alerts' }).click()
  await expect(page.getByRole('alert')).toContainText('That did not work')
  expect(loads).toBe(2)
  await page.unroute('**/page/alerts.js')
  await page.reload()
  await expect(page.getByText('Nothing was told yet')).toBeVisible()
})
