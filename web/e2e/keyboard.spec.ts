import type { Locator, Page } from '@playwright/test'
import { expect, row, test } from './fixtures'

/** Goes on by the tabulator until something has the focus. */
async function tabTo(page: Page, wanted: Locator) {
  for (let step = 0; step < 60; step++) {
    if (await wanted.evaluate((element) => element === document.activeElement)) return
    await page.keyboard.press('Tab')
  }
  await expect(wanted).toBeFocused()
}

test('an operator finds a failure, reports, adds a check and undoes it without a mouse', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const name = `by keys ${test.info().workerIndex} ${test.info().retry}`
  const root = await service.create({ name })
  const first = await service.children(root, 40, (at) => `part-${at}`)
  await service.report(first + 30, 'Faulted', 'out of paper')
  const keys = async (...all: string[]) => {
    for (const key of all) await page.keyboard.press(key)
  }
  const dialog = page.getByRole('dialog')

  await page.goto(service.url)
  await expect(page.getByRole('row').nth(1)).toBeVisible()
  // 1: the filter finds the tree. 2: its row is opened.
  await keys('/')
  await page.keyboard.type(name)
  await expect(page.locator('.rows .row')).toHaveCount(1)
  await tabTo(page, page.getByRole('treegrid'))
  await keys('ArrowDown', 'Enter')
  await expect(page.getByRole('heading', { name })).toBeVisible()
  await expect(row(page, 'part-0')).toBeVisible()
  // 3: to the failure. 4: into it. 5: what it said.
  await keys('f')
  await expect(page.locator('.row.focused')).toContainText('part-30')
  await keys('Enter')
  await expect(page.getByRole('heading', { name: 'part-30' })).toBeVisible()
  await keys('5')
  await expect(page.getByRole('tabpanel')).toContainText('out of paper')
  // 6: back to the tree by its crumb, and what it waits for.
  await tabTo(page, page.getByRole('link', { name, exact: true }))
  await keys('Enter')
  await expect(page.getByRole('heading', { name })).toBeVisible()
  await keys('w')
  await expect(page.locator('#tab-waiting')).toHaveAttribute('aria-selected', 'true')
  // 7: a state is reported.
  await tabTo(page, page.getByRole('button', { name: 'Report a state' }))
  await keys('Enter')
  await tabTo(page, dialog.locator('input:checked'))
  await keys('ArrowUp', 'Tab')
  await page.keyboard.type('seen')
  await tabTo(page, dialog.locator('[type=submit]'))
  await keys('Enter')
  await expect(dialog).toHaveCount(0)
  await expect(page.locator('.state-chip')).toHaveText('Warning')
  // 8: a check is added. 9: that is undone.
  await keys('8')
  await tabTo(page, page.getByRole('button', { name: 'Add a check' }))
  await keys('Enter')
  await tabTo(page, dialog.getByLabel(/^When/))
  await page.keyboard.type('2099-01-01 08:00')
  await tabTo(page, dialog.getByLabel('Receiver'))
  await page.keyboard.type('http://127.0.0.1:9/late')
  await keys('Enter')
  await expect(page.locator('.delivery-status')).toHaveText('Waiting')
  await tabTo(page, page.getByRole('button', { name: 'Undo' }))
  await keys('Enter')
  await expect(page.locator('.delivery-status')).toHaveText('Cancelled')
  // 10: to another page.
  await keys('Control+k')
  await expect(page.getByRole('combobox')).toBeFocused()
  await page.keyboard.type('Service')
  await keys('Enter')
  await expect(page.getByRole('heading', { name: 'Service' })).toBeVisible()
})
