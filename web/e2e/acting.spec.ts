import http from 'node:http'
import net from 'node:net'
import { expect, test } from './fixtures'

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
  await page.getByRole('button', { name: 'Cancel 1 check' }).click()
  await expect(page.locator('.delivery-status')).toHaveText('Cancelled')
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
    await page.unroute(at)
    await alert.getByRole('button', { name: /Try again/ }).click()
    await expect(page.getByText(then, { exact: true }).first()).toBeVisible()
  }
})
