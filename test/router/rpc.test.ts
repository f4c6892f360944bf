/** Routes that match RPCs. */
import t from 'tap'
import type { RequestHead } from '../../lib/core/message.ts'
import type { MatchRule } from '../../lib/core/route.ts'
import { describeMatch } from '../../lib/route-names.ts'
import { findConflicts } from '../../lib/router/conflicts.ts'
import { type RouteTable, RouteTableBuilder } from '../../lib/router/route-table.ts'
import { ruleProblems } from '../../lib/router/rule.ts'
import { type RequestParts, requestOf } from './request.ts'

function tableOf(rules: Readonly<Record<string, MatchRule>>): RouteTable<string> {
  const builder = new RouteTableBuilder<string>()
  for (const [name, rule] of Object.entries(rules)) builder.add(rule, name, name)
  return builder.build()
}

/** An RPC; nothing in it is a path. */
function rpc(parts: RequestParts = {}): RequestHead {
  return requestOf({ service: 'a.b.C', method: 'create', path: '', ...parts })
}

/** Checks which rule each request finds; `explain` must agree with `match`. */
function finder(rules: Readonly<Record<string, MatchRule>>): (request: RequestHead) => string | null {
  const table = tableOf(rules)
  return (request) => {
    const found = table.match(request)
    const explained = table.explain(request)
    if (explained.target !== found) throw new Error(`explain finds ${explained.target}, match ${found}`)
    return found
  }
}

t.test('a service is found exactly, then by the longest start, then by any', async (t) => {
  const find = finder({
    any: { service: '*' },
    below: { service: 'a.b.*' },
    exact: { service: 'a.b.C' },
    deep: { service: 'a.b.c.*' },
  })
  t.equal(find(rpc()), 'exact')
  t.equal(find(rpc({ service: 'a.b.D' })), 'below')
  t.equal(find(rpc({ service: 'a.b.c.D' })), 'deep')
  t.equal(find(rpc({ service: 'a.b' })), 'any')
  t.equal(find(rpc({ service: 'a.bc.D' })), 'any')
  t.equal(find(rpc({ service: 'A.b.C' })), 'any', 'upper and lower case differ')
  t.equal(find(requestOf({ path: '/a.b.C' })), null)
  t.equal(find(requestOf({ path: '', operation: 'a.b.C' })), null)
})

t.test('version, group, application, method and headers narrow a service down', async (t) => {
  const find = finder({
    plain: { service: 'a.b.C' },
    version: { service: 'a.b.C', version: '2.0' },
    group: { service: 'a.b.C', version: '2.0', group: 'blue' },
    app: { service: 'a.b.C', app: ['shop', 'till'] },
    method: { service: 'a.b.C', method: ['remove', 'Remove'], app: 'shop' },
    header: { service: 'a.b.C', headers: { 'X-Lane': 'grey' }, method: 'create', app: 'shop' },
  })
  t.equal(find(rpc()), 'plain')
  t.equal(find(rpc({ version: '2.0' })), 'version')
  t.equal(find(rpc({ version: '2.0.1' })), 'plain')
  t.equal(find(rpc({ version: '2.0', group: 'blue' })), 'group')
  t.equal(find(rpc({ app: 'till' })), 'app')
  t.equal(find(rpc({ app: 'shop' })), 'app')
  t.equal(find(rpc({ app: 'other' })), 'plain')
  t.equal(find(rpc({ app: 'shop', method: 'Remove' })), 'method')
  t.equal(find(rpc({ app: 'shop', method: 'REMOVE' })), 'app', 'the case of Java’s methods counts')
  t.equal(find(rpc({ app: 'shop', headers: { 'x-lane': 'grey' } })), 'header')
})

t.test('a place whose conditions fail gives way to the next, and last to rules for everything', async (t) => {
  const find = finder({
    exact: { service: 'a.b.C', version: '1' },
    below: { service: 'a.*', method: 'remove' },
    lane: { headers: { lane: { present: true } } },
    root: { path: '/' },
    pattern: { path: '~.*' },
    operations: { operation: '*' },
    host: { host: 'a.io' },
    everything: {},
  })
  t.equal(find(rpc({ version: '1' })), 'exact')
  t.equal(find(rpc({ version: '2', method: 'remove' })), 'below')
  t.equal(find(rpc({ version: '2', headers: { lane: 'x' } })), 'lane')
  t.equal(find(rpc({ version: '2' })), 'everything')
  t.equal(find(rpc({ service: 'x.Y' })), 'everything')
  t.equal(finder({ root: { path: '/' }, pattern: { path: '~.*' } })(rpc()), null, 'an RPC has no path')
})

t.test('nothing of an RPC is read that no rule asks for', async (t) => {
  const read: string[] = []
  const base = rpc({ version: '1', group: 'g', app: 'shop', onRead: (name) => read.push(`header ${name}`) })
  const watched = new Proxy(base, {
    get(target, key, receiver) {
      if (['version', 'group', 'app', 'method'].includes(String(key))) read.push(String(key))
      return Reflect.get(target, key, receiver)
    },
  })
  const readBy = (rules: Readonly<Record<string, MatchRule>>): string[] => {
    read.length = 0
    tableOf(rules).match(watched)
    return [...read]
  }
  t.same(readBy({ a: { service: 'a.b.C' }, b: { service: 'x.Y', version: '1', headers: { x: '1' } } }), [])
  t.same(readBy({ a: { service: 'a.b.C', version: '2', group: 'g', headers: { x: '1' } } }), ['version'])
  t.same(readBy({ a: { service: 'a.b.*', method: 'other', app: 'shop' } }), ['method'])
  t.same(readBy({ a: { service: '*', app: ['x', 'shop'], headers: { x: '1' } } }), ['app', 'header x'])
  t.same(readBy({ a: {} }), [])
})

t.test('a table without services does not even ask for the service', async (t) => {
  const request = rpc()
  Object.defineProperty(request, 'service', {
    get: () => {
      throw new Error('was read')
    },
  })
  t.equal(tableOf({ all: {}, path: { path: '/a' } }).match(request), 'all')
})

t.test('many routes of one service are found by the value that tells them apart', async (t) => {
  const rules: Record<string, MatchRule> = {}
  for (let i = 0; i < 200; i++) rules[`r${i}`] = { service: 'a.b.C', app: `app${i}` }
  rules.rest = { service: 'a.b.C' }
  const find = finder(rules)
  t.equal(find(rpc({ app: 'app117' })), 'r117')
  t.equal(find(rpc({ app: 'app200' })), 'rest')
})

t.test('rules that ask an RPC for what it has not are refused with their place', async (t) => {
  const cases: readonly (readonly [rule: MatchRule, place: string, reason: RegExp])[] = [
    [{ service: 'a.B', path: '/x' }, 'path', /has no path/],
    [{ service: 'a.B', host: 'a.io' }, 'host', /has no host/],
    [{ service: 'a.B', operation: 'a.b' }, 'operation', /has no operation/],
    [{ service: 'a.B', query: { a: 'b' } }, 'query', /has no query/],
    [{ service: 'a.B', cookies: { a: 'b' } }, 'cookies', /has no cookies/],
    [{ version: '1' }, 'version', /needs service/],
    [{ path: '/', group: 'x' }, 'group', /needs service/],
    [{ operation: 'a', app: 'x' }, 'app', /needs service/],
    [{ service: 'a.B', app: [] }, 'app', /list of applications is empty/],
    [{ service: 'a.B', method: 'x-y' }, 'method', /'x-y' is no method/],
    [{ service: '' }, 'service', /neither a name/],
    [{ service: 'a.*.B' }, 'service', /neither a name/],
    [{ service: 'a.B:1.0' }, 'service', /holds ':'/],
    [{ service: 'x'.repeat(3000) }, 'service', /3000 characters/],
  ]
  for (const [rule, place, reason] of cases) {
    const problems = ruleProblems(rule)
    t.same(
      problems.map(({ key }) => key),
      [[place]],
      JSON.stringify(rule),
    )
    t.match(problems[0]?.message, reason)
  }
})

t.test('conflicts between routes for RPCs are found', async (t) => {
  const conflictsOf = (...rules: MatchRule[]) =>
    findConflicts(rules.map((rule, index) => ({ rule, label: `r${index}` }))).map(
      ({ index, otherIndex, kind }) => `${index}<${otherIndex} ${kind}`,
    )
  const service = 'a.B'
  for (const clean of [
    [{ service }, { operation: service }, { service: 'a.*' }, { service: '*' }, {}],
    [{ service, version: '1' }, { service, version: '2' }, { service }],
    [
      { service, app: ['x', 'y'] },
      { service, app: ['z', 'w'] },
      { service, app: 'v' },
    ],
    [
      { service, method: 'create' },
      { service, method: 'Create' },
    ],
  ])
    t.same(conflictsOf(...clean), [], JSON.stringify(clean))
  t.same(conflictsOf({ service }, { service }), ['1<0 shadowed'])
  t.same(conflictsOf({ service: '*' }, { service: '*' }), ['1<0 shadowed'])
  t.same(conflictsOf({ service, app: ['y', 'x'] }, { service, app: 'x' }), ['1<0 shadowed'])
  t.same(conflictsOf({ service, app: 'x' }, { service, app: ['x', 'y'] }), ['1<0 ambiguous'])
  t.same(conflictsOf({ service, app: ['x', 'y'] }, { service, app: ['y', 'z'] }), ['1<0 ambiguous'])
  t.same(conflictsOf({ service, app: ['x', 'y'] }, { service, app: ['y', 'x', 'x'] }), ['1<0 shadowed'])
  t.same(conflictsOf({ service, version: '1' }, { service, group: 'g' }), ['1<0 ambiguous'])
  t.same(conflictsOf({ service, version: '1' }, { service, method: 'm' }), ['1<0 ambiguous'])
})

t.test('routes for RPCs are named after what they match', async (t) => {
  t.equal(describeMatch({ service: 'a.B' }), 'a.B')
  t.equal(describeMatch({ service: 'a.B', version: '1.0', group: 'x' }), 'a.B:1.0:x')
  t.equal(describeMatch({ service: 'a.B', group: 'x', method: ['m', 'n'] }), 'a.B::x m,n')
  t.equal(
    describeMatch({ service: 'a.*', app: ['x', 'y'], headers: { lane: 'g' } }),
    'a.* from x,y header lane',
  )
})
