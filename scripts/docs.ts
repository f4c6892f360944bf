// Writes the pages of docs/ that come from the code (`npm run docs`), or with --check says which of them
// are out of date and fails (`npm run docs:check`).
import { readFileSync, writeFileSync } from 'node:fs'
import { pages } from './doc-pages.ts'

const isCheck = process.argv.includes('--check')
let staleCount = 0
for (const page of pages) {
  const file = new URL(`../${page.path}`, import.meta.url)
  const wanted = await page.render()
  if (wanted === readIfThere(file)) continue
  staleCount++
  if (isCheck) console.error(`${page.path} is out of date: run \`npm run docs\``)
  else {
    writeFileSync(file, wanted)
    console.log(`wrote ${page.path}`)
  }
}
console.log(`${pages.length} generated pages, ${staleCount} ${isCheck ? 'out of date' : 'changed'}`)
if (isCheck && staleCount > 0) process.exitCode = 1

function readIfThere(file: URL): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
