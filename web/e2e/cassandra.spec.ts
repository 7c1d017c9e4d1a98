import { expect, row, test as base } from './fixtures'
import { Service } from './service'

// The node that `dev/test` has started for all tests.
const NODE = process.env.JOBTRACKER_TEST_CQL
base.skip(!NODE, 'there is no node')

/** Two servers on one store: things are done on one, and seen on the other. */
const test = base.extend<object, { servers: [Service, Service] }>({
  servers: [
    async ({}, use) => {
      const settings = {
        JOBTRACKER__STORE__KIND: 'scylla',
        JOBTRACKER__STORE__SCYLLA__NODES: NODE ?? '',
        JOBTRACKER__STORE__SCYLLA__REPLICATION_FACTOR: '1',
        JOBTRACKER__STORE__SCYLLA__KEYSPACE: `page_${process.pid}_${Date.now() % 1_000_000}`,
      }
      const first = await Service.start('', settings)
      const other = await Service.start('', settings)
      await use([first, other])
      await other.stop()
      await first.stop()
    },
    { scope: 'worker', timeout: 120_000 },
  ],
})

// One after another: they share a pair of servers, and the last one ends one of them.
test.describe.configure({ mode: 'default', timeout: 240_000 })

test('on a cluster a list changes in place, is filtered, and tells of what has left it', async ({
  page,
  servers: [service, other],
}) => {
  const root = await service.create({ name: 'listed', tags: ['shared'] })
  const second = await service.create({ name: 'listed too', tags: ['shared'] })
  await page.goto(`${other.url}/?q=tag:shared`)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  await expect(page.locator('.rows .row')).toHaveCount(2)
  await service.children(root, 3)
  await service.report(root, 'Running')
  await expect(row(page, 'listed')).toContainText('0 / 3')
  await service.create({ name: 'listed last', tags: ['shared'] })
  await page.getByRole('button', { name: '1 new' }).click()
  await expect(page.locator('.rows .row')).toHaveCount(3)
  await service.api('DELETE', `jobs/${second}`)
  await expect(row(page, 'listed too')).toHaveClass(/gone/)
})

test('on a cluster a tree is opened, scrolled and filtered, and changes live', async ({
  page,
  servers: [service, other],
}) => {
  const root = await service.create({ name: 'shared' })
  const first = await service.children(root, 250, (at) => `part-${at}`)
  await page.goto(`${other.url}/jobs/${root}`)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  await expect(row(page, 'part-0')).toBeVisible()
  await page.getByRole('treegrid').focus()
  await page.keyboard.press('End')
  await expect(row(page, 'part-249')).toBeVisible()
  // The server that is asked tells what another one has done.
  await service.report(first + 249, 'Faulted', 'out of paper')
  await expect(row(page, 'part-249')).toContainText('Failed')
  await page.getByRole('button', { name: 'Failed 1' }).click()
  await expect(page.locator('.rows .row')).toHaveCount(1)
  await service.api('POST', `jobs/${root}/log`, 'said elsewhere', 'text/plain')
  await page.getByRole('tab', { name: 'Log' }).click()
  await expect(page.locator('[data-line="1"]')).toContainText('said elsewhere')
})

test('on a cluster a schedule is run by hand, and its task is done by a worker', async ({
  page,
  servers: [service, other],
}) => {
  const definition = { run: { task: { handler: 'shared/print' } } }
  await service.api('POST', 'schedules', { name: 'shared', definition })
  const worker = { name: 'press', handlers: [{ name: 'shared/print' }], slots: 1 }
  const { id } = await service.api('POST', 'workers', worker)
  await page.goto(`${other.url}/schedules/shared`)
  await page.getByRole('button', { name: 'Run now' }).click()
  await page.getByRole('button', { name: 'Start 1 run' }).click()
  await page.locator('.runs a').click()
  await page.getByRole('tab', { name: 'Task' }).click()
  const claimed = await service.api('POST', `workers/${id}/claim`, { free: 1, waitMs: 30_000 })
  const { job, epoch } = claimed.tasks[0]
  await expect(page.getByRole('tabpanel')).toContainText('attempt 1')
  const report = { worker: id, epoch, state: 'succeeded' }
  await service.api('POST', `jobs/${job}/task/report`, report)
  await expect(page.locator('.state-chip')).toHaveText('Done')
})

test('on a cluster one server is enough to act', async ({ page, servers: [service, other] }) => {
  const root = await service.create({ name: 'left alone' })
  await page.goto(`${other.url}/jobs/${root}`)
  await expect(page.getByRole('heading', { name: 'left alone' })).toBeVisible()
  await service.kill()
  await page.getByRole('button', { name: 'Report a state' }).click()
  await page.getByRole('radio', { name: 'Warning' }).check()
  await page.getByRole('button', { name: 'Report it' }).click()
  await expect(page.locator('.state-chip')).toHaveText('Warning')
  await page.getByRole('button', { name: 'Delete the tree' }).click()
  await page.getByRole('dialog').getByRole('textbox').fill(root)
  await page.getByRole('button', { name: 'Delete 1 job' }).click()
  await page.goto(`${other.url}/jobs/${root}`)
  await expect(page.getByRole('heading', { name: `Job ${root} was deleted` })).toBeVisible()
})
