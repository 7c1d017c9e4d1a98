import http from 'node:http'
import net from 'node:net'
import { expect, row, test } from './fixtures'
import { Service } from './service'

/** A receiver that answers with a status that can be changed. */
async function receiver() {
  const state = { status: 500, received: 0 }
  const server = http.createServer((request, response) => {
    state.received += 1
    request.resume()
    request.on('end', () => response.writeHead(state.status).end('as you wish'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  return { state, url: `http://127.0.0.1:${port}/hook`, close: () => server.close() }
}

test('a state is reported, by name and number', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'above' })
  const child = await service.children(root, 1, () => 'by hand')
  await page.goto(`${service.url}/jobs/${child}`)
  await page.getByRole('button', { name: 'Report a state' }).click()
  await expect(page.getByRole('dialog')).toContainText('1 job, “by hand”')
  await page.getByRole('radio', { name: 'Failed' }).check()
  await page.getByLabel('Message').fill('seen by a person')
  await page.getByRole('button', { name: 'Report it' }).click()
  await expect(page.locator('.state-chip')).toHaveText('Failed')
  await expect(page.locator('.why')).toContainText('seen by a person')
  const changes = await service.api('GET', `jobs/${child}/changes`)
  expect(changes.items.at(-1)).toMatchObject({ state: 'Faulted', message: 'seen by a person' })
})

test('a report is refused where the job moved on behind the dialog', async ({ page, seeded }) => {
  const { service } = seeded
  const job = await service.create({ name: 'moving on' })
  await page.goto(`${service.url}/jobs/${job}`)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  await page.getByRole('button', { name: 'Report a state' }).click()
  const dialog = page.getByRole('dialog')
  // A selection of text that ends beside the dialog leaves it open.
  await page.getByLabel('Message').fill('seen too late')
  await page.getByLabel('Message').hover()
  await page.mouse.down()
  await page.mouse.move(5, 400)
  await page.mouse.up()
  await service.report(job, 'Running')
  await expect(page.locator('.state-chip')).toHaveText('Running')
  await page.getByRole('button', { name: 'Report it' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await expect(page.locator('.state-chip')).toHaveText('Running')
  await page.mouse.click(5, 400)
  await expect(dialog).toHaveCount(0)
})

test('an action is added and tried out', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'to be told' })
  const hook = await receiver()
  await page.goto(`${service.url}/jobs/${root}?view=alerts`)
  await page.getByRole('button', { name: 'Add an action' }).click()
  await expect(page.getByRole('dialog')).toContainText('Adds 1 action to 1 job')
  await page.getByLabel('Receiver').fill(hook.url)
  await page.getByRole('button', { name: 'Add it' }).click()
  await expect(page.getByText(hook.url)).toBeVisible()
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByRole('button', { name: 'Send 1 test' }).click()
  await expect(page.getByText('Not received 500')).toBeVisible()
  hook.state.status = 204
  await page.getByRole('button', { name: 'Test' }).click()
  await page.getByRole('button', { name: 'Send 1 test' }).click()
  await expect(page.getByText('Received 204')).toBeVisible()
  expect(hook.state.received).toBe(2)
  await page.getByRole('button', { name: 'Add a check' }).click()
  await page.getByLabel(/^When/).fill('2099-01-01 08:00')
  await page.getByLabel('Receiver').fill(`${hook.url}/late`)
  await page.getByRole('button', { name: 'Add it' }).click()
  await expect(page.getByText(`${hook.url}/late`)).toBeVisible()
  await page.getByRole('button', { name: 'Cancel', exact: true }).click()
  await expect(page.getByRole('dialog')).toContainText('It can be undone')
  await page.getByRole('button', { name: 'Cancel 1 check' }).click()
  await expect(page.locator('.delivery-status')).toHaveText('Cancelled')
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(page.locator('.delivery-status')).toHaveText(['Cancelled', 'Waiting'])
  hook.close()
})

test('a part that fails says so alone, and can be tried again', async ({ page, seeded }) => {
  const { service, ids } = seeded
  const problem = {
    status: 503,
    contentType: 'application/problem+json',
    body: JSON.stringify({
      status: 503,
      code: 'overloaded',
      title: 'Too much work',
      detail: 'Later.',
      requestId: 'r-42',
      type: 'about:blank',
    }),
  }
  const parts: [string, string, string][] = [
    ['waiting', '**/api/v1/jobs/*/blockers*', 'What it waits for'],
    ['history', '**/api/v1/jobs/*/changes*', 'What the job itself reported'],
    ['details', '**/api/v1/jobs/*/attachments', 'summary.txt'],
    ['alerts', '**/api/v1/jobs/*/checks', 'Who is told'],
    ['shape', '**/api/v1/jobs/*/shape*', 'As a table'],
    ['timeline', '**/api/v1/jobs/*/timeline*', 'All 3 children, by id'],
    ['tree', '**/api/v1/jobs/*/children*', 'docs.example'],
  ]
  for (const [view, at, then] of parts) {
    await page.route(at, (route) => route.fulfill(problem))
    await page.goto(`${service.url}/jobs/${ids.crawl}?view=${view}`)
    await expect(page.getByRole('heading', { name: 'nightly crawl' })).toBeVisible()
    const alert = page.getByRole('alert').first()
    await expect(alert).toContainText('Too much work')
    await expect(alert).toContainText('r-42')
    const again = alert.getByRole('button', { name: /Try again/ })
    await expect(again).toBeVisible()
    await page.unroute(at)
    // A change of the job may have it read again first.
    await again.click({ timeout: 5_000 }).catch(() => {})
    await expect(page.getByText(then, { exact: true }).first()).toBeVisible()
  }
})

test('a page that fails says so, and is there when it is tried again', async ({ page, seeded }) => {
  const { service } = seeded
  const pages: [string, string, string][] = [
    ['', '**/api/v1/roots*', 'nightly crawl'],
    ['schedules', '**/api/v1/schedules?*', 'nightly-report'],
    ['schedules/nightly-report', '**/api/v1/schedules/nightly-report', 'Version 1'],
    ['schedules/nightly-report', '**/api/v1/schedules/*/firings', 'by hand'],
    ['schedules/nightly-report', '**/api/v1/schedules/*/next-fires*', '02:30:00'],
    ['workers', '**/api/v1/workers', 'press-1'],
    ['deliveries', '**/api/v1/deliveries/failed*', 'No delivery has failed'],
    ['retention', '**/api/v1/retention/rules', 'keeps 30 days'],
    ['tokens', '**/api/v1/tokens*', 'build-server'],
    ['audit', '**/api/v1/audit*', 'createToken build-server (operator)'],
    ['service', '**/api/v1/overview', 'Operations a minute'],
  ]
  // Without what is told the page has what it asks for, and no more.
  await page.routeWebSocket(/api\/v1\/live/, () => {})
  for (const [path, at, then] of pages) {
    await page.route(at, (route) => route.fulfill({ status: 500, body: 'out of order' }))
    await page.goto(`${service.url}/${path}`)
    const alert = page.getByRole('alert').first()
    await expect(alert).toContainText('HTTP 500')
    await page.unroute(at)
    await alert.getByRole('button', { name: 'Try again' }).click()
    await expect(page.getByText(then).first()).toBeVisible()
  }
})

test('a failed delivery is seen among all, and sent again', async ({ page }) => {
  // One more try, at once; then it has failed.
  const service = await Service.start('', { JOBTRACKER__CALLBACKS__SCHEDULE_SECONDS: '0' })
  const hook = await receiver()
  const action = { states: ['Faulted'], http: { url: hook.url } }
  const root = await service.create({ name: 'nobody listens', actions: [action] })
  await service.report(root, 'Faulted', 'out of paper')
  await page.goto(`${service.url}/jobs/${root}?view=alerts`)
  await expect(page.locator('.delivery-status')).toHaveText('Failed')
  await page.getByRole('link', { name: 'Deliveries' }).click()
  await expect(page.locator('.delivery')).toContainText('out of paper')
  await page.getByText('Last answer 500').click()
  await expect(page.locator('.delivery pre')).toContainText('as you wish')
  hook.state.status = 204
  await page.getByRole('button', { name: 'Replay all' }).click()
  await page.getByRole('button', { name: 'Replay 1 delivery' }).click()
  await expect(page.getByText('No delivery has failed')).toBeVisible()
  await page.goto(`${service.url}/jobs/${root}?view=alerts`)
  await expect(page.locator('.delivery-status')).toHaveText('Delivered')
  expect(hook.state.received).toBe(3)
  hook.close()
  await service.stop()
})

test('a delivery is cancelled, and that is undone', async ({ page, seeded }) => {
  const { service } = seeded
  const hook = await receiver()
  const action = { states: ['Faulted'], http: { url: hook.url } }
  const root = await service.create({ name: 'told in vain', actions: [action] })
  await service.report(root, 'Faulted', 'out of ink')
  await page.goto(`${service.url}/jobs/${root}?view=alerts`)
  const status = page.locator('.delivery-status')
  await expect(status).toHaveText('Waiting')
  await page.getByRole('button', { name: 'Cancel', exact: true }).click()
  await page.getByRole('button', { name: 'Cancel 1 delivery' }).click()
  await expect(status).toHaveText('Cancelled')
  hook.state.status = 204
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(status).toHaveText('Delivered')
  hook.close()
})

test('a tree is deleted by its number, and its address says so', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'to be deleted' })
  await service.children(root, 3)
  await page.goto(`${service.url}/jobs/${root}`)
  await page.getByRole('button', { name: 'Delete the tree' }).click()
  const go = page.getByRole('button', { name: 'Delete 4 jobs' })
  await expect(go).toBeDisabled()
  await expect(page.getByRole('dialog')).toContainText('This cannot be undone')
  await page.getByRole('dialog').getByRole('textbox').fill(root)
  await go.click()
  await expect(page.getByRole('heading', { name: 'Trees' })).toBeVisible()
  await expect(row(page, 'to be deleted')).toHaveCount(0)
  await page.goto(`${service.url}/jobs/${root}`)
  await expect(page.getByRole('heading', { name: `Job ${root} was deleted` })).toBeVisible()
})

test('an upload that is not there is named', async ({ page, seeded }) => {
  await page.goto(`${seeded.service.url}/uploads`)
  await page.getByLabel('Id of the upload').fill('00000000000000000000000000000001')
  await page.getByRole('button', { name: 'Show' }).click()
  await expect(page.getByRole('alert').first()).toBeVisible()
})

test('slow answers hold nothing up, and late ones are not shown', async ({ page, seeded }) => {
  const { service, ids } = seeded
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  await page.route('**/api/v1/jobs/*/children*', async (route) => {
    await held
    await route.continue()
  })
  await page.goto(`${service.url}/jobs/${ids.crawl}`)
  // The numbers are there before the rows, and so is the length of the list.
  await expect(page.locator('.legend')).toContainText('149 done')
  await expect(page.locator('.rows .ghost')).toHaveCount(3)
  release()
  await expect(row(page, 'docs.example')).toBeVisible()

  await page.goto(service.url)
  await expect(row(page, 'nightly crawl')).toBeVisible()
  let finish = () => {}
  const late = new Promise<void>((resolve) => (finish = resolve))
  await page.route(/namePrefix=night/, async (route) => {
    await late
    await route.continue().catch(() => {})
  })
  await page.getByLabel('Filter trees').fill('night')
  await expect(page.locator('.dimmed')).toBeVisible()
  await expect(row(page, 'nightly crawl')).toBeVisible()
  await page.getByLabel('Filter trees').fill('deploy')
  await expect(row(page, 'nightly crawl')).toHaveCount(0)
  finish()
  await expect(row(page, 'deploy web 4.2.0')).toBeVisible()
  await expect(page.locator('.dimmed')).toHaveCount(0)
  await expect(page.locator('.rows .row')).toHaveCount(1)
})

test('a page of the list before is not added to the present one', async ({ page, seeded }) => {
  const { service } = seeded
  for (const at of [1, 2, 3]) await service.create({ name: `before ${at}` })
  const after = await service.create({ name: 'afterwards' })
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  await page.route(/roots.*limit=100/, async (route) => {
    const url = route.request().url().replace('limit=100', 'limit=2')
    if (!url.includes('cursor=')) return route.continue({ url })
    const response = await route.fetch({ url })
    await held
    await route.fulfill({ response }).catch(() => {})
  })
  const asked = page.waitForRequest(/roots.*cursor=/)
  await page.goto(`${service.url}/?q=before`)
  await expect(page.locator('.rows .row')).toHaveCount(2)
  await asked
  await page.getByLabel('Filter trees').fill('afterwards')
  await expect(row(page, 'afterwards')).toBeVisible()
  release()
  await service.report(after, 'Warning', 'slow')
  await expect(row(page, 'afterwards')).toContainText('Warning')
  await expect(page.locator('.rows .row')).toHaveCount(1)
})
