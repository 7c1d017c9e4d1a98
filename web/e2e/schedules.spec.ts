import { expect, test } from './fixtures'
import { Service } from './service'

const nightly = {
  description: 'for those who come early',
  triggers: [{ kind: 'cron', pattern: '0 3 * * *', zone: 'Europe/Berlin' }],
  // Numbers that JavaScript cannot hold, and a key that names ids elsewhere.
  run: { task: { handler: 'reports/nightly', params: { id: 5, long: 0 } } },
}
const LONG = JSON.stringify(nightly).replace('"long":0', '"long":9007199254740993')

test('no schedule yet: two lines make the first one, and it is there', async ({ page }) => {
  const service = await Service.start()
  await page.goto(`${service.url}/schedules`)
  await expect(page.getByRole('heading', { name: 'No schedule yet' })).toBeVisible()
  const curl = await page.locator('.code-lines pre').first().innerText()
  const [, body = ''] = /-d '(.*)'/.exec(curl) ?? []
  await service.api('POST', 'schedules', body)
  await expect(page.getByRole('row', { name: /first/ })).toContainText('every 1 min')
  await service.stop()
})

test('a schedule is seen with its times, run by hand, disabled and deleted', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const name = `nightly-${test.info().workerIndex}-${test.info().retry}`
  await service.api('POST', 'schedules', `{"name":"${name}","definition":${LONG}}`)
  await page.goto(`${service.url}/schedules?name=${name}`)
  const line = page.getByRole('row', { name })
  await expect(line).toContainText('0 3 * * * Europe/Berlin')
  await line.getByRole('link', { name }).click()
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
  await expect(page.locator('.times li')).toHaveCount(10)
  await expect(page.locator('.times li').first()).toContainText('03:00:00')
  await expect(page.getByText('It has not fired yet')).toBeVisible()
  // As it was written, to the last digit.
  await expect(page.locator('.text-block')).toContainText('"long": 9007199254740993')
  await expect(page.locator('.text-block')).toContainText('"id": 5,')
  await page.getByRole('button', { name: 'Run now' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText(`Fires “${name}” once. No run of it is open.`)
  await page.getByLabel(/^Parameters/).fill('{"days": ')
  await expect(dialog.locator('[type=submit]')).toBeDisabled()
  await page.getByLabel(/^Parameters/).fill('{"days": 9007199254740993}')
  await page.getByRole('button', { name: 'Start 1 run' }).click()
  await expect(page.locator('.runs li')).toHaveCount(1)
  await expect(page.getByRole('row', { name: /by hand/ })).toContainText('started')
  await page.getByRole('button', { name: 'Disable' }).click()
  await expect(page.locator('.state-chip')).toHaveText('off')
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(page.locator('.state-chip')).toHaveText('on')
  expect((await service.api('GET', `schedules/${name}`)).enabled).toBe(true)
  await page.locator('.runs a').click()
  await expect(page.getByRole('heading', { name, level: 1 })).toBeVisible()
  await page.getByRole('tab', { name: 'Task' }).click()
  await expect(page.getByRole('tabpanel')).toContainText('"days": 9007199254740993')
  await page.goto(`${service.url}/schedules/${name}`)
  await page.getByRole('button', { name: 'Delete the schedule' }).click()
  await expect(dialog).toContainText('1 open run goes on')
  await page.getByRole('button', { name: 'Delete 1 schedule' }).click()
  await expect(page.getByRole('heading', { name: 'Schedules' })).toBeVisible()
  await page.goto(`${service.url}/schedules/${name}`)
  await expect(page.getByRole('heading', { name: `There is no schedule ${name}` })).toBeVisible()
})

test('a definition is checked, and its times are seen, before it is put', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const name = `edited-${test.info().workerIndex}-${test.info().retry}`
  await page.goto(`${service.url}/schedules`)
  await page.getByRole('button', { name: 'Make a schedule' }).click()
  const dialog = page.getByRole('dialog')
  const save = dialog.locator('[type=submit]')
  await expect(dialog.locator('.times li')).toHaveCount(8)
  await expect(save).toBeDisabled()
  await page.getByLabel('Name of the schedule').fill(name)
  const json = page.getByLabel('Definition as JSON')
  // What is no JSON is told by the page, and what only the service can judge by it.
  await json.fill('{"triggers": [')
  await expect(dialog).toContainText('This is not JSON yet')
  await expect(save).toBeDisabled()
  await json.fill('{"triggers": [{"kind": "cron", "pattern": "99 * * * *"}]}')
  await expect(dialog.getByRole('alert')).toBeVisible()
  await expect(save).toBeDisabled()
  await json.fill(LONG)
  await expect(dialog.locator('.times li').first()).toContainText('03:00:00')
  await save.click()
  await page.getByRole('link', { name }).click()
  await page.getByRole('button', { name: 'Edit' }).click()
  await expect(json).toHaveValue(/"long": 9007199254740993/)
  await json.fill((await json.inputValue()).replace('0 3 * * *', '0 4 * * *'))
  await expect(dialog.locator('.times li').first()).toContainText('04:00:00')
  await save.click()
  await expect(page.locator('.times li').first()).toContainText('04:00:00')
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(page.locator('.times li').first()).toContainText('03:00:00')
  await expect(page.locator('.facts')).toContainText('Version 3')
  // Another version than the one that was shown is left as it is.
  await page.getByRole('button', { name: 'Edit' }).click()
  await json.fill((await json.inputValue()).replace('0 3 * * *', '0 5 * * *'))
  await service.api('PUT', `schedules/${name}`, { triggers: [] })
  await expect(dialog.locator('.times li').first()).toContainText('05:00:00')
  await save.click()
  await expect(dialog.getByRole('alert')).toContainText('other_version')
  expect((await service.api('GET', `schedules/${name}`)).definition.triggers ?? []).toEqual([])
})

test('routing and alarms are chosen in forms, and all else stays as it was typed', async ({
  page,
  seeded,
}) => {
  const { service } = seeded
  const name = `formed-${test.info().workerIndex}-${test.info().retry}`
  await service.api('POST', 'schedules', `{"name":"${name}","definition":${LONG}}`)
  await page.goto(`${service.url}/schedules/${name}`)
  await page.getByRole('button', { name: 'Edit' }).click()
  const dialog = page.getByRole('dialog')
  const json = page.getByLabel('Definition as JSON')
  const save = dialog.locator('[type=submit]')
  await dialog.getByText('Routing').click()
  await page.getByLabel('The task goes to').selectOption('specific')
  // It names no worker yet, which the service refuses.
  await expect(dialog.getByRole('alert')).toContainText('routing.workers')
  await expect(save).toBeDisabled()
  await page.getByLabel(/^Names or ids of workers/).fill('press-1, press-2')
  await expect(json).toHaveValue(/"press-1",\s+"press-2"/)
  await dialog.getByText('Alarm').click()
  await page.getByLabel('Tell when runs do not go well').check()
  const address = page.getByLabel('Address', { exact: true })
  await expect(address).toHaveAttribute('aria-invalid', 'true')
  await expect(save).toBeDisabled()
  await address.fill('https://ops.example/hooks')
  await page.getByLabel('Minutes of silence after that').fill('10')
  await page.getByLabel(/^Percent of the mean time/).fill('100')
  await expect(dialog.getByRole('alert')).toContainText('alarm.longPercent')
  await page.getByLabel(/^Percent of the mean time/).fill('200')
  await page.getByRole('button', { name: 'Add a receiver' }).click()
  await page.getByLabel('Kind of receiver').nth(1).selectOption('email')
  await page.getByLabel('E-mail addresses').fill('ops@example.com')
  // Nothing sends e-mails here, which the service says before anything is put.
  await expect(dialog.getByRole('alert')).toContainText('no SMTP server is configured')
  await expect(save).toBeDisabled()
  await page.getByLabel('Kind of receiver').nth(1).selectOption('http')
  await page.getByLabel('Address', { exact: true }).nth(1).fill('https://ops.example/second')
  await save.click()
  await expect(dialog).toHaveCount(0)
  const { definition } = await service.api('GET', `schedules/${name}`)
  expect(definition.run.task.routing).toEqual({ kind: 'specific', workers: ['press-1', 'press-2'] })
  expect(definition.alarm).toEqual({
    actions: [
      { kind: 'http', url: 'https://ops.example/hooks' },
      { kind: 'http', url: 'https://ops.example/second' },
    ],
    silenceMs: 600_000,
    longPercent: 200,
  })
  await expect(page.locator('.text-block')).toContainText('"long": 9007199254740993')
})
