import { expect, test } from './fixtures'
import { Service } from './service'

test('the queue is seen as it grows and as workers take from it', async ({ page }) => {
  const service = await Service.start()
  await page.goto(`${service.url}/queue`)
  await expect(page.getByRole('heading', { name: 'No task waits for a worker' })).toBeVisible()
  const create = (name: string, handler: string) =>
    service.create({ name, task: { handler, retry: { max: 1, initialMs: 600_000 } } })
  const print = await create('print', 'press/print')
  const fold = await create('fold', 'press/fold')
  // What comes is told.
  const line = (name: string) =>
    page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) })
  await expect(line('print')).toContainText('Waiting')
  await expect(line('fold')).toContainText('Waiting')
  await expect(page.locator('.page-head')).toContainText('Oldest waits')
  const handlers = [{ name: 'press/print' }]
  const { id } = await service.api('POST', 'workers', { name: 'press', slots: 2, handlers })
  await service.api('POST', `workers/${id}/claim`, { free: 1, waitMs: 10_000 })
  await expect(line('print')).toContainText('Running')
  await expect(line('print').getByRole('link', { name: id })).toBeVisible()
  const states = page.getByRole('group', { name: 'State' })
  await expect(states).toContainText('Running 1')
  await expect(states).toContainText('Waiting 1')
  await states.getByRole('button', { name: 'Waiting' }).click()
  await expect(line('print')).toHaveCount(0)
  await expect(page).toHaveURL(/states=ready/)
  await states.getByRole('button', { name: 'All' }).click()
  await page.getByRole('link', { name: 'press/print' }).click()
  await expect(line('fold')).toHaveCount(0)
  await expect(line('print')).toBeVisible()
  await page.getByTitle('Clear the filter').click()
  await expect(line('fold')).toBeVisible()
  // The next attempt follows a pause.
  const report = { worker: id, epoch: 1, state: 'failed', message: 'no paper' }
  await service.api('POST', `jobs/${print}/task/report`, report)
  await expect(line('print')).toContainText('Later')
  await line('fold').getByRole('link', { name: 'fold' }).click()
  await expect(page.getByRole('heading', { name: 'fold', level: 1 })).toBeVisible()
  await page.getByRole('button', { name: 'Cancel the job' }).click()
  await page.getByRole('button', { name: 'Cancel 1 job' }).click()
  await expect(page.locator('.state-chip')).toHaveText('Failed')
  await page.getByRole('link', { name: 'Queue' }).click()
  await expect(line('print')).toBeVisible()
  await expect(line('fold')).toHaveCount(0)
  const { items } = await service.api('GET', 'queue')
  expect(items.map(({ job }: { job: number }) => String(job))).toEqual([print])
  expect(fold).not.toBe(print)
  await service.stop()
})

test('a tree is cancelled with all that is open below it', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'to be cancelled' })
  await service.children(root, 30)
  const first = (await service.api('GET', `jobs/${root}/children?limit=1`)).items[0].id
  await service.report(first, 'RanToCompletion')
  await page.goto(`${service.url}/jobs/${root}`)
  await page.getByRole('button', { name: 'Cancel the tree' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('30 jobs that have not finished')
  await page.getByRole('button', { name: 'Cancel 30 jobs' }).click()
  await expect(page.locator('.state-chip')).toHaveText('Failed')
  await expect(page.getByText('30 jobs ended')).toBeVisible()
  const { subtree } = await service.api('GET', `jobs/${root}`)
  expect([subtree.successful, subtree.failed]).toEqual([1, 29])
  await expect(page.getByRole('button', { name: 'Cancel the tree' })).toHaveCount(0)
})
