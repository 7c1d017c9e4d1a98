import { test as base, expect, type Page } from '@playwright/test'
import fs from 'node:fs'
import { seed } from './seed'
import { Service } from './service'

export { expect }

interface Seeded {
  service: Service
  ids: Awaited<ReturnType<typeof seed>>
}

const KINDS: Record<string, string> = {
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
}

/** A service for the tests of a worker, with a few trees; and every complaint of the browser fails a test. */
export const test = base.extend<{ watched: Page }, { seeded: Seeded }>({
  seeded: [
    async ({}, use) => {
      // The workers of the seed are heard of once.
      const service = await Service.start('', { JOBTRACKER__WORKERS__LEASE_MS: '600000' })
      const ids = await seed(service)
      await use({ service, ids })
      await service.stop()
    },
    { scope: 'worker' },
  ],
  page: async ({ page }, use) => {
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(`${error.stack}`))
    page.on('console', (message) => {
      // Refused requests are what some tests are about; a breach of the policy never is.
      const text = message.text()
      if (
        message.type() === 'error' &&
        !text.includes('Failed to load resource') &&
        !text.includes('WebSocket')
      ) {
        complaints.push(text)
      }
    })
    if (process.env.JOBTRACKER_PAGE_DIST) await fromDist(page)
    await use(page)
    expect(complaints).toEqual([])
  },
})

/** While working on the page: its files from `dist`, so that the service need not be built again. */
async function fromDist(page: Page) {
  await page.route('**/page/*', async (route) => {
    const name = new URL(route.request().url()).pathname.split('/').pop() ?? ''
    const kind = KINDS[name.split('.').pop() ?? ''] ?? 'text/plain'
    await route.fulfill({
      body: fs.readFileSync(`${process.env.JOBTRACKER_PAGE_DIST}/${name}`),
      contentType: kind,
    })
  })
}

export function row(page: Page, name: string) {
  return page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) })
}
