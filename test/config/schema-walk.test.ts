import fc from 'fast-check'
import t from 'tap'
import { Check } from 'typebox/schema'
import { publishSchema } from '../../lib/config/publish-schema.ts'
import { configSchema, filterSchema } from '../../lib/config/schema.ts'
import { checkAgainst } from '../../lib/config/schema-check.ts'
import { clusterSchema, listenerSchema } from '../../lib/config/schema-network.ts'
import { routeSchema } from '../../lib/config/schema-routes.ts'
import { type SchemaNode, SchemaWalk } from '../../lib/config/schema-walk.ts'

type Parts = Parameters<typeof Check>[0]

/** A value that fits a schema, most of the time. */
function near(schema: SchemaNode): fc.Arbitrary<unknown> {
  const odd = fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1.5,
    '',
    'x',
    '3s',
    '1KiB',
    '/a',
    '~[',
    [],
    {},
    [3, 4],
    { x: 1 },
  )
  return fc.oneof({ arbitrary: fitting(schema), weight: 80 }, { arbitrary: odd, weight: 1 })
}

function fitting(schema: SchemaNode): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(fitting))
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  if (schema.unit !== undefined) return fc.constantFrom('3s', '1KiB', 5, '250ms', '0.5MiB', 70_000)
  switch (schema.type) {
    case 'object':
      return fittingObject(schema)
    case 'array':
      return fc.array(near(schema.items ?? {}), { maxLength: 2 })
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -1, max: Math.min(schema.maximum ?? 2000, 2000) })
    case 'boolean':
      return fc.boolean()
    default:
      return fittingText(schema)
  }
}

function fittingText({ pattern = '', format }: SchemaNode): fc.Arbitrary<unknown> {
  const texts = ['a', '/a/', '~.*', 'GET', 'a.b.*', '*.example.com', '127.0.0.1:80', 'two words', '(']
  const isRegex = (text: string) => format !== 'regex' || text !== '('
  return fc.constantFrom(...texts.filter((text) => new RegExp(pattern, 'u').test(text) && isRegex(text)))
}

function fittingObject(schema: SchemaNode): fc.Arbitrary<unknown> {
  const known = Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([key, part]) => [key, near(part)]),
  )
  const { additionalProperties } = schema
  const other = typeof additionalProperties === 'object' ? near(additionalProperties) : fc.constant(1)
  const required = (schema.required ?? []) as string[]
  return fc
    .tuple(
      fc.record(known, { requiredKeys: required }),
      fc.dictionary(fc.constantFrom('x', 'y'), other, { maxKeys: 1 }),
      fc.nat(5),
    )
    .map(([record, more, chance]) =>
      chance === 0 || Object.keys(known).length === 0 ? { ...record, ...more } : record,
    )
}

t.test('accepts exactly what TypeBox accepts by the same schema', (t) => {
  const { listeners: _, clusters: __, filters: ___, routes: ____, ...others } = configSchema.properties
  const head = { ...configSchema, properties: others, required: [] }
  for (const schema of [listenerSchema, clusterSchema, routeSchema, filterSchema, head]) {
    let accepted = 0
    let refused = 0
    fc.assert(
      fc.property(near(schema as unknown as SchemaNode), (value) => {
        const isValid = Check(schema as unknown as Parts, value as never)
        if (isValid) accepted++
        else refused++
        return isValid === (checkAgainst(schema, value, []).length === 0)
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 500) },
    )
    t.ok(accepted > 5 && refused > 2, `${accepted} accepted, ${refused} refused`)
  }
  t.end()
})

t.test('leaves keywords that it does not know to TypeBox', (t) => {
  const schema = {
    type: 'object',
    allOf: [{ required: ['a'] }],
    properties: { a: { not: { const: 3 } }, b: { type: 'integer' } },
  }
  t.same(checkAgainst(schema, { a: 1, b: 1 }, []), [])
  t.match(checkAgainst(schema, { a: 3 }, ['filters', 0]), [{ path: ['filters', 0, 'a'] }])
  t.equal(checkAgainst(schema, { b: 1 }, []).length > 0, true)
  t.match(checkAgainst(schema, { a: 3, b: 'x' }, []), [{ path: ['b'], message: /an integer is needed/ }])
  const tuple = { type: 'array', items: { not: {} } }
  t.match(checkAgainst(tuple, [1], []), [{ path: [0] }])
  t.end()
})

t.test('converts units only where it fills in defaults', (t) => {
  const schema: SchemaNode = {
    type: 'object',
    properties: { a: { type: 'string', unit: 'size' }, b: { type: 'integer', default: 4 } },
  }
  t.same(new SchemaWalk([], true).walk(schema, { a: '1KiB' }), { a: 1024, b: 4 })
  t.same(new SchemaWalk([], false).walk(schema, { a: '1KiB' }), { a: '1KiB' })
  t.end()
})

t.test('publishes plain JSON Schema with the options of each filter', (t) => {
  const options = {
    type: 'object',
    required: ['qps'],
    properties: { qps: { type: 'integer' } },
    additionalProperties: false,
  }
  const published = publishSchema(
    new Map<string, object | null>([
      ['rate-limit', options],
      ['access-log', null],
    ]),
  )
  const isValid = (filters: unknown[]) => {
    const listeners = [{ name: 'in', protocol: 'http1', address: ':80' }]
    return Check(published as Parts, { listeners, filters } as never)
  }
  t.notMatch(JSON.stringify(published), /"(unit|hint|defaultNote)":/)
  t.ok(
    isValid([
      'access-log',
      { use: 'rate-limit', name: 'slow', enabled: false, qps: 1 },
      { use: './x.ts', any: 1 },
      './x.ts',
    ]),
  )
  t.notOk(isValid([{ use: 'rate-limit' }]))
  t.notOk(isValid([{ use: 'rate-limit', qps: 1, qqs: 2 }]))
  t.end()
})

t.test('a value that may be a secret is not shown in what is said about it', (t) => {
  const secret = { anyOf: [{ type: 'string', pattern: '^[a-z]+$' }] }
  const keys = {
    type: 'array',
    items: { type: 'object', properties: { secret, password: { type: 'string' } } },
  }
  const walk = new SchemaWalk(['filters', 0])
  walk.walk({ type: 'object', properties: { keys } } as never, {
    keys: [{ secret: 918_273_645 }, { secret: 'PLANTED 1' }, { password: 445_566 }],
  })
  t.equal(walk.findings.length, 3)
  t.notMatch(JSON.stringify(walk.findings), /918273645|PLANTED|445566/)
  t.end()
})
