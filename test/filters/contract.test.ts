/** One suite for every filter in the table. */
import t from 'tap'
import { Exchange } from '../../lib/core/exchange.ts'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import { checkFilterOptions } from '../../lib/filter-options.ts'
import { FILTERS, loadFilters } from '../../lib/filters/index.ts'
import { type TestRequest, testFilter } from '../../lib/testing.ts'

/** The least that a filter must be told. */
const LEAST: Readonly<Record<string, Record<string, unknown>>> = {
  'rate-limit': { qps: 1000 },
  fault: { abort: { percent: 0 } },
  session: { realms: { main: { keys: [{ id: 'a', secret: Buffer.alloc(32, 1).toString('base64') }] } } },
  sign: { keys: [{ appId: 'A', secret: 'a secret of enough bytes' }] },
  ldc: {
    rules: {
      version: 1,
      cities: { x: {} },
      idcs: { a: { city: 'x' } },
      zones: { RZ01: { kind: 'R', cells: { RZ01A: { idc: 'a', weight: 100 } } } },
      rules: [{ id: 'b', shards: '00-99', zone: 'RZ01' }],
    },
  },
  jwt: {
    issuers: [
      {
        issuer: 'a',
        audience: 'b',
        keys: [{ algorithm: 'HS256', secret: 'a secret of at least thirty-two bytes' }],
      },
    ],
  },
}

/** The shapes that requests come in. */
const REQUESTS: Readonly<Record<string, TestRequest>> = {
  'HTTP without anything': { path: '/', authority: '' },
  'HTTP with all': {
    method: 'POST',
    path: '/a?b=c',
    headers: { 'x-a': ['1', '2'], cookie: 'a=b', traceparent: 'x', 'sofa-traceid': '!' },
    body: { a: 1 },
  },
  'HTTP asterisk': { method: 'OPTIONS', path: '*' },
  'an operation over HTTP': { operation: 'demo.echo', path: '/mgw.htm', body: [{ a: 1 }] },
  'an operation over Mmtp': {
    protocol: 'mmtp',
    operation: 'demo.echo',
    headers: { 'trace-id': 'abc' },
    body: '[]',
  },
  'an untrusted caller on a Unix socket': { trusted: false, clientIp: '' },
}

await loadFilters(FILTERS.keys())

for (const [name, definition] of FILTERS) {
  const least = LEAST[name] ?? {}

  t.test(`${name} is made from the least it must be told`, async (t) => {
    const kit = testFilter(definition, least, { name })
    t.equal(kit.filter.name, name)
    kit.close()
  })

  t.test(`${name} survives every shape of request`, async (t) => {
    for (const [shape, request] of Object.entries(REQUESTS)) {
      const kit = testFilter(definition, least, { name })
      const { error, exchange } = await kit.run(request)
      t.equal(error, null, `${shape}: ${String(error?.cause ?? '')}`)
      t.equal(kit.stats.failures, 0)
      t.ok(exchange instanceof Exchange)
      t.equal(kit.clock.pending, 0, 'leaves no timer')
      kit.close()
    }
  })

  t.test(`${name} survives an exchange that ends before its route is known`, async (t) => {
    const kit = testFilter(definition, least, { name })
    const outcome = await kit.run({ path: '/' }, () => ({ status: 404 }))
    t.doesNotThrow(() => kit.filter.onEnd?.(outcome.exchange))
    t.equal(kit.stats.failures, 0)
  })

  t.test(`${name} refuses what it does not know`, async (t) => {
    t.throws(() => testFilter(definition, { ...least, nonsense_: 1 }), /nonsense_/)
    for (const options of [null, [], 'x', 3]) {
      t.not(checkFilterOptions(definition.schema, options as never).length, 0, String(options))
    }
  })

  t.test(`${name} has a schema that describes each option`, async (t) => {
    const { properties, additionalProperties } = definition.schema as {
      properties: Record<
        string,
        { description?: string; properties?: Record<string, { description?: string }> }
      >
      additionalProperties?: boolean
    }
    t.equal(additionalProperties, false)
    for (const [option, { description, properties: inner }] of Object.entries(properties)) {
      t.ok(description ?? Object.values(inner ?? {}).every((part) => part.description), option)
    }
    t.doesNotThrow(() => JSON.stringify(definition.schema))
  })

  t.test(`${name} leaves exchanges with one shape`, async (t) => {
    const kit = testFilter(definition, least, { name })
    const plain = await kit.run({ path: '/' })
    const busy = await kit.run(REQUESTS['HTTP with all'])
    t.strictSame(Object.keys(plain.exchange), Object.keys(busy.exchange))
  })
}

t.test('names in the table are the names that users write', async (t) => {
  for (const [name, definition] of FILTERS as ReadonlyMap<string, FilterDefinition>) {
    t.match(name, /^[a-z]+(-[a-z]+)*$/)
    t.type(definition.create, 'function')
  }
})
