// Makes app/api/schema.ts, the types of the API, from the service's OpenAPI document. With --check
// it fails when the file is not the one that would be made.
import fs from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'

const target = new URL('../app/api/schema.ts', import.meta.url)
const document = JSON.parse(
  fs.readFileSync(new URL('../../server/openapi.json', import.meta.url), 'utf8'),
)
// A job's id has up to 63 bits, and numbers of JavaScript hold 53: json.ts keeps ids as texts.
document.components.schemas.JobId = { type: 'string' }
// Descriptions would make the file three times as long.
const bare = JSON.parse(JSON.stringify(document), (key, value) =>
  key === 'description' && typeof value === 'string' ? undefined : value,
)
const types = astToString(await openapiTS(bare))
const text = `// Made by \`npm run types\` from server/openapi.json.\n${types}`
if (process.argv.includes('--check')) {
  const isSame = fs.existsSync(target) && fs.readFileSync(target, 'utf8') === text
  if (!isSame) {
    console.error('web/app/api/schema.ts is not that of server/openapi.json: npm run types')
    process.exit(1)
  }
} else {
  fs.writeFileSync(target, text)
}
