import { expect, test } from './fixtures'
import { Service } from './service'

const TOKEN = 'a-token-for-the-browser-tests'

test('a login opens the page where it was, and nothing is asked before it', async ({ page }) => {
  const service = await Service.start(TOKEN)
  const root = await service.create({ name: 'behind a login' })
  const asked: string[] = []
  page.on('request', (request) => asked.push(new URL(request.url()).pathname))
  await page.goto(`${service.url}/jobs/${root}?view=history`)
  await expect(page.getByRole('dialog')).toBeVisible()
  expect(asked.filter((path) => path.startsWith('/api/'))).toEqual(['/api/v1/session'])
  await page.getByLabel('Token').fill('wrong')
  await page.getByRole('button', { name: 'Log in' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await page.getByLabel('Token').fill(TOKEN)
  await page.getByRole('button', { name: 'Log in' }).click()
  await expect(page.getByRole('heading', { name: 'behind a login' })).toBeVisible()
  await expect(page.getByRole('tab', { name: 'History' })).toHaveAttribute('aria-selected', 'true')
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  // Scripts cannot read the cookie, and nothing else keeps the token.
  expect(await page.evaluate(() => document.cookie + JSON.stringify(localStorage))).not.toContain(
    TOKEN,
  )
  // The session ends while the page is open: the login comes above it, and it goes on.
  await page.context().clearCookies()
  await page.getByRole('tab', { name: 'Details' }).click()
  await expect(page.getByRole('dialog')).toBeVisible()
  await page.getByLabel('Token').fill(TOKEN)
  await page.getByRole('button', { name: 'Log in' }).click()
  await expect(page.getByText('The job has no attachments')).toBeVisible()
  await service.stop()
})

test('who may not act is told why', async ({ page }) => {
  const service = await Service.start(TOKEN)
  const root = await service.create({ name: 'only to look at' })
  const { secret } = await service.api('POST', 'tokens', { name: 'viewer', role: 'reader' })
  await page.goto(`${service.url}/jobs/${root}?view=alerts`)
  await page.getByLabel('Token').fill(secret)
  await page.getByRole('button', { name: 'Log in' }).click()
  const report = page.getByRole('button', { name: 'Report a state' })
  await expect(report).toBeDisabled()
  await expect(report).toHaveAttribute('title', 'Needs the role writer')
  await expect(page.getByRole('button', { name: 'Add an action' })).toBeDisabled()
  await expect(page.getByRole('link', { name: 'Tokens' })).toHaveCount(0)
  await page.goto(`${service.url}/tokens`)
  await expect(page.getByText('Needs the role admin')).toBeVisible()
  await service.stop()
})

test('a token is made, shown once, and revoked', async ({ page }) => {
  const service = await Service.start(TOKEN)
  await page.goto(`${service.url}/tokens`)
  await page.getByLabel('Token').fill(TOKEN)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Make a token' }).click()
  await page.getByLabel('Name').fill('build-server')
  await page.getByRole('radio', { name: /operator/ }).check()
  await page.getByRole('button', { name: 'Make 1 token' }).click()
  await expect(page.locator('.secret pre')).toHaveText(/^jt_build-server_/)
  await page.getByRole('button', { name: 'Close' }).click()
  await page
    .getByRole('row', { name: /build-server/ })
    .getByRole('button', { name: 'Revoke' })
    .click()
  await page.getByRole('button', { name: 'Revoke 1 token' }).click()
  await expect(page.getByRole('row', { name: /build-server/ })).toContainText('revoked')
  await page.getByRole('link', { name: 'Audit' }).click()
  await expect(page.getByRole('cell', { name: /build-server/ }).first()).toBeVisible()
  await service.stop()
})
