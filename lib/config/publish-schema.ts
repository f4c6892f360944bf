/** The JSON Schema that is published for editors and other tools. */
import type { FilterCatalog } from './config.ts'
import { configSchema, filterSchema } from './schema.ts'

// Strict validators refuse keywords that they do not know.
const OWN_KEYWORDS = new Set(['unit', 'hint', 'defaultNote'])

const OWN_KEYS = standardPart(filterSchema.anyOf[1].properties) as Record<string, unknown>

/** The schema of the whole file, in which each built-in filter has its own options. A fresh object, plain JSON. */
export function publishSchema(catalog: FilterCatalog): Record<string, unknown> {
  const published = standardPart(configSchema) as {
    properties: { filters: { items: unknown } }
  } & Record<string, unknown>
  published.properties.filters.items = {
    anyOf: [
      {
        type: 'string',
        description: `A filter without options: ${[...catalog.keys()].join(', ')}, or the path of a module.`,
      },
      ...[...catalog].map(([name, schema]) => builtIn(name, schema)),
      moduleFilter(),
    ],
  }
  return published
}

function builtIn(name: string, schema: object | null): object {
  const options = JSON.parse(JSON.stringify(schema ?? {})) as {
    properties?: Record<string, unknown>
    required?: string[]
  }
  const { name: ownName, enabled } = OWN_KEYS
  return {
    type: 'object',
    ...options,
    title: name,
    required: ['use', ...(options.required ?? [])],
    properties: { use: { const: name }, name: ownName, enabled, ...options.properties },
  }
}

function moduleFilter(): object {
  const { name, enabled } = OWN_KEYS
  return {
    type: 'object',
    title: 'a module of your own',
    required: ['use'],
    properties: {
      use: { type: 'string', pattern: '^\\.{0,2}/', description: 'Path of the module.' },
      name,
      enabled,
    },
  }
}

/** A copy without our own keywords. */
function standardPart(schema: object): object {
  return JSON.parse(JSON.stringify(schema, (key, value) => (OWN_KEYWORDS.has(key) ? undefined : value)))
}
