// Pages that come from the code equal it, and pages written by hand leave nothing out.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { FILTERS } from '../lib/filters/index.ts'
import { pages } from '../scripts/doc-pages.ts'

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}

for (const page of pages) {
  t.test(`${page.path} is what \`npm run docs\` writes`, async (t) => {
    t.equal(read(page.path), await page.render())
  })
}

t.test('docs/filters.md has a section for each filter', (t) => {
  const headings = new Set(
    [...read('docs/filters.md').matchAll(/^#+ `?([\w-]+)`?\s*$/gm)].map(([, name]) => name),
  )
  for (const name of FILTERS.keys()) t.ok(headings.has(name), name)
  t.end()
})

t.test('docs/dependencies.md has a line for each dependency, and no others', (t) => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json'))
  const lines = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| ([^|]+) \| ([^|]{10,}) \|$/gm)]
  const described = lines.map(([, name]) => name).sort()
  t.same(described, [...Object.keys(dependencies), ...Object.keys(devDependencies)].sort())
  t.end()
})
