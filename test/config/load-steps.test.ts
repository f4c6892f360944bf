import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { loadConfig } from '../../lib/config/load.ts'
import { loadInSteps } from '../../lib/config/load-steps.ts'
import { createTurns, NO_TURNS } from '../../lib/config/turns.ts'
import { CATALOG } from '../../lib/filter-specs.ts'

const HEAD = `listeners: [ { name: in, protocol: http1, address: 127.0.0.1:8190 } ]
clusters: [ { name: out, protocol: http1, endpoints: [127.0.0.1:9000] } ]
filters:
  - access-log
  - { use: rate-limit, qps: 5 }
`
const ROUTE = '  - { match: { path: /a }, to: { cluster: out } }\n'

const load = (text: string) => loadInSteps(text, CATALOG, NO_TURNS)

/** Ways to write routes that are read in steps. */
const SOUND: Record<string, string> = {
  'no routes': HEAD,
  'one line each': `${HEAD}routes:\n${ROUTE.repeat(3)}`,
  'no line feed at the end': `${HEAD}routes:\n${ROUTE.trimEnd()}`,
  'several lines each, comments and blank lines': `${HEAD}routes: # the list

  # the first
  - name: first
    match:
      path: /a
      headers: { X-Tenant: blue } # a comment

# at the margin
    to: { cluster: out }
  - match: { method: [GET, POST] }
    to:
      clusters:
        - cluster: out
          weight: 3
`,
  'at the margin': `${HEAD}routes:\n- { match: { path: /a }, to: { cluster: out } }\n- match: {}\n  to: { cluster: out }\n`,
  'before other keys': `routes:\n${ROUTE}${HEAD}node: { app: x }\n`,
  'texts that look like a list': `${HEAD}routes:
  - match: { path: "/-a", headers: { x: '  - b' } }
    to: { cluster: out }
    filters:
      rate-limit:
        qps: 7
`,
  'block texts': `${HEAD}routes:
  - match:
      path: |-
        ~/a
    to: { cluster: out }
`,
  'line ends of Windows': `${HEAD}routes:\n${ROUTE.repeat(3)}`.replaceAll('\n', '\r\n'),
}

t.test('gives what loading at once gives', async (t) => {
  for (const [name, text] of Object.entries(SOUND)) {
    const whole = loadConfig(text, CATALOG)
    t.ok(whole.config, name)
    const stepped = await load(text)
    t.strictSame(stepped, whole, name)
    t.ok(Object.isFrozen(stepped?.config?.routes))
  }
})

t.test('leaves to the worker whatever there is something to say about', async (t) => {
  const routes = (text: string): string => `${HEAD}routes:\n${ROUTE}${text}${ROUTE}`
  for (const [name, text] of Object.entries({
    'bad YAML': routes('  - {\n'),
    'a quoted text over what looks like a list': routes(
      '  - match: { path: "/a\n  - b" }\n    to: { cluster: out }\n',
    ),
    'an unknown key': routes('  - { match: {}, too: { cluster: out } }\n'),
    'an unknown cluster': routes('  - { match: {}, to: { cluster: uot } }\n'),
    'a name that is taken': routes('  - { name: x, match: {}, to: { cluster: out } }\n'.repeat(2)),
    'a warning': routes('  - { match: {}, to: { cluster: out }, timeout: 1s, perTryTimeout: 2s }\n'),
    'something above the list': `${HEAD}routes:\n  x\n${ROUTE}`,
    'two lists': `${HEAD}routes:\n${ROUTE}routes:\n${ROUTE}`,
    'a duplicate key elsewhere': `${HEAD}filters: []\nroutes:\n${ROUTE}`,
    'a flow list': `${HEAD}routes: [ { match: {}, to: { cluster: out } } ]\n`,
    'an anchor': routes('  - &a { match: {}, to: { cluster: out } }\n'),
    'two documents': `${HEAD}routes:\n${ROUTE}---\nx: 1\n`,
    'no mapping': '- 1\n',
    'a mapping for a list': `${HEAD}routes:\n  a: 1\n`,
    nothing: '',
    'much beside the routes': `${HEAD}node: { labels: { a: ${'x'.repeat(20_000)} } }\nroutes:\n${ROUTE}`,
  }))
    t.equal(await load(text), null, name)
})

t.test('whatever the text, it is the same configuration or none', async () => {
  const line = fc.constantFrom(
    ROUTE,
    '  - match: { path: /b }\n',
    '    to: { cluster: out }\n',
    '    to: { cluster: "o\n',
    '  - "}\n',
    'ut" }\n',
    '# comment\n',
    '\n',
    '  - {\n',
    '    match: {}, to: { cluster: out } }\n',
    'node: { app: y }\n',
    'routes:\n',
    '-\n',
    "  - name: 'a\n",
    "    b'\n",
    '  - name: |\n',
  )
  const text = fc.array(line, { maxLength: 12 }).map((lines) => `${HEAD}routes:\n${lines.join('')}`)
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      const stepped = await load(text)
      if (stepped === null) return
      const whole = loadConfig(text, CATALOG)
      assert.deepStrictEqual(stepped, whole)
    }),
    { numRuns: 2000 },
  )
})

t.test('thousands of routes leave room for others', async (t) => {
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  const routes = Array.from(
    { length: 2000 },
    (_, i) => `  - { match: { path: /r${i} }, to: { cluster: out } }\n`,
  )
  const loaded = await loadInSteps(`${HEAD}routes:\n${routes.join('')}`, CATALOG, createTurns())
  isOver = true
  t.equal(loaded?.config?.routes.length, 2000)
  t.ok(turns > 10, `${turns} turns`)
})

// — routes of the configuration that serves ——————————————————————————————————————————————————————————————

const known = (text: string) => {
  const { config } = loadConfig(text, CATALOG)
  assert.ok(config)
  return { text, config }
}

const route = (path: string, cluster = 'out') =>
  `  - { match: { path: ${path} }, to: { cluster: ${cluster} } }\n`

t.test('routes that are written as before are taken over, whatever stands around them', async (t) => {
  const before = known(`${HEAD}routes:\n${route('/a')}${route('/b')}${route('/c')}`)
  const [a, b, c] = before.config.routes
  for (const [name, routes, kept] of [
    ['nothing changed', route('/a') + route('/b') + route('/c'), [a, b, c]],
    ['one changed', route('/a') + route('/x') + route('/c'), [a, null, c]],
    ['one more', route('/x') + route('/a') + route('/b') + route('/c'), [null, a, b, c]],
    ['one less', route('/a') + route('/c'), [a, c]],
    ['another order', route('/c') + route('/a') + route('/b'), [c, a, b]],
    ['a comment behind them', `${route('/a')}${route('/b')}${route('/c')}# the end\n`, [a, b, null]],
  ] as const) {
    const text = `${HEAD}routes:\n${routes}`
    const stepped = await loadInSteps(text, CATALOG, NO_TURNS, before)
    t.strictSame(stepped, loadConfig(text, CATALOG), name)
    const taken = stepped?.config?.routes.map((each) => (before.config.routes.includes(each) ? each : null))
    t.ok(
      kept.every((each, i) => taken?.[i] === each),
      `${name}: those that stayed`,
    )
  }
})

t.test('routes are read anew when what they rest on has changed', async (t) => {
  const clusters = (endpoint: string) => HEAD.replace('127.0.0.1:9000', endpoint)
  const before = known(`${HEAD}routes:\n${route('/a')}`)
  const text = `${clusters('127.0.0.1:9001')}routes:\n${route('/a')}`
  const stepped = await loadInSteps(text, CATALOG, NO_TURNS, before)
  t.strictSame(stepped, loadConfig(text, CATALOG))
  t.not(stepped?.config?.routes[0], before.config.routes[0])
  const gone = `${HEAD.replace('name: out', 'name: other')}routes:\n${route('/a')}`
  t.equal(await loadInSteps(gone, CATALOG, NO_TURNS, before), null, 'the cluster is gone')
})

t.test('a known text in an unusual form lends nothing', async (t) => {
  const anchored = known(
    `${HEAD}routes:\n  - &a { match: { path: /a }, to: { cluster: out } }\n  - *a\n${route('/b')}`,
  )
  const text = `${HEAD}routes:\n  - *a\n${route('/b')}`
  t.equal(await loadInSteps(text, CATALOG, NO_TURNS, anchored), null)
})

t.test('a name that is taken is seen among routes that were taken over', async (t) => {
  const named = '  - { name: x, match: {}, to: { cluster: out } }\n'
  const before = known(`${HEAD}routes:\n${named}`)
  t.equal(await loadInSteps(`${HEAD}routes:\n${named}${named}`, CATALOG, NO_TURNS, before), null)
  const other = named.replace('{}', '{ path: /a }')
  t.equal(await loadInSteps(`${HEAD}routes:\n${named}${other}`, CATALOG, NO_TURNS, before), null)
})
