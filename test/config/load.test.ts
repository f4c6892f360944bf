import t, { type Test } from 'tap'
import { checkConfig, loadConfig, locateFindings } from '../../lib/config/load.ts'
import { describeProblem } from '../../lib/config/problem.ts'

const RATE_LIMIT = {
  type: 'object',
  required: ['qps'],
  additionalProperties: false,
  properties: { qps: { type: 'integer', minimum: 1 }, burst: { type: 'integer' }, key: { type: 'string' } },
}
const CATALOG = new Map<string, object | null>([
  ['access-log', null],
  ['trace-context', null],
  ['headers', null],
  ['rate-limit', RATE_LIMIT],
])

const LISTENER = '{ name: in, protocol: http1, address: 127.0.0.1:8190 }'
const CLUSTER = '{ name: out, protocol: http1, endpoints: [127.0.0.1:9000] }'

/** A configuration with the given lists in place of the usual ones. */
function config(parts: {
  listeners?: string
  clusters?: string
  filters?: string
  routes?: string
  more?: string
}): string {
  const {
    listeners = `[ ${LISTENER} ]`,
    clusters = `[ ${CLUSTER} ]`,
    filters = '[]',
    routes = '[]',
    more = '',
  } = parts
  return `listeners: ${listeners}\nclusters: ${clusters}\nfilters: ${filters}\nroutes: ${routes}\n${more}`
}

/** `line:column path: message — hint` of every problem. */
function problemsOf(text: string): string[] {
  return loadConfig(text, CATALOG).problems.map(
    (problem) => `${problem.line}:${problem.column} ${describeProblem(problem)}`,
  )
}

/** Asserts that a text has exactly one problem, and that its words are these. */
function refuses(t: Test, text: string, expected: string | RegExp): void {
  const problems = problemsOf(text)
  t.equal(problems.length, 1, `one problem in ${text.slice(0, 200)}: ${problems.slice(0, 5).join(' | ')}`)
  if (typeof expected === 'string') t.equal(problems[0], expected)
  else t.match(problems[0], expected)
}

t.test('fills in defaults and turns durations and sizes into numbers', (t) => {
  const text = `
node: { app: bench, cell: RZ01A }
admin: { address: 127.0.0.1:15900 }
listeners: [ { name: in, protocol: http1, address: 127.0.0.1:8190 } ]
clusters: [ { name: out, protocol: http1, endpoints: [127.0.0.1:9000] } ]
filters:
  - { use: access-log, path: access.log, sample: 0.01 }
  - trace-context
  - { use: headers, request: { set: { x-gateway: meshgate } } }
  - { use: rate-limit, qps: 100000000 }
routes:
  - { match: { path: /api/v1/things }, to: { cluster: out } }
  - { match: {}, to: { cluster: out } }
`
  const { config, problems, checksum } = loadConfig(text, CATALOG)
  t.same(problems, [])
  t.match(checksum, /^[0-9a-f]{64}$/)
  t.same(config?.node, { app: 'bench', cell: 'RZ01A', labels: {} })
  t.same(config?.drain, { grace: 30_000, delay: 0 })
  t.same(config?.gather, { limit: 4 * 1024 * 1024 })
  t.same(config?.listeners[0].limits, {
    head: 65_536,
    headers: 100,
    uri: 16_384,
    body: 0,
    frame: 16 * 1024 * 1024,
  })
  t.same(config?.listeners[0].timeouts, { header: 10_000, idle: 60_000 })
  t.same(config?.clusters[0].endpoints, [{ address: '127.0.0.1:9000', weight: 1 }])
  t.same(config?.clusters[0].timeouts, { connect: 1000, idle: 4000 })
  t.same(config?.filters[0], {
    name: 'access-log',
    use: 'access-log',
    enabled: true,
    options: { path: 'access.log', sample: 0.01 },
  })
  t.same(config?.filters[1], { name: 'trace-context', use: 'trace-context', enabled: true, options: {} })
  t.same(config?.routes[0], {
    match: { path: '/api/v1/things' },
    to: { clusters: [{ cluster: 'out', weight: 1 }], redirect: null, translation: null, call: null },
    timeout: 15_000,
    perTryTimeout: 0,
    filters: null,
  })
  t.end()
})

t.test('gives a listener for Mmtp its own idle timeout, unless one is written', (t) => {
  const { config: loaded } = loadConfig(
    config({
      listeners:
        '[ { name: a, protocol: mmtp, address: ":1" }, { name: b, protocol: auto, address: ":2", timeouts: { idle: 1.5m } } ]',
      clusters: '[ { name: c, protocol: mmtp, endpoints: ["unix:/run/x"], connectionsPerEndpoint: 2 } ]',
    }),
    CATALOG,
  )
  t.same(
    loaded?.listeners.map(({ timeouts }) => timeouts.idle),
    [240_000, 90_000],
  )
  t.equal(loaded?.clusters[0].timeouts.idle, 200_000)
  t.end()
})

t.test('freezes the whole result', (t) => {
  const text = config({
    filters: '[ { use: headers, request: { set: { a: b } } } ]',
    routes:
      '[ { match: { headers: { X-User: ada } }, to: { clusters: [ { cluster: out, weight: 3 } ] }, filters: { headers: { a: [1] } } } ]',
  })
  const pending: unknown[] = [loadConfig(text, CATALOG).config]
  let count = 0
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (typeof value !== 'object' || value === null) continue
    count++
    t.ok(Object.isFrozen(value), JSON.stringify(value))
    pending.push(...Object.values(value))
  }
  t.ok(count > 20)
  t.end()
})

t.test('spells out destinations, translations and header names', (t) => {
  const text = config({
    routes: `
  - { match: { headers: { X-User: { prefix: a } } }, to: { cluster: out, operation: a.b, path: /x }, rewrite: { host: h } }
  - { match: { path: /old/ }, to: { redirect: { prefix: /new/, stripQuery: true } } }`,
  })
  const { config: loaded, problems } = loadConfig(text, CATALOG)
  t.same(problems, [])
  t.same(loaded?.routes[0].match, { headers: { 'x-user': { prefix: 'a' } } })
  t.same(loaded?.routes[0].to.translation, {
    operation: 'a.b',
    method: '',
    path: '/x',
    service: '',
    version: '',
    group: '',
  })
  t.same(loaded?.routes[1].to, {
    clusters: [],
    redirect: { status: 302, prefix: '/new/', stripQuery: true },
    translation: null,
    call: null,
  })
  t.end()
})

t.test('reports every problem at once, in order of the file, wherever other parts are wrong too', (t) => {
  const text = `node: { app: 3, lables: {} }
listeners:
  - { name: in, protocol: htp1, address: 127.0.0.1 }
  - { name: in, protocol: http1, address: ":80", timeouts: { idle: 3x } }
clusters:
  - { name: out, protocol: http1, endpoints: [] }
filters:
  - acces-log
  - { use: rate-limit, qqs: 3 }
routes:
  - { match: { pth: /a }, to: { cluster: uot } }
  - { match: { path: "~[" }, to: {}, filters: { rate-limit: { qps: many }, foo: true } }
`
  t.same(problemsOf(text), [
    '1:14 node.app: a text is needed here, not the number 3 — put it in quotes: "3"',
    '1:17 node.lables: unknown key "lables" — did you mean "labels"?',
    '3:27 listeners[0].protocol: "htp1" is not possible here — did you mean "http1"?',
    '3:42 listeners[0].address: "127.0.0.1" is no address: the port is missing — write host:port, [::1]:port, :port or unix:/path',
    '4:13 listeners[1].name: the name "in" is taken by listeners[0] — give each listener a name of its own',
    '4:68 listeners[1].timeouts.idle: "3x" is no duration — write a duration such as 250ms, 3s or 1m (a plain integer is milliseconds)',
    '6:46 clusters[0].endpoints: the list is empty — give at least 1',
    '8:5 filters[0]: there is no filter "acces-log" — did you mean "access-log"?',
    '9:5 filters[1]: the key "qps" is missing — add qps',
    '9:24 filters[1].qqs: unknown key "qqs" — did you mean "qps"?',
    '11:16 routes[0].match.pth: unknown key "pth" — did you mean "path"?',
    '11:42 routes[0].to.cluster: there is no cluster "uot" — did you mean "out"?',
    '12:22 routes[1].match.path: "[" is no regular expression — unterminated character class',
    '12:34 routes[1].to: the route leads nowhere — give exactly one of cluster, clusters, redirect',
    '12:68 routes[1].filters.rate-limit.qps: an integer is needed here, not the text "many"',
    '12:76 routes[1].filters.foo: the chain has no filter "foo" — filters of the chain: acces-log, rate-limit',
  ])
  t.end()
})

t.test('refuses listeners that cannot be bound together', (t) => {
  const two = (a: string, b: string) => {
    return config({
      listeners: `[ { name: a, protocol: http1, address: "${a}" }, { name: b, protocol: mmtp, address: "${b}" } ]`,
    })
  }
  refuses(
    t,
    two(':80', '127.0.0.1:80'),
    /listeners\[1\]\.address: the address 127\.0\.0\.1:80 is taken by listener "a"/,
  )
  refuses(t, two('[::1]:80', '[::1]:80'), /taken by listener "a"/)
  refuses(t, two('unix:/a', 'unix:/a'), /taken by listener "a"/)
  refuses(
    t,
    config({ more: 'admin: { address: 127.0.0.1:8190 }' }),
    /admin\.address: .*taken by listener "in"/,
  )
  t.same(problemsOf(two('127.0.0.1:80', '127.0.0.2:80')), [])
  t.same(problemsOf(two('127.0.0.1:0', '127.0.0.1:0')), [], 'port 0 is a new port each time')
  t.end()
})

t.test('refuses what is no address', (t) => {
  const wrong: [string, RegExp][] = [
    ['localhost', /the port is missing/],
    ['localhost:99999', /"99999" is no port/],
    ['localhost:http', /"http" is no port/],
    ['::1:80', /"::1" is no host/],
    ['[xyz]:80', /is no host/],
    ['1.2.3:80', /"1.2.3" is no host/],
    ['1.2.3.256:80', /is no host/],
    ['a b:80', /is no host/],
    ['unix:', /path of the Unix socket is missing/],
    [`unix:/${'x'.repeat(200)}`, /201 bytes/],
  ]
  for (const [address, reason] of wrong) {
    refuses(t, config({ listeners: `[ { name: in, protocol: http1, address: "${address}" } ]` }), reason)
    refuses(
      t,
      config({ clusters: `[ { name: out, protocol: http1, endpoints: [ { address: "${address}" } ] } ]` }),
      reason,
    )
  }
  refuses(t, config({ clusters: '[ { name: out, protocol: http1, endpoints: [":80"] } ]' }), /names no host/)
  refuses(t, config({ clusters: '[ { name: out, protocol: http1, endpoints: ["a:0"] } ]' }), /port 0/)
  t.end()
})

t.test('refuses names that are taken, weights that are all 0, and more connections than the limit', (t) => {
  refuses(
    t,
    config({ clusters: `[ ${CLUSTER}, ${CLUSTER} ]` }),
    /clusters\[1\]\.name: the name "out" is taken by clusters\[0\]/,
  )
  refuses(
    t,
    config({
      routes:
        '[ { name: r, match: {}, to: { cluster: out } }, { name: r, match: { path: /a }, to: { cluster: out } } ]',
    }),
    /routes\[1\]\.name: the name "r" is taken/,
  )
  refuses(
    t,
    config({ clusters: '[ { name: out, protocol: http1, endpoints: [ { address: "a:1", weight: 0 } ] } ]' }),
    /all weights are 0, so no endpoint/,
  )
  refuses(
    t,
    config({ routes: '[ { match: {}, to: { clusters: [ { cluster: out, weight: 0 } ] } } ]' }),
    /all weights are 0, so no cluster/,
  )
  refuses(
    t,
    config({
      clusters:
        '[ { name: out, protocol: mmtp, endpoints: ["a:1"], connectionsPerEndpoint: 3, limits: { connections: 2 } } ]',
    }),
    /3 connections are more than limits.connections \(2\)/,
  )
  t.end()
})

t.test('refuses targets and rewrites that contradict themselves', (t) => {
  const route = (rest: string) => config({ routes: `[ { ${rest} } ]` })
  refuses(
    t,
    route('match: {}, to: { cluster: out, redirect: { path: /x } }'),
    /cluster and redirect exclude each other/,
  )
  refuses(t, route('match: {}, to: { redirect: {} }'), /leads back to where it came from/)
  refuses(
    t,
    route('match: { path: /a/ }, to: { redirect: { path: /x, prefix: /y } }'),
    /path and prefix exclude/,
  )
  refuses(t, route('match: {}, to: { redirect: { prefix: /y } }'), /matches no prefix/)
  refuses(t, route('match: {}, to: { redirect: { path: /x }, method: GET }'), /no use for method/)
  refuses(
    t,
    route('match: {}, to: { redirect: { path: /x } }, rewrite: { path: /y }'),
    /nothing that could be rewritten/,
  )
  refuses(
    t,
    route('match: { path: /a/ }, to: { cluster: out }, rewrite: { path: /y, prefix: /x }'),
    /path and prefix exclude/,
  )
  refuses(
    t,
    route('match: {}, to: { cluster: out }, rewrite: { regex: a }'),
    /regex needs replace — add replace/,
  )
  refuses(t, route('match: {}, to: { cluster: out }, rewrite: { replace: a }'), /replace needs regex/)
  refuses(
    t,
    route('match: {}, to: { cluster: out }, rewrite: { regex: "(", replace: a }'),
    /is no regular expression/,
  )
  refuses(
    t,
    route('match: { path: "~.*" }, to: { cluster: out }, rewrite: { prefix: /x }'),
    /matches no prefix/,
  )
  t.end()
})

t.test('refuses conditions that cannot hold or mean something else', (t) => {
  const match = (rest: string) => config({ routes: `[ { match: { ${rest} }, to: { cluster: out } } ]` })
  refuses(t, match('path: a'), /start it with "\/"/)
  refuses(t, match('path: "*/x"'), /use "~" and a regular expression/)
  refuses(t, match('path: "/a?b=1"'), /put conditions on the query under match.query/)
  refuses(t, match('method: get'), /methods are upper case/)
  refuses(t, match('method: [GET, post]'), /match\.method\[1\]: "post" is not possible here/)
  refuses(t, match('host: "a.*"'), /write api.example.com, \*\.example.com or \*/)
  refuses(t, match('operation: a.*.b'), /write a\.b\.c for one operation/)
  refuses(t, match('headers: { "x y": a }'), /is no header name/)
  refuses(t, match('headers: { a: 1 }'), /put it in quotes: "1"/)
  refuses(t, match('query: { a: { exact: x, prefix: y } }'), /give exactly one of exact, prefix/)
  refuses(t, match('query: { a: {} }'), /give exactly one of exact, prefix/)
  refuses(t, match('cookies: { a: { regex: "(" } }'), /is no regular expression/)
  refuses(t, match('cookies: { a: { range: [3, 3] } }'), /the range \[3, 3\] is empty/)
  refuses(t, match('cookies: { a: { range: [3] } }'), /two integers/)
  t.end()
})

t.test('holds the chain and the routes’ options against the filters’ schemas', (t) => {
  refuses(t, config({ filters: '[ headers, headers ]' }), /filters\[1\]: the filter name "headers" is taken/)
  refuses(t, config({ filters: '[ { use: tenant.ts } ]' }), /the path of a module begins with "\.\/"/)
  refuses(t, config({ filters: '[ { name: x } ]' }), /the key "use" is missing/)
  refuses(
    t,
    config({ filters: '[ { use: rate-limit, qps: 0 } ]' }),
    /filters\[0\]\.qps: 0 is too small — write at least 1/,
  )
  refuses(t, config({ filters: '[ { use: rate-limit, enabled: false, qqs: 1 } ]' }), /unknown key "qqs"/)
  const off = '[ { use: rate-limit, enabled: false } ]'
  t.same(problemsOf(config({ filters: off })), [], 'a filter that is off may be incomplete')
  const route = (filters: string) => `[ { match: {}, to: { cluster: out }, filters: ${filters} } ]`
  refuses(
    t,
    config({ filters: off, routes: route('{ rate-limit: true }') }),
    /routes\[0\]\.filters\.rate-limit: the key "qps" is missing/,
  )
  t.same(problemsOf(config({ filters: off, routes: route('{ rate-limit: { qps: 1 } }') })), [])
  refuses(t, config({ routes: route('{ rate-limit: { qps: 1 } }') }), /list it under "filters" first/)
  const { config: loaded, problems } = loadConfig(
    config({
      filters: '[ ./a/tenant.ts, { use: rate-limit, name: slow, qps: 1 } ]',
      routes: route('{ tenant: false, slow: { burst: 2 } }'),
    }),
    CATALOG,
  )
  t.same(problems, [])
  t.same(
    loaded?.filters.map(({ name, use }) => [name, use]),
    [
      ['tenant', './a/tenant.ts'],
      ['slow', 'rate-limit'],
    ],
  )
  t.same(loaded?.routes[0].filters, { tenant: false, slow: { burst: 2 } })
  t.end()
})

t.test('warns without refusing', (t) => {
  const ring = '[ { name: out, protocol: http1, endpoints: ["a:1", "a:1"], balancer: ring-hash } ]'
  const { config: loaded, problems } = loadConfig(
    config({
      clusters: ring,
      routes: '[ { match: { path: "/a*" }, to: { cluster: out }, timeout: 1s, perTryTimeout: 2s } ]',
    }),
    CATALOG,
  )
  t.not(loaded, null)
  t.same(
    problems.map(({ severity }) => severity),
    ['warning', 'warning', 'warning', 'warning'],
  )
  t.same(
    problems.map(({ path }) => path),
    ['clusters[0].endpoints[1]', 'routes[0]', 'routes[0].match.path', 'routes[0].perTryTimeout'],
  )
  t.end()
})

t.test('reports broken YAML with its place', (t) => {
  refuses(t, 'listeners: [ { name: in }\nclusters: []\n', /^2:1 .*sufficiently indented|^\d+:\d+ /)
  refuses(t, `${config({})}routes: []\n`, /^5:1 map keys must be unique — each key may stand once/)
  refuses(t, 'a: 1\n---\nb: 2\n', /one document/)
  refuses(t, 'listeners:\n\t- a\n', /indent with blanks/)
  refuses(t, '- a\n', '1:1 a mapping is needed here, not a list')
  refuses(t, '', /the key "listeners" is missing/)
  refuses(t, `${'['.repeat(20_000)}`, /nested too deeply/)
  t.end()
})

t.test('does not let aliases expand without limit', (t) => {
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x]\n'
  for (let i = 1; i < 12; i++) bomb += `a${i}: &a${i} [${`*a${i - 1}, `.repeat(9)}]\n`
  refuses(t, bomb, /the aliases expand to too much/)
  t.end()
})

t.test('takes anchors, aliases and merges, and reports into them', (t) => {
  const text = config({
    clusters: `
  - &base { name: out, protocol: http1, endpoints: ["a:1"], timeouts: &times { connect: 2s } }
  - { <<: *base, name: two }
  - { name: three, protocol: http1, endpoints: ["b:1"], timeouts: *times }`,
  })
  const { config: loaded, problems } = loadConfig(text, CATALOG)
  t.same(problems, [])
  t.same(
    loaded?.clusters.map(({ name, timeouts }) => [name, timeouts.connect]),
    [
      ['out', 2000],
      ['two', 2000],
      ['three', 2000],
    ],
  )
  t.same(problemsOf(text.replace('2s', '2x')).length, 3)
  t.end()
})

t.test('reads JSON, and refuses a key that stands twice in it', (t) => {
  const value = { listeners: [{ name: 'in', protocol: 'http1', address: ':80' }], $schema: 'x' }
  const { config: loaded } = loadConfig(JSON.stringify(value, null, '\t'), CATALOG)
  t.equal(loaded?.listeners[0].name, 'in')
  t.notOk(Object.hasOwn(loaded ?? {}, '$schema'))
  refuses(
    t,
    '{"listeners": [{"name":"a","name":"b","protocol":"http1","address":":80"}]}',
    /map keys must be unique/,
  )
  t.end()
})

t.test('never takes __proto__ for a key', (t) => {
  refuses(t, config({ more: 'node: { labels: { __proto__: x } }' }), /the key "__proto__" is not possible/)
  refuses(t, config({ more: '__proto__: { log: {} }' }), /"__proto__"/)
  t.equal(({} as { log?: unknown }).log, undefined)
  t.end()
})

t.test('adds the findings of other modules, with their places', async (t) => {
  const text = config({ routes: '\n  - { match: {}, to: { cluster: out } }' })
  const found = {
    path: ['routes', 0, 'match'],
    message: 'never matches',
    hint: 'move it',
    severity: 'warning',
  } as const
  const warned = await checkConfig(text, CATALOG, () => [found])
  t.not(warned.config, null)
  t.match(warned.problems, [{ line: 5, column: 14, path: 'routes[0].match', severity: 'warning' }])
  const refused = await checkConfig(text, CATALOG, async () => [{ ...found, severity: 'error' }])
  t.equal(refused.config, null)
  t.match(locateFindings(text, [{ path: ['clusters', 0, 'nothing'], message: 'x', hint: '' }]), [
    { line: 2, column: 13 },
  ])
})

t.test('loads 30,000 routes in less than 2 s', (t) => {
  let routes = ''
  for (let i = 0; i < 30_000; i++) {
    routes += `\n  - { match: { path: /api/v1/things${i}, method: GET }, to: { cluster: out }, timeout: 3s } # ${i}`
  }
  const before = process.cpuUsage()
  const { config: loaded } = loadConfig(config({ routes }), CATALOG)
  const { user, system } = process.cpuUsage(before)
  t.equal(loaded?.routes.length, 30_000)
  t.ok(user + system < 2_000_000, `${(user + system) / 1000} ms`)
  t.end()
})
