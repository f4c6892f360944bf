import t from 'tap'
import { GatewayError } from '../../lib/core/errors.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import type { Filter, FilterDefinition } from '../../lib/core/filter.ts'
import { Verdict } from '../../lib/core/verdict.ts'
import { checkFilterOptions } from '../../lib/filter-options.ts'
import type { ChainOwner, ChainPhase } from '../../lib/filters/chain.ts'
import { type Chain, ChainPhase as Phase, Suspended } from '../../lib/filters/chain.ts'
import { compileChains, type FilterSpec, type RouteFilters } from '../../lib/filters/compile.ts'
import { SlotRegistry } from '../../lib/filters/services.ts'
import { filterServices, makeExchange, recordingLog } from './support.ts'

interface Resumption {
  exchange: Exchange
  phase: ChainPhase
  next: number
  verdict: Verdict
  error: GatewayError | null
}

/** An owner that keeps what it is told and lets a test wait for it. */
function makeOwner(): ChainOwner & { resumed: Promise<Resumption>; count: number } {
  const { promise, resolve } = Promise.withResolvers<Resumption>()
  const owner = {
    resumed: promise,
    count: 0,
    resume(
      exchange: Exchange,
      phase: ChainPhase,
      next: number,
      verdict: Verdict,
      error: GatewayError | null,
    ) {
      owner.count++
      resolve({ exchange, phase, next, verdict, error })
    },
  }
  return owner
}

function definitionOf(hooks: Partial<Filter>, extra: Partial<FilterDefinition> = {}): FilterDefinition {
  return { schema: null, ...extra, create: (_options, { name }) => ({ name, ...hooks }) }
}

function specOf(name: string, hooks: Partial<Filter>, more: Partial<FilterSpec> = {}): FilterSpec {
  return {
    name,
    use: name,
    definition: definitionOf(hooks),
    options: {},
    enabled: true,
    module: null,
    ...more,
  }
}

function compile(filters: FilterSpec[], routes: RouteFilters[] = [], owner: ChainOwner = makeOwner()) {
  const { log, records } = recordingLog()
  const slots = new SlotRegistry()
  const result = compileChains({
    filters,
    routes,
    owner,
    servicesFor: (name) => filterServices(name, { slots, log }),
    check: checkFilterOptions,
    log,
    previous: null,
  })
  return { ...result, records }
}

function compiled(filters: FilterSpec[], routes: RouteFilters[] = [], owner: ChainOwner = makeOwner()) {
  const result = compile(filters, routes, owner)
  if (result.set === null) throw new Error(JSON.stringify(result.problems))
  return { set: result.set, chains: result.chains, base: result.set.base, records: result.records }
}

function messages(filters: FilterSpec[], routes: RouteFilters[] = []): string[] {
  return compile(filters, routes).problems.map(
    ({ filter, message, hint = '' }) => `${filter}: ${message}${hint && ` — ${hint}`}`,
  )
}

t.test('runs request and route hooks in order, response hooks in reverse, end hooks in order', async (t) => {
  const seen: string[] = []
  const hooks = (name: string): Partial<Filter> => ({
    onRequest: () => void seen.push(`${name}.request`),
    onRoute: () => void seen.push(`${name}.route`),
    onResponse: () => void seen.push(`${name}.response`),
    onEnd: () => void seen.push(`${name}.end`),
  })
  const { base } = compiled([specOf('a', hooks('a')), specOf('b', hooks('b'))])
  const exchange = makeExchange()
  t.equal(base.runRequest(exchange, 0), Verdict.Continue)
  t.equal(base.runRoute(exchange, 0), Verdict.Continue)
  t.equal(base.runResponse(exchange, 0), Verdict.Continue)
  base.runEnd(exchange)
  t.strictSame(seen, [
    'a.request',
    'b.request',
    'a.route',
    'b.route',
    'b.response',
    'a.response',
    'a.end',
    'b.end',
  ])
})

t.test('calls a hook with its filter as this', async (t) => {
  let self: unknown = null
  const filter: Filter = {
    name: 'me',
    onRequest() {
      self = this
    },
  }
  const { base } = compiled([specOf('me', {}, { definition: { schema: null, create: () => filter } })])
  base.runRequest(makeExchange(), 0)
  t.equal(self, filter)
})

t.test('stops at the first reply and counts it', async (t) => {
  let later = 0
  const { base, set } = compiled([
    specOf('gate', { onRequest: (exchange) => exchange.reply(403, 'no') }),
    specOf('later', { onRequest: () => void later++ }),
  ])
  const exchange = makeExchange()
  t.equal(base.runRequest(exchange, 0), Verdict.Reply)
  t.equal(exchange.localReply?.status, 403)
  t.equal(later, 0)
  t.equal(set.stats.get('gate')?.replies, 1)
})

t.test('suspends on a promise and tells the owner where to go on', async (t) => {
  const owner = makeOwner()
  const { promise, resolve } = Promise.withResolvers<void>()
  let later = 0
  const { base, set } = compiled(
    [specOf('wait', { onRoute: () => promise }), specOf('later', { onRoute: () => void later++ })],
    [],
    owner,
  )
  const exchange = makeExchange()
  t.equal(base.runRoute(exchange, 0), Suspended)
  t.equal(later, 0)
  resolve()
  const resumption = await owner.resumed
  t.match(resumption, { phase: Phase.Route, next: 1, verdict: Verdict.Continue, error: null })
  t.equal(resumption.exchange, exchange)
  t.equal(base.runRoute(exchange, resumption.next), Verdict.Continue)
  t.equal(later, 1)
  t.equal(set.stats.get('wait')?.suspensions, 1)
})

t.test('gives a reply that was promised to the owner', async (t) => {
  const owner = makeOwner()
  const { base, set } = compiled(
    [specOf('wait', { onResponse: async (exchange) => exchange.refuse('RATE_LIMITED') })],
    [],
    owner,
  )
  t.equal(base.runResponse(makeExchange(), 0), Suspended)
  t.match(await owner.resumed, { phase: Phase.Response, verdict: Verdict.Reply, error: null })
  t.equal(set.stats.get('wait')?.replies, 1)
})

t.test('turns what a hook throws into FILTER_FAILED with name and cause', async (t) => {
  const cause = new RangeError('oops')
  const throwing = () => {
    throw cause
  }
  const { base, set } = compiled([
    specOf('fine', { onRequest: () => {} }),
    specOf('bad', { onRequest: throwing }),
  ])
  try {
    base.runRequest(makeExchange(), 0)
    t.fail('must throw')
  } catch (error) {
    t.ok(error instanceof GatewayError)
    t.match(error, { code: 'FILTER_FAILED', detail: 'bad' })
    t.equal((error as Error).cause, cause)
  }
  t.equal(set.stats.get('bad')?.failures, 1)
  t.equal(set.stats.get('fine')?.failures, 0)
})

t.test('turns a rejected promise into FILTER_FAILED for the owner', async (t) => {
  const owner = makeOwner()
  const cause = new Error('later')
  const { base, set } = compiled([specOf('bad', { onRequest: () => Promise.reject(cause) })], [], owner)
  t.equal(base.runRequest(makeExchange(), 0), Suspended)
  const { error } = await owner.resumed
  t.match(error, { code: 'FILTER_FAILED', detail: 'bad' })
  t.equal(error?.cause, cause)
  t.equal(set.stats.get('bad')?.failures, 1)
  t.equal(owner.count, 1)
})

t.test('fails closed on a hook that returns nonsense', async (t) => {
  for (const nonsense of [true, false, 'reply', 7, {}, null, Verdict.Reply]) {
    const { base } = compiled([specOf('odd', { onRequest: () => nonsense as never })])
    t.throws(
      () => base.runRequest(makeExchange(), 0),
      { code: 'FILTER_FAILED', detail: 'odd' },
      String(nonsense),
    )
    const owner = makeOwner()
    const later = compiled([specOf('odd', { onRequest: async () => nonsense as never })], [], owner)
    t.equal(later.base.runRequest(makeExchange(), 0), Suspended)
    t.match((await owner.resumed).error, { code: 'FILTER_FAILED' })
  }
})

t.test('runs every end hook though one throws or rejects, and logs the failure', async (t) => {
  let ended = 0
  const { base, set, records } = compiled([
    specOf('bad', {
      onEnd: () => {
        throw new Error('sync')
      },
    }),
    specOf('rejects', { onEnd: (async () => Promise.reject(new Error('async'))) as () => void }),
    specOf('good', { onEnd: () => void ended++ }),
  ])
  base.runEnd(makeExchange())
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(ended, 1)
  t.equal(set.stats.get('bad')?.failures, 1)
  t.equal(set.stats.get('rejects')?.failures, 1)
  t.strictSame(
    records.map(({ fields }) => (fields as { filter: string }).filter),
    ['bad', 'rejects'],
  )
})

t.test('says which bodies it needs', async (t) => {
  const needs = (needsBody?: Filter['needsBody']) => {
    const hooks = needsBody === undefined ? { onRoute: () => {} } : { onRoute: () => {}, needsBody }
    const { base } = compiled([specOf('x', hooks)])
    return [base.needsRequestBody, base.needsResponseBody]
  }
  t.strictSame(needs(), [false, false])
  t.strictSame(needs('request'), [true, false])
  t.strictSame(needs('response'), [false, true])
  t.strictSame(needs('both'), [true, true])
})

const COUNTING: FilterDefinition<{ add: number; tags?: object }> = {
  schema: {
    type: 'object',
    additionalProperties: false,
    required: ['add'],
    properties: { add: { type: 'number' }, tags: { type: 'object' } },
  },
  create: (options, { name }) => ({
    name,
    onRoute: (exchange) => {
      exchange.requestBytes += options.add
    },
  }),
}

t.test('gives a route its own options over those of the chain', async (t) => {
  const spec = specOf('count', {}, { definition: COUNTING as FilterDefinition, options: { add: 1 } })
  const { base, chains } = compiled(
    [spec],
    [
      { name: 'plain', filters: null },
      { name: 'own', filters: { count: { add: 5 } } },
      { name: 'off', filters: { count: false } },
      { name: 'on', filters: { count: true } },
      { name: 'off too', filters: { count: false } },
    ],
  )
  const added = (chain: Chain) => {
    const exchange = makeExchange()
    chain.runRoute(exchange, 0)
    return exchange.requestBytes
  }
  t.equal(added(base), 1)
  t.strictSame(chains.map(added), [1, 5, 0, 1, 0])
  t.equal(chains[0], base, 'a route without options shares the base chain')
  t.equal(chains[2], chains[4], 'equal switches share a chain')
})

t.test('keeps a disabled filter out until a route switches it on', async (t) => {
  const off = { enabled: false, definition: COUNTING as FilterDefinition }
  const routes = [
    { name: 'a', filters: { count: { add: 3 } } },
    { name: 'b', filters: { count: { tags: {} } } },
  ]
  const { base, chains } = compiled([specOf('count', {}, { ...off, options: {} })], routes.slice(0, 1))
  const exchange = makeExchange()
  base.runRoute(exchange, 0)
  t.equal(exchange.requestBytes, 0)
  chains[0].runRoute(exchange, 0)
  t.equal(exchange.requestBytes, 3)
  t.strictSame(messages([specOf('count', {}, { ...off, options: {} })], routes), [
    'count: the key "add" is missing — add add',
  ])
})

t.test('refuses route options that would have no effect', async (t) => {
  const early = specOf('early', { onRequest: () => {} })
  const routes = [{ name: 'r', filters: { early: { x: 1 } } }]
  t.match(messages([early], routes), [/early: route "r" cannot change it: it acts in onRequest/])
  const never = specOf('early', {}, { definition: definitionOf({ onRoute: () => {} }, { perRoute: false }) })
  t.match(messages([never], routes), [/no options per route/])
  t.match(messages([never], [{ name: 'r', filters: { early: false } }]), [/no options per route/])
  const copes = specOf('early', {}, { definition: definitionOf({ onRequest: () => {} }, { perRoute: true }) })
  t.strictSame(messages([copes], routes), [])
  t.match(messages([{ ...early, enabled: false }], routes), [/acts in onRequest/])
})

t.test('still ends a filter whose onRequest ran before its route switched it off', async (t) => {
  const seen: string[] = []
  const hooks: Partial<Filter> = {
    onRequest: () => void seen.push('request'),
    onRoute: () => void seen.push('route'),
    onEnd: () => void seen.push('end'),
  }
  const spec = specOf('both', {}, { definition: definitionOf(hooks, { perRoute: true }) })
  const { base, chains } = compiled([spec], [{ name: 'r', filters: { both: false } }])
  const exchange = makeExchange()
  base.runRequest(exchange, 0)
  chains[0].runRoute(exchange, 0)
  chains[0].runEnd(exchange)
  t.strictSame(seen, ['request', 'end'])
})

t.test('reports every problem with its place', async (t) => {
  const { problems, set } = compile(
    [
      specOf('count', {}, { definition: COUNTING as FilterDefinition, options: { add: 'x', ad: 1 } }),
      specOf('twin', { onRoute: () => {} }),
      specOf('twin', { onRoute: () => {} }),
      specOf('empty', {}),
    ],
    [{ name: 'r', filters: { twn: true } }],
  )
  t.equal(set, null)
  t.match(problems, [
    { filterIndex: 0, routeIndex: -1, path: '/add', message: /number is needed/ },
    { filterIndex: 0, routeIndex: -1, path: '/ad', hint: /did you mean "add"/ },
    { filterIndex: 3, message: /none of the hooks/ },
    { filterIndex: 2, message: /name "twin" is taken/ },
    { filterIndex: -1, routeIndex: 0, filter: 'twn', message: /did you mean "twin"/ },
  ])
})

t.test('refuses factories that give no filter', async (t) => {
  const broken = (create: () => unknown) =>
    messages([specOf('x', {}, { definition: { schema: null, create: create as never } })])
  t.match(
    broken(() => undefined),
    [/returned undefined/],
  )
  t.match(
    broken(async () => ({ name: 'x' })),
    [/factory is async/],
  )
  t.match(
    broken(() => ({ name: 'x', onRoute: 3 })),
    [/onRoute is no function/],
  )
  t.match(
    broken(() => {
      throw new Error('no table')
    }),
    [/x: no table/],
  )
})

t.test('checks that a filter stands at the end of the chain that it demands', async (t) => {
  const first = specOf('first', { onRoute: () => {}, place: 'first' })
  const last = specOf('last', { onRoute: () => {}, place: 'last' })
  const other = specOf('other', { onRoute: () => {} })
  t.strictSame(messages([first, other, last]), [])
  t.match(messages([other, first]), [/first: must stand at the beginning .*"other"/])
  t.match(messages([last, other]), [/last: must stand at the end .*"other"/])
})

t.test('closes filters when the set is retired and its last exchange is over', async (t) => {
  let closed = 0
  const spec = specOf('x', { onRoute: () => {}, close: () => void closed++ })
  const { set } = compiled([spec], [{ name: 'r', filters: { x: { own: 1 } } }])
  set.retain()
  set.retain()
  set.release()
  set.retire()
  t.equal(closed, 0, 'an exchange still runs')
  set.release()
  t.equal(closed, 2, 'the chain’s and the route’s instance')
  set.retire()
  t.equal(closed, 2)
  t.throws(() => set.release(), /without retain/)
})

t.test('closes what it made when the configuration is refused', async (t) => {
  let closed = 0
  const good = specOf('good', { onRoute: () => {}, close: () => void closed++ })
  t.equal(messages([good, specOf('bad', {})]).length, 1)
  t.equal(closed, 1)
})

t.test('carries statistics over to the next set', async (t) => {
  const spec = specOf('gate', { onRequest: (exchange) => exchange.reply(403) })
  const { set } = compiled([spec])
  set.base.runRequest(makeExchange(), 0)
  const { log } = recordingLog()
  const next = compileChains({
    filters: [spec],
    routes: [],
    owner: makeOwner(),
    servicesFor: (name) => filterServices(name),
    check: checkFilterOptions,
    log,
    previous: set,
  })
  t.match(next.set?.reports(), [{ name: 'gate', hooks: ['onRequest'], replies: 1, module: null }])
})

t.test('gives chain and route instances of a filter the same slots', async (t) => {
  const slots = new SlotRegistry()
  t.equal(slots.slot('a', 'x'), slots.slot('a', 'x'))
  t.not(slots.slot('a', 'x').index, slots.slot('b', 'x').index)
  t.not(slots.slot('a', 'x').index, slots.slot('a', 'y').index)
})

t.test('compiles 30,000 routes with options of their own in little time', async (t) => {
  const spec = specOf('count', {}, { definition: COUNTING as FilterDefinition, options: { add: 1 } })
  const routes = Array.from({ length: 30_000 }, (_, i) => ({ name: `r${i}`, filters: { count: { add: i } } }))
  const start = performance.now()
  const { chains } = compiled([spec], routes)
  t.equal(chains.length, 30_000)
  t.ok(performance.now() - start < 2000, `took ${performance.now() - start} ms`)
})
