// docs/configuration.md, from the schema of the configuration.
import { EXIT_CODE_HELP } from '../lib/cli/exit-codes.ts'
import { configSchema, filterSchema } from '../lib/config/schema.ts'
import { clusterSchema, endpointSchema, listenerSchema } from '../lib/config/schema-network.ts'
import { matchSchema, redirectSchema, routeSchema, targetSchema } from '../lib/config/schema-routes.ts'
import { typeSchema } from '../lib/config/schema-types.ts'
import type { SchemaNode } from '../lib/config/schema-walk.ts'

const INTRODUCTION = `# Configuration

<!-- Generated from lib/config/schema*.ts by \`npm run docs\`. Change those, not this page. -->

One YAML (or JSON) file. \`meshgate check FILE\` prints every problem at once, with line, column and what would be right;
\`meshgate schema\` prints the JSON Schema, for editors.

\`\`\`yaml
node:      { app: trade, cell: RZ01A }
admin:     { address: 127.0.0.1:15000 }
listeners:
  - { name: http, protocol: http1, address: 0.0.0.0:15001 }
  - { name: mmtp, protocol: mmtp, address: 0.0.0.0:15002 }
clusters:
  - { name: web, protocol: http1, endpoints: [127.0.0.1:8080] }
filters:
  - access-log
  - { use: rate-limit, qps: 1000 }
routes:
  - { match: { path: /static/ }, to: { cluster: web }, filters: { rate-limit: false } }
  - { match: { path: /api/ }, to: { cluster: web }, timeout: 3s, filters: { rate-limit: { qps: 50 } } }
\`\`\`

- **Durations** are \`250ms\`, \`3s\`, \`1m\`, \`1h\`; a plain integer is milliseconds.
- **Sizes** are \`512B\`, \`64KiB\`, \`4MiB\`, \`1GiB\` (or \`kB\`, \`MB\`, \`GB\` for powers of 1000); a plain integer is bytes.
- **Addresses** are \`host:port\`, \`[::1]:port\`, \`:port\` (listeners: every interface) and \`unix:/path\`.
- Anchors, aliases and \`<<\` merges of YAML work; a file may hold 100 aliases.

While the gateway runs, it watches the file. A change is taken over as a whole and at once, without a failed request; a
change with an error is refused as a whole, the old configuration serves on, and log, admin port and a metric say why.
A change of \`admin\` and of \`node\` needs a restart.
`

interface Section {
  readonly title: string
  readonly text: string
  readonly schema: unknown
}

const SECTIONS: readonly Section[] = [
  { title: 'The file', text: 'Only `listeners` is required.', schema: configSchema },
  { title: 'listeners', text: listenerSchema.description, schema: listenerSchema },
  { title: 'clusters', text: clusterSchema.description, schema: clusterSchema },
  {
    title: 'clusters: endpoints',
    text: 'An endpoint is an address, or a mapping:',
    schema: endpointSchema.anyOf[1],
  },
  {
    title: 'filters',
    text: 'An entry is a name, or a mapping with these keys and the filter’s own options ([filters.md](filters.md)):',
    schema: filterSchema.anyOf[1],
  },
  {
    title: 'routes',
    text: 'Which route wins when several match is told in [routing.md](routing.md).',
    schema: routeSchema,
  },
  { title: 'routes: match', text: matchSchema.description, schema: matchSchema },
  {
    title: 'routes: conditions',
    text: 'What `headers`, `query` and `cookies` hold: an exact value, or a mapping with exactly one of these keys:',
    schema: matchSchema.properties.headers.additionalProperties.anyOf[1],
  },
  { title: 'routes: to', text: targetSchema.description, schema: targetSchema },
  {
    title: 'routes: redirect',
    text: `${redirectSchema.description} At least one of \`path\`, \`prefix\`, \`host\`, \`scheme\` is needed.`,
    schema: redirectSchema,
  },
  {
    title: 'types',
    text: `Full class name → description. ${typeSchema.description} A class with a package that is neither described nor Java’s own may stand in \`parameters\`, not in a description.`,
    schema: typeSchema,
  },
]

/** The text of docs/configuration.md. */
export function renderConfigurationPage(): string {
  const sections = SECTIONS.map(renderSection).join('\n')
  const codes = EXIT_CODE_HELP.map(([code, meaning]) => `| ${code} | ${meaning} |`).join('\n')
  return `${INTRODUCTION}
${sections}
## Exit codes

What \`meshgate\` tells its caller, whatever the command:

| Code | Meaning |
|---|---|
${codes}
`
}

function renderSection({ title, text, schema }: Section): string {
  const rows = renderKeys(schema as SchemaNode, '')
  return `## ${title}

${text}

| Key | Value | Default | Meaning |
|---|---|---|---|
${rows.join('\n')}
`
}

/** One row for each key; the keys of a nested mapping follow it. Lists of mappings have sections of their own. */
function renderKeys(schema: SchemaNode, prefix: string): string[] {
  const required = new Set(schema.required ?? [])
  return Object.entries(schema.properties ?? {}).flatMap(([key, part]) => {
    if (key === '$schema') return []
    const name = `${prefix}${key}`
    const row = renderRow(name, part, required.has(key))
    const hasOwnSection = ['match', 'to', 'redirect'].includes(name)
    return part.properties === undefined || hasOwnSection ? [row] : [row, ...renderKeys(part, `${name}.`)]
  })
}

function renderRow(name: string, schema: SchemaNode, isRequired: boolean): string {
  const cells = [
    `\`${name}\``,
    renderValue(schema),
    renderDefault(schema, isRequired),
    schema.description ?? '',
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function renderDefault(schema: SchemaNode, isRequired: boolean): string {
  if (isRequired) return '**required**'
  if (schema.defaultNote !== undefined) return schema.defaultNote
  if (schema.default === undefined || isEmptyMapping(schema.default)) return '–'
  return schema.default === ''
    ? 'empty'
    : `\`${typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)}\``
}

function isEmptyMapping(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  )
}

function renderValue(schema: SchemaNode): string {
  if (schema.unit !== undefined) return schema.unit
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(' ')
  if (schema.anyOf !== undefined) return schema.anyOf.map(renderValue).join(' or ')
  switch (schema.type) {
    case 'string':
      return schema.format === 'regex' ? 'regular expression' : 'text'
    case 'integer':
      return renderRange(schema)
    case 'boolean':
      return '`true` `false`'
    case 'array':
      return schema.items?.type === 'integer' ? 'two integers' : 'list'
    default:
      return 'mapping'
  }
}

function renderRange({ minimum, maximum }: SchemaNode): string {
  if (minimum === undefined) return 'integer'
  return maximum === undefined || maximum === 2 ** 31 - 1
    ? `integer from ${minimum}`
    : `integer ${minimum} … ${maximum}`
}
