import { expect, row, test } from './fixtures'
import { proxied } from './proxy'

test('trees are listed with their numbers, and change in place', async ({ page, seeded }) => {
  const { service } = seeded
  const name = `live ${test.info().workerIndex}`
  const root = await service.create({ name })
  await page.goto(service.url)
  await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
  const line = row(page, name)
  await expect(line).toContainText('Waiting to run')
  await line.click()
  await service.children(root, 3)
  await service.report(root, 'Running')
  await expect(line).toContainText('Running')
  await expect(line).toContainText('0 / 3')
  await expect(line).toHaveAttribute('aria-selected', 'true')
  const fresh = await service.create({ name: `${name} later` })
  await page.getByRole('button', { name: '1 new' }).click()
  await expect(row(page, `${name} later`)).toHaveAttribute('data-id', fresh)
})

test('a job shows what is below it, and opens by keys alone', async ({ page, seeded }) => {
  await page.goto(`${seeded.service.url}/jobs/${seeded.ids.crawl}`)
  await expect(page.getByRole('heading', { name: 'nightly crawl' })).toBeVisible()
  await expect(page.locator('.legend')).toContainText('149 done')
  const grid = page.getByRole('treegrid')
  // A row opens once its numbers are there.
  await expect(row(page, 'shop.example')).toBeVisible()
  await grid.focus()
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key)
  const focused = page.locator('.row.focused')
  await expect(focused).toContainText('/index/1')
  await expect(focused).toHaveAttribute('aria-level', '2')
  await expect(focused).toHaveAttribute('aria-setsize', '60')
  await expect(focused).toHaveAttribute('aria-posinset', '1')
  // The address holds what is open and what has the focus.
  await expect(page).toHaveURL(/open=.*at=|at=.*open=/)
  await page.reload()
  await expect(row(page, '/index/1')).toBeVisible()
  await page.getByRole('treegrid').focus()
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowLeft')
  await expect(row(page, '/index/1')).toHaveCount(0)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: 'shop.example' })).toBeVisible()
  await page.goBack()
  await expect(page.getByRole('heading', { name: 'nightly crawl' })).toBeVisible()
})

test('ids of 63 bits are exact', async ({ page, seeded }) => {
  const id = '9223372036854775807'
  const { service } = seeded
  await service.api('POST', 'jobs', { id, name: 'the last id' })
  await service.api('POST', `jobs/${id}/children`, {
    jobs: [{ id: '9007199254740993', name: 'odd' }],
  })
  await page.goto(`${service.url}/jobs/${id}`)
  await expect(page.locator('.id-chip code')).toHaveText(id)
  await row(page, 'odd').getByRole('link').click()
  await expect(page.locator('.id-chip code')).toHaveText('9007199254740993')
  await page.getByRole('link', { name: 'the last id' }).click()
  await expect(page.locator('.id-chip code')).toHaveText(id)
})

test('it works below a path, and where WebSockets are blocked', async ({ page, seeded }) => {
  const { service } = seeded
  const root = await service.create({ name: 'behind a proxy' })
  const proxy = await proxied(service.url, '/tools/jobs', false)
  await page.goto(`${proxy.url}/jobs/${root}`)
  await expect(page.getByRole('heading', { name: 'behind a proxy' })).toBeVisible()
  await expect(page.getByRole('button', { name: /^Polling/ })).toBeVisible()
  await service.report(root, 'Warning', 'still here')
  await expect(page.locator('.state-chip')).toHaveText('Warning')
  await page.getByRole('link', { name: 'jobtracker: all trees' }).click()
  await expect(row(page, 'behind a proxy')).toBeVisible()
  expect(page.url()).toBe(`${proxy.url}/`)
  await proxy.close()
})

test('texts are never read as HTML', async ({ page, seeded }) => {
  const { service } = seeded
  const bad = '<img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'
  page.on('dialog', () => expect('a dialog').toBe('never there'))
  const sound = async () => {
    const made = 'main img, main script, dialog img, dialog script, a[href^="javascript"]'
    expect(await page.locator(made).count()).toBe(0)
  }
  const root = await service.create({
    name: bad,
    createdBy: bad,
    tags: [bad.slice(0, 40)],
    options: bad,
    sourceLink: 'javascript:alert(3)',
  })
  await service.children(root, 1, () => bad)
  await service.report(root, 'Faulted', bad)
  await service.api('POST', `jobs/${root}/log`, `\u001b[31m${bad}\u001b[0m`, 'text/plain')
  await service.api('PUT', `jobs/${root}/attachments/strange.html`, bad, 'text/plain')
  const http = { url: `http://127.0.0.1:9/?${encodeURIComponent(bad)}` }
  await service.api('POST', `jobs/${root}/actions`, { states: ['Faulted'], http })
  const rule = {
    keepDays: 9,
    namePrefix: bad,
    createdBy: bad,
    tags: [bad.slice(0, 40)],
    enabled: false,
  }
  await service.api('PUT', 'retention/rules/strange', rule)
  const definition = {
    description: bad,
    run: { name: bad, options: bad, tags: [bad.slice(0, 40)] },
  }
  await service.api('POST', 'schedules', { name: 'strange', definition })
  const { run } = await service.api('POST', 'schedules/strange/trigger', {})
  const handlers = [{ name: 'a/b', description: bad }]
  const worker = { name: 'strange', handlers, slots: 1, tags: [bad.slice(0, 40)] }
  await service.api('POST', 'workers', { ...worker, labels: { [bad.slice(0, 40)]: bad } })
  const task = { handler: 'a/b', params: { [bad]: bad }, data: bad }
  const tasked = await service.create({ name: bad, task })
  for (const view of [
    'tree',
    'waiting',
    'shape',
    'timeline',
    'history',
    'log',
    'details',
    'alerts',
  ]) {
    await page.goto(`${service.url}/jobs/${root}?view=${view}`)
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(bad)
    await expect(page.locator('.skeleton')).toHaveCount(0)
    await sound()
  }
  const inAddress = encodeURIComponent(bad)
  const places = [
    `?q=${inAddress}`,
    `jobs/${root}?view=log&find=${inAddress}`,
    `uploads/${inAddress}`,
  ]
  places.push(`jobs/${root}?open=${inAddress}&at=${inAddress}&only=${inAddress}#${inAddress}`)
  places.push('schedules', 'schedules/strange', 'workers', `jobs/${run}`, `jobs/${tasked}`)
  places.push(`schedules?name=${inAddress}`, `workers?q=${inAddress}`)
  for (const path of [...places, 'retention', 'audit', 'deliveries']) {
    await page.goto(`${service.url}/${path}`)
    await expect(page.locator('main')).not.toBeEmpty()
    await expect(page.locator('.skeleton')).toHaveCount(0)
    await sound()
  }
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill(bad)
  await expect(page.getByRole('option').first()).toContainText(bad)
  await sound()
})
