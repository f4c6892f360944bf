import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { MatchRule, ValueRule } from '../../lib/core/route.ts'
import { RuleError } from '../../lib/router/pattern.ts'
import { buildRouteTable, type RouteTable, RouteTableBuilder } from '../../lib/router/route-table.ts'
import { ruleProblems } from '../../lib/router/rule.ts'
import { type RequestParts, requestOf } from './request.ts'

/** A table whose targets are the names of the rules. */
function tableOf(rules: Readonly<Record<string, MatchRule>>): RouteTable<string> {
  const builder = new RouteTableBuilder<string>()
  for (const [name, rule] of Object.entries(rules)) builder.add(rule, name, name)
  return builder.build()
}

/** Checks which rule each request finds; `explain` must agree with `match`. */
function expectMatches(
  t: Test,
  rules: Readonly<Record<string, MatchRule>>,
  cases: readonly (readonly [request: RequestParts, found: string | null])[],
): void {
  const table = tableOf(rules)
  for (const [parts, found] of cases) {
    t.equal(table.explain(requestOf(parts)).target, found, `explain ${JSON.stringify(parts)}`)
    t.equal(table.match(requestOf(parts)), found, `match ${JSON.stringify(parts)}`)
  }
}

t.test('an exact path matches itself only', async (t) => {
  expectMatches(t, { a: { path: '/a' }, ab: { path: '/a/b' } }, [
    [{ path: '/a' }, 'a'],
    [{ path: '/a/b' }, 'ab'],
    [{ path: '/a/' }, null],
    [{ path: '/A' }, null],
    [{ path: '/a/b/c' }, null],
    [{ path: '/' }, null],
    [{ path: '' }, null],
    [{ path: '*' }, null],
  ])
})

t.test('a prefix matches everything below it and itself without the slash', async (t) => {
  expectMatches(t, { a: { path: '/a/' }, deep: { path: '/a/b/c/' }, root: { path: '/' } }, [
    [{ path: '/a/' }, 'a'],
    [{ path: '/a' }, 'a'],
    [{ path: '/a/b/c' }, 'deep'],
    [{ path: '/a/b/c/d' }, 'deep'],
    [{ path: '/a/b/cd' }, 'a'],
    [{ path: '/ab' }, 'root'],
    [{ path: '/' }, 'root'],
    [{ path: '*' }, null],
    [{ path: '', operation: 'x' }, null],
  ])
  expectMatches(t, { prefix: { path: '/a/' }, exact: { path: '/a' } }, [[{ path: '/a' }, 'exact']])
})

t.test(
  'a regular expression is over the whole path, and its fixed start orders it among prefixes',
  async (t) => {
    const rules = {
      numbered: { path: '~/api/v[0-9]+/x' },
      api: { path: '/api/' },
      v2: { path: '/api/v2/' },
      image: { path: '~.*\\.png' },
      root: { path: '/' },
      either: { path: '~/one|/two' },
    }
    expectMatches(t, rules, [
      [{ path: '/api/v1/x' }, 'numbered'],
      [{ path: '/api/v1/xx' }, 'api'],
      [{ path: '/api/v2/x' }, 'v2'],
      [{ path: '/a/b.png' }, 'image'],
      [{ path: '/api/b.png' }, 'api'],
      [{ path: '/two' }, 'either'],
      [{ path: '/twofold' }, 'root'],
    ])
  },
)

t.test('an optional last character does not belong to the fixed start', async (t) => {
  expectMatches(t, { a: { path: '~/ab?c' }, b: { path: '~^/x{2}$' }, c: { path: '~/q\\.z+' } }, [
    [{ path: '/ac' }, 'a'],
    [{ path: '/abc' }, 'a'],
    [{ path: '/xx' }, 'b'],
    [{ path: '/q.zz' }, 'c'],
    [{ path: '/qqz' }, null],
  ])
})

t.test('a rule without conditions matches everything', async (t) => {
  expectMatches(t, { all: {} }, [
    [{ path: '/' }, 'all'],
    [{ path: '*', method: 'OPTIONS' }, 'all'],
    [{ path: '', operation: 'a.b' }, 'all'],
    [{ path: '/x', authority: 'h:1' }, 'all'],
  ])
})

t.test('methods match one or several', async (t) => {
  expectMatches(t, { get: { path: '/', method: 'get' }, write: { path: '/', method: ['POST', 'PUT'] } }, [
    [{ method: 'GET' }, 'get'],
    [{ method: 'PUT' }, 'write'],
    [{ method: 'HEAD' }, null],
  ])
})

t.test('values are tested exactly, by prefix, by expression, for presence and by range', async (t) => {
  const cases: readonly (readonly [string | ValueRule, (string | null)[], (string | null)[]])[] = [
    ['v', ['v'], ['', 'V', 'vv', null]],
    [{ exact: '' }, [''], ['x', null]],
    [{ prefix: 'ab' }, ['ab', 'abc'], ['a', 'xab', null]],
    [{ regex: 'a+|b' }, ['aa', 'b'], ['ab', 'xa', null]],
    [{ present: true }, ['', 'x'], [null]],
    [{ present: false }, [null], ['', 'x']],
    [
      { range: [-5, 10] },
      ['-5', '0', '9'],
      ['10', '-6', '5.0', '0x1', '', ' 1', '1e0', '99999999999999999999', null],
    ],
  ]
  for (const [rule, accepted, refused] of cases) {
    const table = tableOf({ h: { headers: { 'X-V': rule } } })
    for (const [values, target] of [
      [accepted, 'h'],
      [refused, null],
    ] as const) {
      for (const value of values) {
        const headers: Record<string, string> = value === null ? {} : { 'x-v': value }
        t.equal(table.match(requestOf({ headers })), target, `${JSON.stringify(rule)} on ${value}`)
      }
    }
  }
})

t.test('query parameters and cookies are conditions too', async (t) => {
  const rules = {
    q: { query: { tag: 'a b' } },
    c: { cookies: { lane: { prefix: 'gr' } } },
    both: { query: { x: '1' }, cookies: { lane: 'blue' } },
  }
  expectMatches(t, rules, [
    [{ query: 'n=1&tag=a+b' }, 'q'],
    [{ query: 'tag=a%20b' }, 'q'],
    [{ headers: { cookie: 'x=1; lane=green' } }, 'c'],
    [{ query: 'x=1', headers: { cookie: 'lane=blue' } }, 'both'],
    [{ query: 'x=2', headers: { cookie: 'lane=blue' } }, null],
  ])
})

t.test('headers are read only for routes in the request’s place', async (t) => {
  const table = tableOf({ plain: { path: '/plain' }, asks: { path: '/asks', headers: { 'x-a': '1' } } })
  const read: string[] = []
  table.match(requestOf({ path: '/plain', onRead: (name) => read.push(name) }))
  t.same(read, [])
  table.match(requestOf({ path: '/asks', onRead: (name) => read.push(name) }))
  t.same(read, ['x-a'])
})

t.test('hosts match exactly, by suffix and with ports', async (t) => {
  const rules = {
    port: { host: 'API.example.com:8080' },
    exact: { host: ['api.example.com', 'other.net'] },
    sub: { host: '*.example.com' },
    subsub: { host: '*.b.example.com' },
    anyPort: { host: '*:9000' },
    v6: { host: '[::1]' },
    any: { host: '*' },
  }
  expectMatches(t, rules, [
    [{ authority: 'api.example.com:8080' }, 'port'],
    [{ authority: 'api.example.com:81' }, 'exact'],
    [{ authority: 'api.example.com.:8080' }, 'port'],
    [{ authority: 'api.example.com.' }, 'exact'],
    [{ authority: 'other.net' }, 'exact'],
    [{ authority: 'x.example.com' }, 'sub'],
    [{ authority: 'x.y.example.com:9000' }, 'sub'],
    [{ authority: 'a.b.example.com' }, 'subsub'],
    [{ authority: 'b.example.com' }, 'sub'],
    [{ authority: 'example.com' }, 'any'],
    [{ authority: 'evilexample.com' }, 'any'],
    [{ authority: 'nowhere:9000' }, 'anyPort'],
    [{ authority: '[::1]:80' }, 'v6'],
    [{ authority: '' }, 'any'],
  ])
})

t.test('the host weighs more than the path, the path more than conditions', async (t) => {
  const rules = {
    conditions: { path: '/a/', method: 'GET', headers: { x: '1' } },
    path: { path: '/a/b' },
    host: { host: 'h', path: '/' },
    first: { path: '/c', method: 'GET' },
    more: { path: '/c', method: 'GET', headers: { x: '1' } },
    second: { path: '/c', headers: { x: '1' } },
  }
  expectMatches(t, rules, [
    [{ path: '/a/b', headers: { x: '1' } }, 'path'],
    [{ path: '/a/b', authority: 'h' }, 'host'],
    [{ path: '/a/c', headers: { x: '1' } }, 'conditions'],
    [{ path: '/c', headers: { x: '1' } }, 'more'],
    [{ path: '/c' }, 'first'],
    [{ path: '/c', method: 'POST', headers: { x: '1' } }, 'second'],
  ])
})

t.test('a more specific place whose routes do not hold gives way to the next', async (t) => {
  const rules = {
    exact: { path: '/a/b', method: 'PUT' },
    deep: { path: '/a/b/', method: 'POST' },
    wide: { path: '/a/' },
    host: { host: 'h', path: '/z' },
  }
  expectMatches(t, rules, [
    [{ path: '/a/b' }, 'wide'],
    [{ path: '/a/b', authority: 'h' }, 'wide'],
    [{ path: '/a/b', method: 'POST' }, 'deep'],
  ])
})

t.test('an operation looks at operation rules first, then at the others', async (t) => {
  const rules = {
    path: { path: '/gateway', host: 'h' },
    exact: { operation: 'a.b.c' },
    below: { operation: 'a.b.*' },
    wider: { operation: 'a.*' },
    onPath: { operation: 'p.q', path: '/mgw/' },
    all: {},
  }
  expectMatches(t, rules, [
    [{ operation: 'a.b.c', path: '' }, 'exact'],
    [{ operation: 'a.b.c', path: '/gateway', authority: 'h' }, 'exact'],
    [{ operation: 'a.b.d.e', path: '' }, 'below'],
    [{ operation: 'a.b', path: '' }, 'wider'],
    [{ operation: 'a', path: '' }, 'all'],
    [{ operation: 'z', path: '/gateway', authority: 'h' }, 'path'],
    [{ operation: 'p.q', path: '/mgw/x' }, 'onPath'],
    [{ operation: 'p.q', path: '/mgw' }, 'onPath'],
    [{ operation: 'p.q', path: '/mgwx' }, 'all'],
    [{ operation: '', path: '/a.b.c' }, 'all'],
  ])
  expectMatches(t, { any: { operation: '*' } }, [
    [{ operation: 'x', path: '' }, 'any'],
    [{ operation: '', path: '/' }, null],
  ])
})

t.test('a guarded path cannot be reached by another spelling', async (t) => {
  const rules = { guard: { path: '/admin/' }, open: { path: '/public/' }, root: { path: '/' } }
  const guarded = [
    '/public/../admin/x',
    '/public/%2e%2E/admin/x',
    '/./admin/x',
    '/%61dmin/x',
    '/x/../admin',
    '/admin/..x',
    '/%61dmin',
  ]
  const refused = [
    '/admin%2fx',
    '/admin%5Cx',
    '/admin\\x',
    '//admin/x',
    '/public/..%2fadmin/x',
    '/public/..;/admin/x',
    '/admin;a=b/x',
    '/public/%2e%2e%2fadmin/x',
    '/public//..%2f../admin/x',
    '/..',
    '/../admin',
    '/a/../../admin',
    '/%2e%2e/admin',
    '/admin%00/x',
    'admin/x',
    '/x/..%2f..%2f..',
  ]
  const table = tableOf(rules)
  for (const path of guarded) t.equal(table.match(requestOf({ path })), 'guard', path)
  for (const path of refused) t.equal(table.match(requestOf({ path })), null, path)
  t.equal(table.explain(requestOf({ path: '/..' })).outcome, 'climbs')
  t.equal(table.explain(requestOf({ path: '//admin/x' })).outcome, 'divisive')
  t.equal(tableOf({}).explain(requestOf()).outcome, 'none')
})

t.test('odd paths that all servers read alike are matched, and forwarded as they came', async (t) => {
  const table = tableOf({ files: { path: '/files/' }, root: {} })
  for (const path of [
    '/files/a%2Fb',
    '/files//x',
    '/files/a;v=1/b',
    '/files/%e4%B8%ad',
    '/files/.hidden',
    '/files/a..b/...',
    '/files/100%',
  ]) {
    const request = requestOf({ path })
    t.equal(table.match(request), 'files', path)
    t.equal(request.path, path)
  }
  const request = requestOf({ path: '/x/%2e%2e/files/%7ea/./b%2Fc' })
  t.equal(table.match(request), 'files')
  t.equal(request.path, '/files/%7ea/b%2Fc', 'dots are resolved, all else stays')
})

t.test('rules and requests are compared in one spelling', async (t) => {
  expectMatches(t, { chinese: { path: '/文件/' }, tilde: { path: '/~joe' }, at: { path: '/%40x' } }, [
    [{ path: '/%e6%96%87%E4%BB%B6/x' }, 'chinese'],
    [{ path: '/%7Ejoe' }, 'tilde'],
    [{ path: '/@x' }, 'at'],
    [{ path: '/%40x' }, 'at'],
    [{ path: '/%2540x' }, null],
  ])
})

t.test('many routes that differ by one header are found by its value', async (t) => {
  const rules: Record<string, MatchRule> = {
    prefix: { path: '/s', headers: { service: { prefix: 's1' } } },
    wide: { path: '/s' },
  }
  for (let i = 0; i < 300; i++) rules[`s${i}`] = { path: '/s', headers: { service: `s${i}` } }
  for (let i = 0; i < 50; i++) rules[`t${i}`] = { path: '/s', headers: { service: 's7', tenant: `t${i}` } }
  rules['put'] = { path: '/s', method: 'PUT', headers: { service: 's8' } }
  expectMatches(t, rules, [
    [{ path: '/s', headers: { service: 's200' } }, 's200'],
    [{ path: '/s', headers: { service: 's150' } }, 'prefix'],
    [{ path: '/s', headers: { service: 's7', tenant: 't49' } }, 't49'],
    [{ path: '/s', headers: { service: 's7', tenant: 'none' } }, 's7'],
    [{ path: '/s', method: 'PUT', headers: { service: 's8' } }, 'put'],
    [{ path: '/s', headers: { service: 'other' } }, 'wide'],
  ])
})

t.test('a rule that cannot be compiled is refused with its place and the reason', async (t) => {
  const cases: readonly (readonly [MatchRule, string, RegExp])[] = [
    [{ path: 'a' }, 'path', /did you mean '\/a'/],
    [{ path: '/a?x' }, 'path', /match\.query/],
    [{ path: '/a/../b' }, 'path', /never match/],
    [{ path: '/a//b' }, 'path', /servers read differently/],
    [{ path: '/a%2fb' }, 'path', /servers read differently/],
    [{ path: '~(' }, 'path', /not a regular expression/],
    [{ path: `~/${'a'.repeat(2_000)}` }, 'path', /at most 1024/],
    [{ path: '~api' }, 'path', /can never match/],
    [{ path: '~/(a)\\1' }, 'path', /refers back/],
    [{ path: '~/(?!x)(a+)+' }, 'path', /lookaround/],
    [{ operation: 'a.*.b' }, 'operation', /a\.b\.\*/],
    [{ operation: '' }, 'operation', /neither/],
    [{ method: [] }, 'method', /empty/],
    [{ method: 'G T' }, 'method', /no method/],
    [{ host: 'a b' }, 'host', /no host/],
    [{ host: '*x.com' }, 'host', /no host/],
    [{ host: [] }, 'host', /empty/],
    [{ headers: { 'a b': '1' } }, 'headers.a b', /no name/],
    [{ headers: { A: '1', a: '2' } }, 'headers.a', /twice/],
    [{ query: { a: {} } }, 'query.a', /exactly one/],
    [{ query: { a: { exact: '1', prefix: '2' } } }, 'query.a', /exactly one/],
    [{ cookies: { a: { range: [5, 5] } } }, 'cookies.a.range', /no integer/],
    [{ headers: { a: { regex: '[' } } }, 'headers.a.regex', /not a regular/],
  ]
  for (const [rule, key, message] of cases) {
    const problems = ruleProblems(rule)
    t.same(
      problems.map((problem) => problem.key.join('.')),
      [key],
      JSON.stringify(rule).slice(0, 60),
    )
    t.match(problems[0]?.message, message)
    t.throws(() => tableOf({ rule }), RuleError)
  }
  t.equal(
    ruleProblems({ path: 'a', method: [], headers: { x: { regex: '(' } } }).length,
    3,
    'every problem at once',
  )
  t.same(ruleProblems({ path: '/a/', host: '*.x.io:80', headers: { a: 'b' } }), [])
})

t.test('a catastrophic expression does not hold up the process', async (t) => {
  const table = tableOf({ bad: { path: '~/(a+)+' } })
  const startedAt = performance.now()
  t.equal(table.match(requestOf({ path: `/${'a'.repeat(200)}!` })), null)
  t.ok(performance.now() - startedAt < 1_000)
})

t.test('a built table takes no more routes', async (t) => {
  const builder = new RouteTableBuilder<number>()
  builder.add({}, 1, 'one')
  t.equal(builder.build().size, 1)
  t.throws(() => builder.add({}, 2, 'two'), /new builder/)
})

t.test('30,000 routes load in steps that leave the event loop free, and all are found', async (t) => {
  const entries = Array.from({ length: 30_000 }, (_, i) => ({
    rule: { path: `/api/r${i}` },
    target: i,
    label: `r${i}`,
  }))
  let turns = 0
  let isDone = false
  const count = () => {
    turns++
    if (!isDone) setImmediate(count)
  }
  setImmediate(count)
  const startedAt = performance.now()
  const table = await buildRouteTable(entries)
  isDone = true
  t.ok(performance.now() - startedAt < 2_000)
  t.ok(turns > 3, `${turns} turns of the loop in between`)
  t.equal(table.size, 30_000)
  for (let i = 0; i < 30_000; i += 97) t.equal(table.match(requestOf({ path: `/api/r${i}` })), i)
  await t.rejects(buildRouteTable([{ rule: { path: 'x' }, target: 0, label: 'x' }]), RuleError)
})

/** The three lines of docs/routing.md, applied to every rule in turn. */
function byTheBook(rules: readonly MatchRule[], parts: RequestParts): number | null {
  let best: { index: number; weight: number[] } | null = null
  rules.forEach((rule, index) => {
    const weight = weigh(rule, parts)
    if (weight === null) return
    if (best === null || isGreater(weight, best.weight)) best = { index, weight }
  })
  return (best as { index: number } | null)?.index ?? null
}

function isGreater(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i])
  return at >= 0 && a[at]! > b[at]!
}

function weigh(rule: MatchRule, parts: RequestParts): number[] | null {
  const host = weighHost((rule.host as string | undefined) ?? '*', parts.authority ?? '')
  const text =
    rule.operation === undefined
      ? weighPath(rule.path, parts.path ?? '/')
      : weighOperation(rule.operation, parts.operation ?? '')
  if (host === null || text === null) return null
  if (rule.method !== undefined && rule.method !== parts.method) return null
  const headers = Object.entries(rule.headers ?? {})
  if (headers.some(([name, value]) => parts.headers?.[name] !== value)) return null
  return [
    rule.operation === undefined ? 0 : 1,
    ...host,
    ...text,
    headers.length + (rule.method === undefined ? 0 : 1),
  ]
}

function weighHost(host: string, authority: string): number[] | null {
  if (host === '*') return [0, 0]
  if (host.startsWith('*.')) return authority.endsWith(host.slice(1)) ? [1, host.length] : null
  return host === authority ? [2, 0] : null
}

function weighPath(rule: string | undefined, path: string): number[] | null {
  if (rule === undefined) return [0, 0, 0]
  if (rule.startsWith('~')) {
    const start = /^[/a-z]*/.exec(rule.slice(1))![0]
    return new RegExp(`^(?:${rule.slice(1)})$`).test(path) ? [1, start.length, 1] : null
  }
  if (rule.endsWith('/')) return path.startsWith(rule) || `${path}/` === rule ? [1, rule.length, 0] : null
  return rule === path ? [2, 0, 0] : null
}

function weighOperation(rule: string, operation: string): number[] | null {
  if (rule.endsWith('.*')) return operation.startsWith(rule.slice(0, -1)) ? [1, rule.length, 0] : null
  return rule === operation ? [2, 0, 0] : null
}

t.test('finds what the three lines of the manual say, for any routes', async (t) => {
  const segments = fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 3 })
  const exactPath = segments.map((parts) => '/' + parts.join('/'))
  const rulePath = fc.oneof(
    exactPath,
    exactPath.map((path) => path + '/'),
    exactPath.map((path) => `~${path}[ab]`),
    exactPath.map((path) => `~${path}/.+`),
    fc.constant('/'),
  )
  const name = segments.map((parts) => parts.join('.'))
  const host = fc.constantFrom('x.io', 'a.x.io', 'b.a.x.io')
  const header = fc.constantFrom('1', '2')
  const rule = fc.record(
    {
      path: rulePath,
      operation: fc.oneof(
        name,
        name.map((text) => `${text}.*`),
      ),
      host: fc.oneof(host, fc.constantFrom('*', '*.x.io', '*.a.x.io')),
      method: fc.constantFrom('GET', 'PUT'),
      headers: fc.record({ h: header, g: header }, { requiredKeys: [] }),
    },
    { requiredKeys: [] },
  )
  const onePlace = rule.map((each) => (each.operation === undefined ? each : { ...each, path: undefined }))
  const clean = onePlace.map(
    (each) =>
      Object.fromEntries(Object.entries(each).filter(([, value]) => value !== undefined)) as MatchRule,
  )
  const request = fc.record({
    path: fc.oneof(
      exactPath,
      exactPath.map((path) => path + '/'),
      fc.constant('/'),
    ),
    operation: fc.oneof(fc.constant(''), name),
    authority: host,
    method: fc.constantFrom('GET', 'PUT', 'POST'),
    headers: fc.record({ h: header, g: header }, { requiredKeys: [] }),
  })
  fc.assert(
    fc.property(
      fc.array(clean, { maxLength: 60 }),
      fc.array(request, { minLength: 5, maxLength: 20 }),
      (rules, requests) => {
        const builder = new RouteTableBuilder<number>()
        rules.forEach((each, index) => {
          builder.add(each, index, `${index}`)
        })
        const table = builder.build()
        for (const parts of requests) {
          const expected = byTheBook(rules, parts as RequestParts)
          const found = table.match(requestOf(parts as RequestParts))
          if (found !== expected) throw new Error(`${JSON.stringify(parts)}: ${found}, not ${expected}`)
        }
      },
    ),
    { numRuns: 400 },
  )
  t.pass('400 tables agree')
})
