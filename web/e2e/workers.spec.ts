import { spawn } from 'node:child_process'
import { expect, test } from './fixtures'
import { BINARY, Service } from './service'

test('a worker is seen with its load, drained, and kept out', async ({ page }) => {
  const service = await Service.start()
  await page.goto(`${service.url}/workers`)
  await expect(page.getByRole('heading', { name: 'No worker' })).toBeVisible()
  // The line that is shown makes the first one.
  const shown = await page.locator('.code-lines pre').first().innerText()
  const first = spawn(BINARY, shown.split(' ').slice(1), { stdio: 'ignore' })
  await expect(page.getByRole('row', { name: /^worker/ })).toContainText('Online')
  first.kill('SIGKILL')
  const handlers = [{ name: 'demo/hello' }]
  const { id } = await service.api('POST', 'workers', { name: 'first', slots: 4, handlers })
  const line = page.getByRole('row', { name: id })
  await expect(line).toContainText('Online')
  await expect(line).toContainText('0 of 4')
  await expect(page.getByRole('row', { name: /^demo\/hello/ })).toContainText('1')
  const job = await service.create({ name: 'to be done', task: { handler: 'demo/hello' } })
  await service.api('POST', `workers/${id}/claim`, { free: 1, waitMs: 10_000 })
  const load = { cpu: 0.25, freeMemory: 3_000_000_000 }
  const lease = { job: Number(job), epoch: 1 }
  await service.api('POST', `workers/${id}/heartbeat`, { tasks: [lease], load, waitMs: 0 })
  await expect(line).toContainText('1 of 4')
  await expect(line).toContainText('25 %')
  await page.getByLabel('Filter workers').fill('nothing like it')
  await expect(page.getByRole('heading', { name: 'No worker matches the filter' })).toBeVisible()
  await page.getByLabel('Filter workers').fill('hello')
  await line.getByRole('button', { name: 'Drain' }).click()
  await expect(page.getByRole('dialog')).toContainText('finishes 1 task')
  await page.getByRole('button', { name: 'Drain 1 worker' }).click()
  await expect(line).toContainText('Draining')
  await line.getByRole('button', { name: 'Keep out' }).click()
  await page.getByLabel(/^Minutes/).fill('2')
  await page.getByRole('button', { name: 'Take away 1 task' }).click()
  await expect(line).toContainText('kept out until')
  expect((await service.api('GET', `workers/${id}`)).state).toBe('kicked')
  await service.stop()
})

test('a task is seen while a worker has it, paused, resumed and cancelled', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const handler = `press/print-${test.info().workerIndex}-${test.info().retry}`
  const worker = { name: 'press', handlers: [{ name: handler }], slots: 2 }
  const { id } = await service.api('POST', 'workers', worker)
  const task = { handler, params: { copies: 0 }, retry: { max: 2 }, held: true }
  const body = JSON.stringify({ name: 'print', task })
  const { id: job } = await service.api('POST', 'jobs', body.replace(':0}', ':9007199254740993}'))
  await page.goto(`${service.url}/jobs/${job}?view=task`)
  const panel = page.getByRole('tabpanel')
  await expect(page.locator('#tab-task')).toHaveAttribute('aria-selected', 'true')
  await expect(panel).toContainText('Paused')
  await expect(panel).toContainText('"copies": 9007199254740993')
  await page.getByRole('button', { name: 'Resume' }).click()
  await expect(panel).toContainText('Claimable from')
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(panel.getByRole('button', { name: 'Resume' })).toBeVisible()
  await page.getByRole('button', { name: 'Resume' }).click()
  await expect(panel.getByRole('button', { name: 'Pause' })).toBeEnabled()
  await service.api('POST', `workers/${id}/claim`, { free: 1, waitMs: 10_000 })
  await expect(panel).toContainText('attempt 1 of 3')
  await expect(panel.getByRole('link', { name: id })).toBeVisible()
  await expect(panel.getByRole('button', { name: 'Pause' })).toBeDisabled()
  const lease = { worker: id, epoch: 1 }
  await service.api('POST', `jobs/${job}/task/report`, {
    ...lease,
    state: 'progress',
    progress: 40,
  })
  await expect(panel).toContainText('40 %')
  const lines = ['\u001b[32mpage 1\u001b[0m', 'page 2']
  await service.api('POST', `jobs/${job}/task/log`, { ...lease, lines })
  await expect(panel.locator('.tail .line')).toHaveText([/page 1$/, /page 2$/])
  await page.getByRole('button', { name: 'Cancel the task' }).click()
  await expect(page.getByRole('dialog')).toContainText(`Worker ${id} is asked to stop`)
  await page.getByRole('button', { name: 'Cancel 1 task' }).click()
  await expect(panel).toContainText('Its worker was asked to stop')
  await service.api('POST', `jobs/${job}/task/report`, { ...lease, state: 'failed' })
  await expect(page.locator('.state-chip')).toHaveText('Failed')
  await expect(panel).toContainText('Ended')
})
