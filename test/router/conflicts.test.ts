import t from 'tap'
import type { MatchRule } from '../../lib/core/route.ts'
import { findConflicts } from '../../lib/router/conflicts.ts'
import { RouteTableBuilder } from '../../lib/router/route-table.ts'
import { requestOf } from './request.ts'

/** Conflicts as `loser<winner kind`. */
function conflictsOf(rules: readonly MatchRule[]): string[] {
  const entries = rules.map((rule, index) => ({ rule, label: `r${index}` }))
  return findConflicts(entries).map(({ index, otherIndex, kind }) => `${index}<${otherIndex} ${kind}`)
}

t.test('routes that one request cannot both match, or that are ordered, do not conflict', async (t) => {
  const clean: readonly MatchRule[][] = [
    [{ path: '/a' }, { path: '/b' }, { path: '/a/' }, { path: '/' }, {}],
    [{ path: '/a', method: 'GET' }, { path: '/a', method: ['POST', 'PUT'] }, { path: '/a' }],
    [
      { path: '/a', headers: { x: '1' } },
      { path: '/a', headers: { x: '2' } },
    ],
    [
      { path: '/a', headers: { x: { present: true } } },
      { path: '/a', headers: { x: { present: false } } },
    ],
    [
      { path: '/a', query: { n: { range: [0, 5] } } },
      { path: '/a', query: { n: { range: [5, 9] } } },
    ],
    [
      { path: '/a', query: { n: { prefix: 'x' } } },
      { path: '/a', query: { n: { prefix: 'y' } } },
    ],
    [{ host: 'a.io' }, { host: '*.a.io' }, { host: 'a.io:80' }, {}],
    [{ path: '~/a/[0-9]+' }, { path: '~/a/[a-z]+' }, { path: '/a/' }],
    [{ operation: 'a.b' }, { operation: 'a.*' }, { path: '/a.b' }],
    [{ path: 'broken' }, { path: 'broken' }],
  ]
  for (const rules of clean) t.same(conflictsOf(rules), [], JSON.stringify(rules))
})

t.test('a route whose requests all go to an earlier equal one is shadowed', async (t) => {
  const cases: readonly MatchRule[][] = [
    [{}, {}],
    [{ path: '/a' }, { path: '/%61' }],
    [{ path: '/a/' }, { path: '/a/' }],
    [{ operation: 'a.*' }, { operation: 'a.*' }],
    [{ host: 'A.io' }, { host: 'a.io' }],
    [{ host: ['a.io', 'b.io'] }, { host: 'b.io' }],
    [
      { path: '/a', method: ['GET', 'PUT'] },
      { path: '/a', method: 'GET' },
    ],
    [
      { path: '/a', headers: { x: { present: true } } },
      { path: '/a', headers: { x: '1' } },
    ],
    [
      { path: '/a', headers: { X: { prefix: 'a' } } },
      { path: '/a', headers: { x: { prefix: 'ab' } } },
    ],
    [
      { path: '/a', query: { n: { range: [0, 9] } } },
      { path: '/a', query: { n: '5' } },
    ],
    [
      { path: '/a', cookies: { n: { regex: '[ab]+' } } },
      { path: '/a', cookies: { n: 'ab' } },
    ],
    [{ path: '~/a/.*' }, { path: '~/a/[0-9]+' }],
    [{ path: '~.*' }, { path: '/' }],
    [
      { operation: 'a.b', path: '/x/' },
      { operation: 'a.b', path: '/x/y' },
    ],
  ]
  for (const rules of cases) t.same(conflictsOf(rules), ['1<0 shadowed'], JSON.stringify(rules))
})

t.test('equal routes that a request can both match are ambiguous', async (t) => {
  const cases: readonly MatchRule[][] = [
    [
      { path: '/a', headers: { x: '1' } },
      { path: '/a', headers: { y: '1' } },
    ],
    [
      { path: '/a', method: 'GET' },
      { path: '/a', query: { x: '1' } },
    ],
    [
      { path: '/a', method: ['GET', 'PUT'] },
      { path: '/a', method: ['PUT', 'POST'] },
    ],
    [
      { path: '/a', headers: { x: '1' } },
      { path: '/a', headers: { x: { present: true } } },
    ],
    [
      { path: '/a', query: { n: { range: [0, 6] } } },
      { path: '/a', query: { n: { range: [5, 9] } } },
    ],
    [{ path: '~/a/(x|y)/z' }, { path: '~/a/[^/]+/z' }],
    [{ path: '~/a/[0-9]+' }, { path: '~/a/.*' }],
    [{ host: 'a.io' }, { host: ['a.io', 'b.io'] }],
  ]
  for (const rules of cases) t.same(conflictsOf(rules), ['1<0 ambiguous'], JSON.stringify(rules))
})

t.test('a route that others shadow host by host is shadowed', async (t) => {
  t.same(conflictsOf([{ host: 'a.io' }, { host: 'b.io' }, { host: ['a.io', 'b.io'] }]), ['2<0 shadowed'])
})

t.test('messages name both routes and say what to do', async (t) => {
  const messages = (rules: readonly MatchRule[]) =>
    findConflicts(rules.map((rule, index) => ({ rule, label: ['old', 'new'][index]! }))).map(
      ({ message }) => message,
    )
  t.same(messages([{ path: '/a' }, { path: '/a' }]), [
    "route 'new' can never match: route 'old' stands before it and has the same match; remove one of them",
  ])
  t.same(messages([{ method: ['GET', 'PUT'] }, { method: 'GET' }]), [
    "route 'new' can never match: route 'old' stands before it and matches every request that it does; put 'new' first or give it one more condition",
  ])
  t.same(messages([{ path: '/' }, { path: '~.*' }].reverse()), [
    "route 'new' can never match: the regular expression of route 'old' is looked at first and matches every request that it does",
  ])
  t.same(messages([{ host: 'a.io' }, { host: ['a.io', 'b.io'] }]), [
    "routes 'old' and 'new' are equally specific and a request can match both on host a.io; 'old' wins only because it stands first, so give one of them one more condition",
  ])
})

t.test('30,000 routes are checked in a moment, wherever they are', async (t) => {
  const shapes: readonly ((i: number) => MatchRule)[] = [
    (i) => ({ path: `/a/${i}` }),
    (i) => ({ path: '/a', headers: { service: `s${i}` } }),
    (i) => ({ path: '/a', headers: { env: 'prod', service: `s${i}` }, method: 'GET' }),
    (i) => ({ path: '/a', headers: { [`h${i}`]: { prefix: 'x' } } }),
    (i) => ({ path: '/a', headers: i % 2 === 0 ? { service: `s${i}` } : { tenant: `t${i}` } }),
    (i) => ({ path: `~/a/[0-9]+/${i}` }),
  ]
  for (const shape of shapes) {
    const entries = Array.from({ length: 30_000 }, (_, i) => ({ rule: shape(i), label: `r${i}` }))
    entries.push({ rule: shape(7), label: 'twin' })
    const startedAt = performance.now()
    const conflicts = findConflicts(entries)
    const spent = performance.now() - startedAt
    t.ok(spent < 10_000, `${JSON.stringify(shape(1))}: ${spent.toFixed(0)} ms`)
    const twin = conflicts.find(({ index }) => index === 30_000)
    t.match(twin, { otherIndex: 7, kind: 'shadowed' }, JSON.stringify(shape(1)))
  }
})

t.test('a shadowed route is never found by the table', async (t) => {
  const rules: MatchRule[] = [{ path: '~/.*', method: 'GET' }, { path: '/', method: 'GET' }, { path: '/' }]
  t.same(conflictsOf(rules), ['1<0 shadowed'])
  const builder = new RouteTableBuilder<number>()
  rules.forEach((rule, index) => {
    builder.add(rule, index, '')
  })
  const table = builder.build()
  t.equal(table.match(requestOf()), 0)
  t.equal(table.match(requestOf({ method: 'PUT' })), 2)
})
