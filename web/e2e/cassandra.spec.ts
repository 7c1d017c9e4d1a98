import { expect, row, test } from './fixtures'
import { Service } from './service'

// The node that `dev/test` has started for all tests.
const NODE = process.env.JOBTRACKER_TEST_CQL
test.skip(!NODE, 'there is no node')

test('the page on a cluster: two servers show the same tree, and one is enough', async ({
  page,
}) => {
  test.setTimeout(240_000)
  const settings = {
    JOBTRACKER__STORE__KIND: 'scylla',
    JOBTRACKER__STORE__SCYLLA__NODES: NODE ?? '',
    JOBTRACKER__STORE__SCYLLA__REPLICATION_FACTOR: '1',
    JOBTRACKER__STORE__SCYLLA__KEYSPACE: `page_${process.pid}_${Date.now() % 1_000_000}`,
  }
  const service = await Service.start('', settings)
  const other = await Service.start('', settings)
  const root = await service.create({ name: 'shared' })
  const first = await service.children(root, 250, (at) => `part-${at}`)
  await page.goto(other.url)
  await row(page, 'shared').getByRole('link').click()
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
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
  await service.kill()
  await page.getByRole('button', { name: 'Report a state' }).click()
  await page.getByRole('radio', { name: 'Warning' }).check()
  await page.getByRole('button', { name: 'Report it' }).click()
  await expect(page.locator('.state-chip')).toHaveText('Warning')
  await page.getByRole('button', { name: 'Delete the tree' }).click()
  await page.getByRole('dialog').getByRole('textbox').fill(root)
  await page.getByRole('button', { name: 'Delete 251 jobs' }).click()
  await page.goto(`${other.url}/jobs/${root}`)
  await expect(page.getByRole('heading', { name: `Job ${root} was deleted` })).toBeVisible()
  await other.stop()
  await service.stop()
})
