import { expect, row, test } from './fixtures'
import { Service } from './service'

test('a rule is seen before it is put, changed, deleted, and each can be undone', async ({
  page,
}) => {
  const service = await Service.start()
  for (const at of [1, 2, 3]) {
    const root = await service.create({ name: `nightly ${at}`, tags: ['nightly'] })
    await service.children(root, at)
    for (let child = 1; child <= at; child++) {
      await service.report(Number(root) + child, 'RanToCompletion')
    }
    await service.report(root, at === 3 ? 'Faulted' : 'RanToCompletion')
  }
  await service.create({ name: 'nightly, not finished', tags: ['nightly'] })
  await page.goto(`${service.url}/retention`)
  await expect(page.getByText('No rule: every tree stays')).toBeVisible()
  await page.getByRole('button', { name: 'Make a rule' }).click()
  const dialog = page.getByRole('dialog')
  const save = dialog.locator('[type=submit]')
  await expect(save).toBeDisabled()
  await page.getByLabel('Name of the rule').fill('not a name')
  await expect(page.getByLabel('Name of the rule')).toHaveAttribute('aria-invalid', 'true')
  await page.getByLabel('Name of the rule').fill('old-nightly')
  await page.getByLabel('Days kept').fill('40000')
  await expect(page.getByLabel('Days kept')).toHaveAttribute('aria-invalid', 'true')
  await expect(save).toBeDisabled()
  await page.getByLabel('Days kept').fill('0')
  await page.getByLabel('Has all tags').fill('nightly')
  await expect(dialog.locator('.preview')).toContainText('delete 3 trees with 9 jobs now')
  await expect(save).toHaveText('Save: 3 trees will go')
  // What the service alone can judge is said by it, and cannot be saved.
  await page.getByLabel('Expression').fill('subtree.total >')
  await expect(dialog.getByRole('alert')).toBeVisible()
  await expect(save).toBeDisabled()
  await page.getByLabel('Expression').fill('subtree.total > 1')
  await expect(save).toHaveText('Save: 2 trees will go')
  await dialog.getByLabel('Failed').check()
  await expect(save).toHaveText('Save: 1 tree will go')
  await dialog.getByText('The newest of them').click()
  await expect(dialog.getByRole('link', { name: 'nightly 3' })).toBeVisible()
  await dialog.getByLabel('In force').uncheck()
  await save.click()
  const line = page.locator('.delivery', { hasText: 'old-nightly' })
  await expect(line).toContainText('keeps 0 days')
  await expect(line).toContainText('off')
  const rules = async () => (await service.api('GET', 'retention/rules')).items
  expect((await rules())[0].rule).toMatchObject({
    keepDays: 0,
    tags: ['nightly'],
    states: ['Faulted'],
    expression: 'subtree.total > 1',
    enabled: false,
  })
  await line.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Days kept').fill('7')
  await save.click()
  await expect(line).toContainText('keeps 7 days')
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(line).toContainText('keeps 0 days')
  await line.getByRole('button', { name: 'Delete the rule' }).click()
  await page.getByRole('button', { name: 'Delete 1 rule' }).click()
  await expect(page.getByText('No rule: every tree stays')).toBeVisible()
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(line).toContainText('keeps 0 days')
  expect(await rules()).toHaveLength(1)
  await service.stop()
})

test('a deleted tree is known by its id', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'known for a while' })
  await service.api('DELETE', `jobs/${root}`)
  await page.goto(`${service.url}/retention`)
  await page.getByLabel('Id of the root').fill(root)
  await page.getByRole('button', { name: 'Show' }).click()
  await expect(page.getByRole('heading', { name: `Job ${root} was deleted` })).toBeVisible()
})

test('a tree that is deleted while it is listed is struck out', async ({ page, seeded }) => {
  const { service } = seeded
  const name = `listed ${test.info().workerIndex}`
  const [first] = [await service.create({ name }), await service.create({ name: `${name} b` })]
  await page.goto(`${service.url}/?q=${encodeURIComponent(name)}`)
  await expect(row(page, `${name} b`)).toBeVisible()
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  const later = await service.create({ name: `${name} c` })
  await expect(page.getByRole('button', { name: '1 new' })).toBeVisible()
  await page.getByRole('button', { name: '1 new' }).click()
  await expect(row(page, `${name} c`)).toBeVisible()
  await service.api('DELETE', `jobs/${later}`)
  await expect(row(page, `${name} c`)).toHaveClass(/gone/)
  await service.report(first, 'Warning', 'slow')
  await expect(row(page, name)).toContainText('Warning')
  await expect(row(page, name)).not.toHaveClass(/gone/)
})

test('a tree that leaves a filtered list at its old end is struck out', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const name = `leaving ${test.info().workerIndex} ${test.info().retry}`
  const oldest = await service.create({ name: `${name} a` })
  const newest = await service.create({ name: `${name} b` })
  for (const root of [oldest, newest]) await service.report(root, 'Running')
  await page.goto(`${service.url}/?states=Running&q=${encodeURIComponent(name)}`)
  await expect(page.locator('.rows .row')).toHaveCount(2)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  await service.report(oldest, 'RanToCompletion')
  await expect(row(page, `${name} a`)).toHaveClass(/gone/)
  await expect(row(page, `${name} b`)).not.toHaveClass(/gone/)
  await service.report(newest, 'RanToCompletion')
  await expect(row(page, `${name} b`)).toHaveClass(/gone/)
})

test('of a deleted tree its root and why it failed are kept, as the rule says', async ({
  page,
}) => {
  const service = await Service.start('', { JOBTRACKER__RETENTION__EVERY_SECONDS: '1' })
  const root = await service.create({ name: 'nightly' })
  const child = await service.children(root, 1, () => 'part')
  const leaf = await service.children(String(child), 2, (at) => `page ${at}`)
  await service.report(leaf, 'RanToCompletion')
  await service.report(leaf + 1, 'Faulted', 'out of paper')
  await service.report(child, 'RanToCompletion')
  await service.report(root, 'RanToCompletion')
  await service.api('PUT', 'retention/rules/old', { keepDays: 9, summaryDays: 400 })
  await page.goto(`${service.url}/retention`)
  const line = page.locator('.delivery', { hasText: 'old' })
  await expect(line).toContainText('then its summary for 400 days')
  // What is not touched stays.
  await line.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Days kept after its end').fill('0')
  await expect(page.getByLabel('Days that its summary is kept')).toHaveValue('400')
  await page.getByRole('button', { name: 'Save: 1 tree will go' }).click()
  await expect
    .poll(async () => (await service.api('GET', `jobs/${root}`)).summary ?? false)
    .toBe(true)
  await page.goto(`${service.url}/jobs/${root}`)
  await expect(page.getByRole('heading', { name: 'nightly' })).toBeVisible()
  await expect(page.locator('.legend')).toContainText('1 done')
  await expect(page.getByText('A retention rule has deleted this tree')).toBeVisible()
  const failure = page.locator('.chain')
  await expect(failure).toContainText(/nightly\s*part\s*page 1/)
  await expect(failure).toContainText('out of paper')
  await expect(page.getByRole('tab')).toHaveCount(0)
  await service.stop()
})
