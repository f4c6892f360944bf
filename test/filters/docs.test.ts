/** docs/filters.md says what the code does: options, defaults, fields and examples. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import { checkFilterOptions } from '../../lib/filter-options.ts'
import { FIELD_NAMES } from '../../lib/filters/fields.ts'
import { FILTERS, loadFilters } from '../../lib/filters/index.ts'
import { testFilter } from '../../lib/testing.ts'

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/filters.md'), 'utf8')

function section(title: string): string {
  const start = page.indexOf(`\n## ${title}\n`)
  if (start === -1) throw new Error(`docs/filters.md has no section "${title}"`)
  const end = page.indexOf('\n## ', start + 1)
  return end === -1 ? page.slice(start) : page.slice(start, end)
}

/** First cells of the table in a section, without backquotes, and the cells beside them. */
function rows(text: string): Map<string, string> {
  return new Map(
    [...text.matchAll(/^\| `([^`]+)` \| ([^|]+) \|/gm)].map(([, name, next]) => [name, next.trim()]),
  )
}

await loadFilters(FILTERS.keys())

for (const [name, definition] of FILTERS as ReadonlyMap<string, FilterDefinition>) {
  t.test(`the section of ${name} lists its options with their defaults`, async (t) => {
    const { properties } = definition.schema as { properties: Record<string, { default?: unknown }> }
    const table = rows(section(name))
    t.strictSame([...table.keys()], Object.keys(properties))
    for (const [option, schema] of Object.entries(properties)) {
      if (schema.default === undefined || option === 'path') continue
      const shown = Array.isArray(schema.default) ? `[${schema.default.join(', ')}]` : String(schema.default)
      t.equal(table.get(option), `\`${shown}\``, option)
    }
  })

  t.test(`the examples of ${name} are right`, async (t) => {
    const examples = [...section(name).matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => parse(text))
    t.ok(examples.length > 0)
    for (const example of examples) {
      const entries = (Array.isArray(example) ? example : example.filters) as Record<string, unknown>[]
      for (const { use, name: own, enabled, ...options } of entries) {
        t.equal(use, name)
        t.strictSame(checkFilterOptions(definition.schema, options), [], String(own))
        if (enabled !== false) t.doesNotThrow(() => testFilter(definition, options))
      }
    }
  })
}

t.test('the table of fields lists every field', async (t) => {
  const shown = [...rows(section('Fields')).keys()].map((name) => name.replace(/NAME$/, ''))
  t.strictSame(shown.toSorted(), FIELD_NAMES.toSorted())
})
