/** Documents: what is read, what is refused and where, and which new version may serve. */
import fc from 'fast-check'
import t from 'tap'
import { admit } from '../../../lib/filters/ldc/admission.ts'
import { diffDocuments, movedShards } from '../../../lib/filters/ldc/diff.ts'
import { makeZoneRequest, ZoneEngine } from '../../../lib/filters/ldc/engine.ts'
import { parseDocument } from '../../../lib/filters/ldc/parse.ts'
import {
  parseShards,
  shardOfText,
  shardOfUser,
  showShards,
  UNSHARDED,
} from '../../../lib/filters/ldc/shards.ts'
import { NOW, rulesDocument, rulesValue } from './support.ts'

/** Problems as `path: message`. */
function problemsOf(changes: Record<string, unknown>): string[] {
  return parseDocument(rulesValue(changes), '').problems.map(({ path, message }) => `${path}: ${message}`)
}

const BASE = [
  { id: 'a', shards: '00-49', zone: 'RZ01' },
  { id: 'b', shards: '50-99', zone: 'RZ02' },
]

t.test('the 3rd- and the 2nd-last digit of a user id are the shard', async (t) => {
  t.equal(shardOfUser('2088000000000687', -3, -1, 100), 68)
  t.equal(shardOfUser('123', -3, -1, 100), 12)
  t.equal(shardOfUser('2088000000000687', -2, 0, 100), 87, 'an end of 0 is the end')
  t.equal(shardOfUser('2088000000000687', 0, 2, 100), 20)
})

t.test('a user id that is too short or has other characters than digits gives no shard', async (t) => {
  for (const id of ['', '1', '12', '20880000000x0687', '２０８８', '-123', '12 3', '1234567\n']) {
    t.equal(shardOfUser(id, -3, -1, 100), UNSHARDED, JSON.stringify(id))
  }
  t.equal(shardOfUser('999', 0, 3, 100), UNSHARDED, 'beyond the last shard')
})

t.test('a shard is told by up to four digits', async (t) => {
  t.equal(shardOfText('07', 100), 7)
  t.equal(shardOfText('99', 100), 99)
  for (const text of ['', '100', '-1', '1e1', ' 7', '00007', 'x'])
    t.equal(shardOfText(text, 100), UNSHARDED, text)
})

t.test('ranges of shards are read and written', async (t) => {
  t.same(parseShards('00-02, 7', 100), [0, 1, 2, 7])
  t.match(parseShards('5-3', 100), /backwards/)
  t.match(parseShards('00-100', 100), /beyond 99/)
  t.match(parseShards('a', 100), /no range/)
  t.equal(showShards([0, 1, 2, 7, 98, 99], 100), '00-02,07,98-99')
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(99), { minLength: 1 }), (shards) => {
      const sorted = shards.toSorted((a, b) => a - b)
      t.strictSame(parseShards(showShards(sorted, 100), 100), sorted)
    }),
    { numRuns: 50 },
  )
})

t.test('the whole document of the tests is right, also below a key "ldc"', async (t) => {
  t.same(problemsOf({}), [])
  const { document } = parseDocument({ ldc: rulesValue() }, '')
  t.equal(document?.version, 118)
})

t.test('what is wrong is named with its path', async (t) => {
  const wrong: [changes: Record<string, unknown>, problem: RegExp][] = [
    [{ version: 0 }, /^version: must be a whole number/],
    [{ version: undefined }, /^version: is missing/],
    [{ shard: 1 }, /^shard: there is no such key; did you mean "shards"\?/],
    [{ self: { cell: 'RZ09A' } }, /^self\.cell: no zone has the cell "RZ09A"/],
    [{ self: undefined }, /^self\.cell: is missing/],
    [{ cities: { sh: {} } }, /^idcs\.hz1\.city: there is no city "hz"/],
    [{ frozen: ['90-120'] }, /^frozen\[0\]: "90-120" goes beyond 99/],
    [{ rules: [BASE[0]] }, /^rules: shards 50-99 have no rule of priority 0/],
    [
      { rules: [...BASE, { id: 'c', shards: '10-60', zone: 'RZ02' }] },
      /^rules\[2\]: rule "c" and rule "a" have the same/,
    ],
    [
      { rules: [...BASE, { id: 'c', shards: '10', apps: ['x'], zone: 'RZ02' }] },
      /^rules\[2\]: rule "c" and rule "a" .* shards 10$/,
    ],
    [
      {
        rules: [
          ...BASE,
          { id: 'c', priority: 5, shards: '10', ops: ['a.*'], zone: 'RZ02' },
          { id: 'd', priority: 5, shards: '10-11', ops: ['a.b'], apps: ['x'], zone: 'RZ02' },
        ],
      },
      /^rules\[3\]: rule "d" and rule "c"/,
    ],
    [{ rules: [...BASE, { ...BASE[0], priority: 1 }] }, /^rules\[2\]\.id: another rule/],
    [
      { rules: [...BASE, { id: 'c', priority: 1, shards: '1', zone: 'RZ07' }] },
      /^rules\[2\]\.zone: there is no zone "RZ07"/,
    ],
    [
      { rules: [...BASE, { id: 'c', priority: 1, shards: '1', zone: 'GZ00' }] },
      /^rules\[2\]: zone GZ00 is of kind G/,
    ],
    [{ rules: [...BASE, { id: 'c', priority: 1, shards: '1' }] }, /^rules\[2\]: must name a zone or a cell/],
    [{ rules: [BASE[0], { ...BASE[1], zone: 'RZ0X' }] }, /^rules\[1\]: zone RZ0X is elastic/],
    [
      { rules: [...BASE, { id: 'c', priority: 1, shards: '1', zone: 'RZ02', ops: ['a*b'] }] },
      /^rules\[2\]\.ops\[0\]: "\*" may/,
    ],
    [
      { rules: [...BASE, { id: 'c', priority: 1, shards: '1', zone: 'RZ02', until: 'soon' }] },
      /^rules\[2\]\.until: must be a time/,
    ],
    [{ pressure: { rules: [BASE[0]] } }, /^pressure\.rules: shards 50-99/],
    [{ cells: { RZ09A: { state: 'drain' } } }, /^cells\.RZ09A: no zone has this cell/],
    [{ cells: { RZ01B: { state: 'gone' } } }, /^cells\.RZ01B\.state: must be one of up, warm, drain, down/],
    [{ failover: { R: ['RZ02'] } }, /^failover\.R\[0\]: must be same-zone-other-cell/],
    [{ failover: { G: ['RZ02'] } }, /^failover\.G\[0\]: zone RZ02 is of kind R/],
    [{ services: [{ kind: 'G', zone: 'CZ10' }] }, /^services\[0\]\.zone: zone CZ10 is of kind C/],
    [{ crossZone: { cluster: '{cel}' } }, /^crossZone\.cluster: \{cel\} stands for nothing/],
    [{ crossZone: { location: 'rz' } }, /^crossZone\.location: must be scheme and host/],
    [{ extract: [{ from: 'header' }] }, /^extract\[0\]\.name: is missing/],
    [{ extract: [{ from: 'arg', index: 0 }] }, /^extract\[0\]\.from: arguments of calls are not decoded/],
    [{ extract: [{ from: 'header', name: 'x', slice: [1] }] }, /^extract\[0\]\.slice: must be two numbers/],
  ]
  for (const [changes, problem] of wrong) {
    const found = problemsOf(changes)
    t.ok(
      found.some((text) => problem.test(text)),
      `${JSON.stringify(changes)} → ${found.join(' | ')}`,
    )
  }
})

t.test('weights of a zone make 100, or all are 0', async (t) => {
  const zones = rulesValue().zones as Record<string, unknown>
  const withWeights = (a: number, b: number) => ({
    ...zones,
    RZ01: { kind: 'R', cells: { RZ01A: { idc: 'hz1', weight: a }, RZ01B: { idc: 'hz9', weight: b } } },
  })
  t.match(problemsOf({ zones: withWeights(50, 40) }).join(), /zones\.RZ01\.cells: the weights add up to 90/)
  t.match(
    problemsOf({ zones: withWeights(0, 0) }).join(),
    /^zones\.RZ01\.cells\.RZ01B\.idc: there is no data centre "hz9"[^|]*$/,
  )
})

t.test('nothing that a parser can give makes the check throw', async (t) => {
  for (const value of [null, undefined, 3, 'x', [], { ldc: null }, { ldc: [] }]) {
    const { document, problems } = parseDocument(value, 'RZ01A')
    t.equal(document, null)
    t.ok(problems.length > 0, JSON.stringify(value))
  }
  const keys = Object.keys(rulesValue())
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.jsonValue({ maxDepth: 3 }), (key, value) => {
      t.doesNotThrow(() => parseDocument(rulesValue({ [key]: value }), ''))
      const inner = rulesValue()
      if (Array.isArray(inner[key])) (inner[key] as unknown[])[0] = value
      t.doesNotThrow(() => parseDocument(inner, ''))
    }),
    { numRuns: 300 },
  )
})

t.test('a version serves only when it is higher, and an equal one is ignored', async (t) => {
  const current = rulesDocument()
  t.equal(admit(rulesValue({ frozen: [] }), '', current, NOW).kind, 'same')
  t.equal(admit(rulesValue({ version: 119 }), '', current, NOW).kind, 'accepted')
  t.match(admit(rulesValue({ version: 117 }), '', current, NOW), {
    kind: 'refused',
    problems: [{ path: 'version', message: /is 117, and 118 serves/ }],
  })
})

t.test('one version moves no more shards than the guard lets it, unless it is named', async (t) => {
  const current = rulesDocument()
  const moving = (last: string, guard: object = {}) => {
    const rules = (rulesValue().rules as { id: string; shards: string }[]).map((rule) =>
      rule.id === 'base-1'
        ? { ...rule, shards: `00-${last}` }
        : rule.id === 'base-2'
          ? { ...rule, shards: `${Number(last) + 1}-99` }
          : rule,
    )
    return rulesValue({ version: 119, rules, guard })
  }
  t.equal(admit(moving('69'), '', current, NOW).kind, 'accepted', '20 shards')
  t.match(admit(moving('70'), '', current, NOW), {
    kind: 'refused',
    problems: [{ message: /moves 21 of 100 shards/ }],
  })
  t.equal(admit(moving('70', { overrideFor: 119 }), '', current, NOW).kind, 'accepted')
  t.equal(
    admit(moving('70', { overrideFor: 118 }), '', current, NOW).kind,
    'refused',
    'was meant for another version',
  )
  t.equal(
    admit(moving('70', { maxMovedPercent: 50 }), '', current, NOW).kind,
    'refused',
    'the old limit counts too',
  )
})

t.test('a new rule that is over already is refused; one that ends while it serves is not', async (t) => {
  const current = rulesDocument()
  const late = Date.UTC(2027, 0, 1)
  t.equal(admit(rulesValue({ version: 119 }), '', current, late).kind, 'accepted')
  const rules = [
    ...(rulesValue().rules as object[]),
    { id: 'x', priority: 9, shards: '1', zone: 'RZ02', until: '2026-02-01' },
  ]
  t.match(admit(rulesValue({ version: 119, rules }), '', current, NOW), {
    kind: 'refused',
    problems: [{ path: 'rules[4].until', message: /ended in the past/ }],
  })
})

/** Base rules that cut the shards anywhere, and rules above them. */
const anyRules = fc
  .record({
    cut: fc.integer({ min: 1, max: 98 }),
    above: fc.array(
      fc.record({
        first: fc.nat(99),
        length: fc.nat(30),
        zone: fc.constantFrom('RZ01', 'RZ02', 'RZ0X'),
        app: fc.constantFrom('', 'trade', 'pay'),
        op: fc.constantFrom('', 'a.*', 'a.b.*', 'a.b.c'),
      }),
      { maxLength: 6 },
    ),
  })
  .map(({ cut, above }) => [
    { id: 'low', shards: `0-${cut}`, zone: 'RZ01' },
    { id: 'high', shards: `${cut + 1}-99`, zone: 'RZ02' },
    ...above.map(({ first, length, zone, app, op }, index) => ({
      id: `r${index}`,
      priority: index + 1,
      shards: `${first}-${Math.min(99, first + length)}`,
      zone,
      ...(app === '' ? {} : { apps: [app] }),
      ...(op === '' ? {} : { ops: [op] }),
    })),
  ])
const anyApp = fc.constantFrom('', 'trade', 'pay', 'other')
const anyOp = fc.constantFrom('', 'a.b.c', 'a.b.d', 'a.x', 'b')

type PlainRule = { priority?: number; shards: string; zone: string; apps?: string[]; ops?: string[] }

/** The zone by the rules' own words: the matching one of the highest priority. */
function zoneByHand(rules: readonly PlainRule[], shard: number, app: string, op: string): string {
  const covers = (pattern: string) =>
    pattern.endsWith('*') ? op.startsWith(pattern.slice(0, -1)) : op === pattern
  const matching = rules.filter(({ shards, apps, ops }) => {
    const [first, last] = shards.split('-').map(Number)
    return shard >= first && shard <= last && (apps?.includes(app) ?? true) && (ops?.some(covers) ?? true)
  })
  return matching.reduce((best, rule) => ((rule.priority ?? 0) > (best.priority ?? 0) ? rule : best)).zone
}

t.test('every shard has exactly one rule in every class, the one that reading the rules gives', async (t) => {
  fc.assert(
    fc.property(anyRules, anyApp, anyOp, (rules, app, op) => {
      const engine = new ZoneEngine(rulesDocument({ rules, services: [] }))
      for (let shard = 0; shard < 100; shard++) {
        const rule = engine.ruleFor(makeZoneRequest({ shard, app, op }), NOW)
        if (rule?.zone !== zoneByHand(rules as PlainRule[], shard, app, op)) return false
      }
      return true
    }),
    { numRuns: 150 },
  )
  t.pass()
})

t.test('a diff says just what two look-ups say', async (t) => {
  fc.assert(
    fc.property(anyRules, anyRules, (before, after) => {
      const [old, now] = [rulesDocument({ rules: before }), rulesDocument({ version: 119, rules: after })]
      const { moves } = diffDocuments(old, now, NOW)
      const general = moves.filter(({ class: one }) => one.app === '' && one.op === '' && !one.isPressure)
      const told = new Map(
        general.flatMap(({ shards, from, to }) => shards.map((shard) => [shard, `${from} ${to}`])),
      )
      let count = 0
      for (let shard = 0; shard < 100; shard++) {
        const [from, to] = [
          zoneByHand(before as PlainRule[], shard, '', ''),
          zoneByHand(after as PlainRule[], shard, '', ''),
        ]
        if (from !== to) count++
        if ((from === to ? undefined : `${from} ${to}`) !== told.get(shard)) return false
      }
      return told.size === count && movedShards(old, now, NOW) >= count
    }),
    { numRuns: 100 },
  )
  t.same(diffDocuments(rulesDocument(), rulesDocument(), NOW).moves, [])
})

t.test('a diff tells moves of some requests only, of frozen shards and of cells', async (t) => {
  const rules = (rulesValue().rules as { id: string }[]).filter(({ id }) => id !== 'bounce')
  const after = rulesDocument({
    version: 119,
    rules,
    frozen: ['13-14'],
    cells: { RZ01B: { state: 'warm(10)' } },
  })
  const diff = diffDocuments(rulesDocument(), after, NOW)
  t.equal(diff.movedShards, 10)
  t.same(
    diff.moves.map(({ class: one, from, to, shards }) => [
      one.app,
      one.op,
      one.tag,
      from,
      to,
      showShards(shards, 100),
    ]),
    [['trade', 'alipay.trade.*', '', 'RZ0X', 'RZ01', '40-49']],
  )
  t.same([diff.frozen, diff.unfrozen], [[14], [12, 60]])
  t.same(diff.cells, [{ cell: 'RZ01B', from: '50 % up', to: '50 % warm(10)' }])
})
