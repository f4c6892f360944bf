/** What a configuration says about Bolt and Dubbo: listeners, clusters, routes, calls, types. */
import t, { type Test } from 'tap'
import type { Config } from '../../lib/config/config.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { loadInSteps } from '../../lib/config/load-steps.ts'
import { describeProblem } from '../../lib/config/problem.ts'
import { splitServiceName } from '../../lib/config/service-name.ts'
import { NO_TURNS } from '../../lib/config/turns.ts'

const CATALOG = new Map<string, object | null>()
const CLUSTERS = `clusters:
  - { name: order, protocol: bolt, endpoints: [127.0.0.1:12200] }
  - { name: order2, protocol: bolt, endpoints: [127.0.0.1:12201] }
  - { name: stock, protocol: dubbo, endpoints: [127.0.0.1:20880] }
  - { name: web, protocol: http1, endpoints: [127.0.0.1:8080] }
  - { name: mesh, protocol: mmtp, endpoints: [127.0.0.1:8081] }
`
const BASE = `listeners: [ { name: in, protocol: auto, address: ":1" } ]\n${CLUSTERS}`

function load(text: string): { config: Config | null; problems: string[] } {
  const { config, problems } = loadConfig(text, CATALOG)
  return { config, problems: problems.map(describeProblem) }
}

function loaded(t: Test, text: string): Config {
  const { config, problems } = load(text)
  t.same(problems, [])
  return config as Config
}

const route = (match: string, to: string, more = '') =>
  `${BASE}routes: [ { match: { ${match} }, to: { ${to} }${more} } ]`

/** Asserts that a text has exactly one problem, with these words. */
function refuses(t: Test, text: string, expected: string | RegExp): void {
  const { problems } = load(text)
  t.equal(problems.length, 1, problems.join(' | '))
  if (typeof expected === 'string') t.equal(problems[0], expected)
  else t.match(problems[0], expected)
}

t.test('listeners and clusters get the limits and times of their protocol', async (t) => {
  const config = loaded(
    t,
    `node: { app: shop }
listeners:
  - { name: b, protocol: bolt, address: ":1", boltGoAway: true, limits: { frame: 1MiB } }
  - { name: d, protocol: dubbo, address: ":2" }
  - { name: a, protocol: auto, address: ":3" }
clusters:
  - { name: b, protocol: bolt, endpoints: ["h:1"] }
  - { name: d, protocol: dubbo, endpoints: ["h:1"], limits: { frame: 8MiB } }
  - { name: h, protocol: http1, endpoints: ["h:1"] }
  - { name: m, protocol: mmtp, endpoints: ["h:1"] }
  - { name: n, protocol: bolt, endpoints: ["h:1"], heartbeat: 0, timeouts: { idle: 1s } }
`,
  )
  t.same(
    config.listeners.map(({ timeouts, limits, boltGoAway }) => [timeouts.idle, limits.frame, boltGoAway]),
    [
      [90_000, 2 ** 20, true],
      [180_000, 16 * 2 ** 20, false],
      [240_000, 16 * 2 ** 20, false],
    ],
  )
  t.same(
    config.clusters.map(({ timeouts, limits, heartbeat }) => [timeouts.idle, limits.frame, heartbeat]),
    [
      [600_000, 16 * 2 ** 20, 15_000],
      [600_000, 8 * 2 ** 20, 60_000],
      [4000, 16 * 2 ** 20, 0],
      [200_000, 16 * 2 ** 20, 0],
      [1000, 16 * 2 ** 20, 0],
    ],
  )
  t.ok(config.clusters[0]!.timeouts.idle > config.clusters[0]!.heartbeat)
})

t.test('a frame limit below any frame, or an unknown protocol, is refused with a hint', async (t) => {
  const listener = (rest: string) => `listeners: [ { name: a, address: ":1", ${rest} } ]`
  refuses(t, listener('protocol: bolt, limits: { frame: 100B }'), /limits\.frame: 100 is too small/)
  refuses(t, listener('protocol: dubo'), /did you mean "dubbo"\?/)
  refuses(t, listener('protocol: bolt, boltGoaway: true'), /did you mean "boltGoAway"\?/)
})

t.test('a service may bring its version and group along, in match and in to', async (t) => {
  t.same(splitServiceName('a.B'), { service: 'a.B', version: '', group: '' })
  t.same(splitServiceName('a.B:1.0'), { service: 'a.B', version: '1.0', group: '' })
  t.same(splitServiceName('a.B::x:y'), { service: 'a.B', version: '', group: 'x:y' })
  const config = loaded(
    t,
    `${BASE}routes:
  - { match: { service: 'a.b.C:1.0:blue', method: [create, $invoke], app: [x, y], headers: { X-Lane: a } }, to: { cluster: order, service: 'a.b.D:2.0' } }
  - { match: { service: 'a.b.*', version: '1', group: g }, to: { cluster: stock, group: h } }
  - { match: { service: '*' }, to: { cluster: stock } }`,
  )
  const [first, second, third] = config.routes
  t.same(first?.match, {
    service: 'a.b.C',
    version: '1.0',
    group: 'blue',
    method: ['create', '$invoke'],
    app: ['x', 'y'],
    headers: { 'x-lane': 'a' },
  })
  const plain = { operation: '', method: '', path: '' }
  t.same(first?.to.translation, { ...plain, service: 'a.b.D', version: '2.0', group: '' })
  t.same(second?.match, { service: 'a.b.*', version: '1', group: 'g' })
  t.same(second?.to.translation, { ...plain, service: '', version: '', group: 'h' })
  t.equal(third?.to.translation, null)
  t.same([first?.to.call, second?.to.call, third?.to.call], [null, null, null])
})

t.test('a call is spelled out with its defaults, frozen', async (t) => {
  const text = `${BASE}routes:
  - { match: { operation: shop.create }, to: { cluster: order, service: 'a.b.C:1.0', method: create } }
  - match: { path: /x }
    to:
      cluster: stock
      service: a.b.C
      version: '2'
      group: g
      method: put
      parameters: [a.b.Order, int]
      parameterNames: [order, n]
      json: { longs: number }
types:
  a.b.Order: { fields: { id: long, lines: 'java.util.List<a.b.Line>', state: a.b.State }, extends: a.b.Base }
  a.b.Base: { fields: {} }
  a.b.Line: { fields: { n: int, next: a.b.Line, other: 'Map<String, Object>' } }
  a.b.State: { enum: [NEW, PAID] }
`
  const config = loaded(t, text)
  const json = { longs: 'string', dates: 'iso', exceptions: 'hidden', classes: false }
  t.same(config.routes[0]?.to.call, {
    service: 'a.b.C',
    version: '1.0',
    group: '',
    method: 'create',
    parameters: [],
    parameterNames: [],
    json,
  })
  t.same(config.routes[1]?.to.call, {
    service: 'a.b.C',
    version: '2',
    group: 'g',
    method: 'put',
    parameters: ['a.b.Order', 'int'],
    parameterNames: ['order', 'n'],
    json: { ...json, longs: 'number' },
  })
  t.same(Object.keys(config.types), ['a.b.Order', 'a.b.Base', 'a.b.Line', 'a.b.State'])
  t.same(config.types['a.b.State'], { enum: ['NEW', 'PAID'] })
  const pending: unknown[] = [config.types, ...config.routes.map(({ to }) => to)]
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (typeof value !== 'object' || value === null) continue
    t.ok(Object.isFrozen(value), JSON.stringify(value))
    pending.push(...Object.values(value))
  }
  t.same((await loadInSteps(text, CATALOG, NO_TURNS))?.config, config, 'however it is loaded')
})

t.test('a match asks an RPC only for what it has', async (t) => {
  const rpc = (match: string) => route(match, 'cluster: order')
  refuses(t, rpc('service: a.B, path: /x'), /match\.path: an RPC, which service asks for, has no path/)
  refuses(t, rpc('service: a.B, host: a.io'), /match\.host: .* has no host/)
  refuses(t, rpc('service: a.B, operation: a.b'), /match\.operation: .* has no operation/)
  refuses(t, rpc('service: a.B, query: { a: b }'), /match\.query: .* has no query/)
  refuses(t, rpc('service: a.B, cookies: { a: b }'), /match\.cookies: .* has no cookies/)
  refuses(
    t,
    rpc("version: '1'"),
    'routes[0].match.version: version is for RPCs and needs service — add service; "*" is any',
  )
  refuses(t, rpc('app: x'), /app is for RPCs and needs service/)
  refuses(t, rpc('service: "a.*.b"'), /write a\.b\.C for one interface, a\.b\.\* for all below a\.b/)
  refuses(
    t,
    rpc("service: 'a.B:1.0', version: '1.0'"),
    /service names the version "1\.0" already — leave version out/,
  )
  refuses(t, rpc("service: 'a.B:1:x', group: y"), /service names the group "x" already/)
  refuses(
    t,
    rpc('service: a.B, method: [create, x-y]'),
    /match\.method\[1\]: "x-y" is not possible here — .*Java method/,
  )
  refuses(t, rpc('service: a.B, app: []'), /the list is empty/)
  refuses(t, rpc('servise: a.B'), /did you mean "service"\?/)
})

t.test('a call leads to clusters of one RPC protocol, with a service and a method', async (t) => {
  const call = (to: string, match = 'operation: a.b') => route(match, to)
  const both = 'clusters: [ { cluster: order }, { cluster: stock } ]'
  const same = 'clusters: [ { cluster: order }, { cluster: order2 } ]'
  loaded(t, call(`${same}, service: a.B, method: m`))
  loaded(t, call('cluster: order, service: a.B, method: m', ''))
  loaded(t, call(both, ''))
  refuses(
    t,
    call(`${both}, service: a.B, method: m`),
    /to\.clusters: a call goes to clusters of one protocol, not of bolt and dubbo/,
  )
  refuses(
    t,
    call('cluster: order, method: m'),
    'routes[0].to.method: a call needs the service of its method — add service',
  )
  refuses(
    t,
    call('cluster: order'),
    /routes\[0\]\.to: what match\.operation asks for is no RPC.* — add service and method/,
  )
  refuses(t, call('cluster: order, service: a.B', 'path: /x'), /what match\.path asks for is no RPC/)
  refuses(t, call('cluster: order, service: a.B, method: a-b'), /"a-b" is not possible here — .*Java method/)
  refuses(
    t,
    call('cluster: order, service: "a.*", method: m'),
    /to\.service: .*com\.example\.OrderService:1\.0/,
  )
  refuses(
    t,
    call("cluster: order, service: 'a.B:1', version: '2', method: m"),
    /service names the version "1" already/,
  )
  refuses(
    t,
    call('cluster: order, service: a.B, method: m, path: /x'),
    /a cluster that speaks bolt has no use for path/,
  )
  refuses(
    t,
    call('cluster: order, parameters: [int]', ''),
    /parameters belongs to a call, which needs method/,
  )
  refuses(
    t,
    call('cluster: order, service: a.B, method: m, json: { longs: big }'),
    /json\.longs: "big" is not possible here/,
  )
  const named = (names: string) =>
    call(`cluster: order, service: a.B, method: m, parameters: [int, long], parameterNames: ${names}`)
  loaded(t, named('[a, b]'))
  refuses(t, named('[a]'), /1 names are given for 2 parameters/)
  refuses(t, named('[a, a]'), /parameterNames\[1\]: the name "a" is listed twice/)
})

t.test('keys of calls have no place on other clusters and on redirects', async (t) => {
  refuses(
    t,
    route('path: /x', 'cluster: web, service: a.B'),
    'routes[0].to.service: service is for clusters that speak bolt or dubbo — leave it out',
  )
  refuses(
    t,
    route('path: /x', 'cluster: mesh, parameters: [int]'),
    /parameters is for clusters that speak bolt or dubbo/,
  )
  refuses(
    t,
    route('path: /x', 'cluster: web, method: create'),
    /to\.method: "create" is not possible here — methods are upper case/,
  )
  loaded(t, route('operation: a.b', 'cluster: web, method: PUT'))
  refuses(t, route('path: /x', 'redirect: { path: /y }, service: a.B'), /a redirect has no use for service/)
})

t.test('an RPC is passed through: only its service may change', async (t) => {
  refuses(
    t,
    route('service: a.B', 'cluster: order, method: m, service: a.C'),
    /to\.method: an RPC keeps its method/,
  )
  refuses(
    t,
    route('service: a.B', 'cluster: web'),
    /routes\[0\]\.to: the route matches RPCs, which no cluster here speaks/,
  )
  refuses(t, route('service: a.B', 'redirect: { path: /x }'), /an RPC cannot be redirected/)
  refuses(
    t,
    route('service: a.B', 'cluster: order', ', rewrite: { path: /x }'),
    /an RPC has no path to rewrite — use to\.service/,
  )
})

t.test('a misspelled cluster is one problem, whatever else the route says', async (t) => {
  refuses(t, route('operation: a.b', 'cluster: ordr, service: a.B, method: m'), /did you mean "order"\?/)
})

t.test('descriptions of types hold together', async (t) => {
  const types = (body: string) => `${BASE}types:\n${body}`
  loaded(t, types('  a.B: { fields: { x: "java.util.Map<String, a.B[]>", y: Object, z: "byte[]" } }'))
  refuses(
    t,
    types('  a.Order: { fields: { item: "java.util.List<a.Itm>" } }\n  a.Item: { fields: {} }'),
    'types["a.Order"].fields.item: there is no type a.Itm — did you mean "a.Item"?',
  )
  refuses(
    t,
    types('  a.B: { fields: { x: org.other.Thing } }'),
    /there is no type org\.other\.Thing — describe it too/,
  )
  refuses(
    t,
    types('  a.B: { fields: {}, extends: a.C }\n  a.D: { fields: {} }'),
    /there is no type "a\.C" — did you mean/,
  )
  refuses(t, types('  a.B: { fields: {}, extends: a.B }'), /the class extends itself: a\.B → a\.B/)
  t.match(load(types('  a.B: { fields: {}, extends: a.C }\n  a.C: { fields: {}, extends: a.B }')).problems, [
    /extends itself: a\.B → a\.C → a\.B/,
    /extends itself: a\.C → a\.B → a\.C/,
  ])
  t.match(
    load(types('  a.A: { fields: {}, extends: a.B }\n  a.B: { fields: {}, extends: a.B }')).problems,
    [/^types\["a\.B"\]/],
    'only the circle itself is reported',
  )
  refuses(
    t,
    types('  a.E: { enum: [A, B, A] }'),
    'types["a.E"].enum[2]: the constant A is listed twice — remove one of them',
  )
  refuses(t, types('  a.E: { enum: [A, "b c"] }'), /"b c" is no Java name/)
  refuses(t, types('  a.E: { enum: [A], fields: {} }'), /fields and enum exclude each other/)
  refuses(t, types('  a.E: { enum: [A], extends: a.B }\n  a.B: { fields: {} }'), /an enum extends nothing/)
  refuses(
    t,
    types('  a.B: { fields: {}, extends: a.E }\n  a.E: { enum: [A] }'),
    /a\.E is an enum, which nothing extends/,
  )
  refuses(t, types('  a.B: {}'), /a\.B has neither fields nor enum/)
  refuses(t, types('  "a b": { fields: {} }'), /"a b" is no class name/)
  refuses(t, types('  a.B: { fields: { "x y": int } }'), /"x y" is no Java name/)
  refuses(t, types('  a.B: { feilds: {} }'), /did you mean "fields"\?/)
  refuses(t, types('  a.B: { fields: { x: 3 } }'), /a text is needed here/)
  loaded(t, types('  constructor: { fields: { toString: int } }'))
})
