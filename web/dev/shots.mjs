// Pictures of a running service: node dev/shots.mjs URL OUT name=path[#wait] …  For working on the
// page: its files come from dist, so that the service need not be built again.
import fs from 'node:fs'
import { chromium } from '@playwright/test'

const [url, out, ...shots] = process.argv.slice(2)
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args })
const kinds = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' }
const sizes = { wide: { width: 1360, height: 820 }, phone: { width: 360, height: 720 } }
for (const size of (process.env.SIZES ?? 'wide').split(',')) {
  for (const scheme of (process.env.SCHEMES ?? 'light,dark').split(',')) {
    const context = await browser.newContext({ viewport: sizes[size], colorScheme: scheme, locale: process.env.LOCALE ?? 'en-US', deviceScaleFactor: 1 })
    await context.route('**/page/*', (route) => {
      const name = new URL(route.request().url()).pathname.split('/').pop()
      route.fulfill({ body: fs.readFileSync(`dist/${name}`), contentType: kinds[name.split('.').pop()] })
    })
    if (process.env.OLD) await context.route('**/api/v1/**', (route) => {
      const u = new URL(route.request().url())
      for (const n of ['fields', 'offset', 'ranks', 'histogram']) u.searchParams.delete(n)
      if (u.pathname.endsWith('children')) u.searchParams.delete('order')
      route.continue({ url: u.href })
    })
    const page = await context.newPage()
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && console.log('console:', m.text()))
    page.on('pageerror', (e) => console.log('pageerror:', e.stack))
    for (const shot of shots) {
      const [name, path, act] = shot.split('=')
      await page.goto(url + path.replaceAll('~', '='))
      await page.waitForTimeout(Number(process.env.WAIT ?? 900))
      if (act) { await eval(`(async()=>{${act.replaceAll('~', '=')}})()`); await page.waitForTimeout(500) }
      await page.screenshot({ path: `${out}/${name}-${size}-${scheme}.png` })
    }
    await context.close()
  }
}
await browser.close()
