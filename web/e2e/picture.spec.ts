import { expect, row, test } from './fixtures'

/** The pictures of the README: `JOBTRACKER_PICTURES=1 dev/test page -g picture` makes them anew. */
for (const scheme of ['light', 'dark'] as const) {
  test(`a picture, ${scheme}`, async ({ page, seeded }) => {
    const { service, ids } = seeded
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width: 1200, height: 760 })
    await page.goto(`${service.url}/jobs/${ids.crawl}`)
    await expect(page.getByRole('button', { name: /^Live/ })).toBeVisible()
    await page.getByRole('treegrid').focus()
    for (const key of ['f', 'f']) {
      await page.keyboard.press(key)
      await expect(page.locator('.row.focused')).toBeVisible()
    }
    await expect(row(page, 'shop.example')).toBeVisible()
    await expect(page.locator('.said.shown')).toHaveCount(0)
    const path = process.env.JOBTRACKER_PICTURES ? `../docs/page-${scheme}.png` : undefined
    const picture = await page.screenshot({ path })
    expect(picture.length).toBeGreaterThan(20_000)
  })
}
