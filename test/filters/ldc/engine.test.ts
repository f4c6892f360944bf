/** Decisions: shards, kinds of zones, cells, frozen shards, load tests, forwarded requests. */
import t from 'tap'
import { makeDecision, makeZoneRequest, Outcome, type ZoneEngine } from '../../../lib/filters/ldc/engine.ts'
import { CellHealth } from '../../../lib/filters/ldc/health.ts'
import type { Cell } from '../../../lib/filters/ldc/topology.ts'
import { decide, makeEngine, NOW, rulesValue } from './support.ts'

/** How many of a thousand users each cell gets, from a gateway in another zone. */
function sharesOf(engine: ZoneEngine, shard: number): Record<string, number> {
  const shares: Record<string, number> = {}
  for (let i = 0; i < 1000; i++) {
    const name = decide(engine, { shard, userId: `20880000${i}`, mayWrite: false }).cell?.name ?? 'none'
    shares[name] = (shares[name] ?? 0) + 1
  }
  return shares
}

/** The rules with other cells in RZ01, seen from RZ02A. */
function withCells(cells: Record<string, unknown>, states: Record<string, unknown> = {}): ZoneEngine {
  const zones = { ...(rulesValue().zones as object), RZ01: { kind: 'R', cells } }
  return makeEngine({ zones, cells: states, self: { cell: 'RZ02A' } })
}

function steps(engine: ZoneEngine, request: Parameters<typeof makeZoneRequest>[0]): string {
  const said: string[] = []
  engine.decide(makeZoneRequest(request), NOW, makeDecision(), (step) => said.push(step))
  return said.join('\n')
}

t.test('shards of the own zone are served here, others belong to their zone', async (t) => {
  const engine = makeEngine()
  t.match(decide(engine, { shard: 5 }), {
    outcome: Outcome.Local,
    cell: { name: 'RZ01A' },
    rule: { id: 'base-1' },
  })
  t.match(decide(engine, { shard: 68 }), {
    outcome: Outcome.Elsewhere,
    cell: { name: 'RZ02A' },
    rule: { id: 'base-2' },
  })
  t.match(decide(engine, {}), { outcome: Outcome.Local, rule: null }, 'without a shard the own zone serves')
})

t.test('a rule of higher priority holds for its app and operations only, and until it ends', async (t) => {
  const engine = makeEngine()
  const bounced = { shard: 45, app: 'trade', op: 'alipay.trade.pay' }
  t.equal(decide(engine, bounced).cell?.name, 'RZ0XA')
  t.equal(decide(engine, { ...bounced, app: 'other' }).cell?.name, 'RZ01A')
  t.equal(decide(engine, { ...bounced, op: 'alipay.query' }).cell?.name, 'RZ01A')
  t.equal(decide(engine, { ...bounced, shard: 39 }).cell?.name, 'RZ01A')
  const end = Date.UTC(2026, 10, 12, 2)
  t.equal(decide(engine, bounced, end - 1).cell?.name, 'RZ0XA')
  t.equal(decide(engine, bounced, end).cell?.name, 'RZ01A', 'at that very moment')
})

t.test('a tag leads to one cell of the zone', async (t) => {
  const engine = makeEngine()
  t.match(decide(engine, { shard: 0, tag: 'grey-b' }), {
    outcome: Outcome.Elsewhere,
    cell: { name: 'RZ01B' },
  })
  t.match(decide(engine, { shard: 0 }), { outcome: Outcome.Local })
  t.equal(
    decide(makeEngine({ cells: { RZ01B: { state: 'down' } } }), { shard: 0, tag: 'grey-b' }).cell?.name,
    'RZ01A',
  )
})

t.test('a frozen shard refuses what may write, in every zone, and lets reads pass', async (t) => {
  const engine = makeEngine()
  for (const shard of [12, 13, 60]) t.equal(decide(engine, { shard }).outcome, Outcome.Frozen, `${shard}`)
  t.equal(decide(engine, { shard: 12, mayWrite: false }).outcome, Outcome.Local)
  t.equal(decide(engine, { shard: 60, mayWrite: false }).outcome, Outcome.Elsewhere)
  t.equal(
    decide(engine, { shard: 12, op: 'account.queryBalance' }).outcome,
    Outcome.Local,
    'the rules say that it reads',
  )
  t.equal(decide(engine, { shard: 12, isHint: true }).outcome, Outcome.Local, 'a hint refuses nothing')
  t.equal(decide(engine, { shard: 12, op: 'config.get' }).outcome, Outcome.Elsewhere, 'kind G has no shards')
})

t.test('users are spread over the cells of a zone by weight, and each stays where it is', async (t) => {
  const half = withCells({ RZ01A: { idc: 'hz1', weight: 50 }, RZ01B: { idc: 'hz1', weight: 50 } })
  const shares = sharesOf(half, 5)
  t.ok(Math.abs(shares.RZ01A - 500) < 60, JSON.stringify(shares))
  const cellOf = (engine: ZoneEngine, i: number) => decide(engine, { shard: 5, userId: `u${i}` }).cell?.name
  for (let i = 0; i < 100; i++) t.equal(cellOf(half, i), cellOf(half, i))
  const shifted = withCells({ RZ01A: { idc: 'hz1', weight: 70 }, RZ01B: { idc: 'hz1', weight: 30 } })
  for (let i = 0; i < 300; i++)
    if (cellOf(half, i) === 'RZ01A') t.equal(cellOf(shifted, i), 'RZ01A', 'a shift moves one way')
  const byShard = new Set(Array.from({ length: 20 }, () => decide(half, { shard: 5 }).cell?.name))
  t.equal(byShard.size, 1, 'without a user the shard decides')
})

t.test('a cell that warms up takes a part of its weight, one that drains nothing new', async (t) => {
  const cells = { RZ01A: { idc: 'hz1', weight: 50 }, RZ01B: { idc: 'hz1', weight: 50 } }
  const warm = sharesOf(withCells(cells, { RZ01B: { state: 'warm(10)' } }), 5)
  t.ok(warm.RZ01B > 50 && warm.RZ01B < 140, JSON.stringify(warm)) // 5 of 55
  t.same(sharesOf(withCells(cells, { RZ01B: { state: 'warm', percent: 0 } }), 5), { RZ01A: 1000 })
  t.same(sharesOf(withCells(cells, { RZ01B: { state: 'drain' } }), 5), { RZ01A: 1000 })
})

t.test('a cell that drains still serves what reaches it, and is the last resort of its zone', async (t) => {
  const drained = makeEngine({ cells: { RZ01A: { state: 'drain' } } })
  t.match(decide(drained, { shard: 5 }), { outcome: Outcome.Local, cell: { name: 'RZ01A' } })
  const both = withCells(
    { RZ01A: { idc: 'hz1', weight: 100 }, RZ01B: { idc: 'hz1', weight: 0 } },
    { RZ01A: { state: 'drain' }, RZ01B: { state: 'down' } },
  )
  t.equal(decide(both, { shard: 5 }).cell?.name, 'RZ01A')
  const none = withCells(
    { RZ01A: { idc: 'hz1', weight: 100 }, RZ01B: { idc: 'hz1', weight: 0 } },
    { RZ01A: { state: 'down' }, RZ01B: { state: 'down' } },
  )
  t.match(decide(none, { shard: 5 }), { outcome: Outcome.NoCell, cell: null }, 'never a zone with other data')
})

t.test('services of kind G go anywhere, those of kind C stay in the city', async (t) => {
  const engine = makeEngine()
  const cells = new Set(Array.from({ length: 200 }, () => decide(engine, { op: 'config.get' }).cell?.name))
  t.same([...cells].toSorted(), ['GZ00A', 'GZ00B'])
  t.equal(decide(engine, { op: 'city.list', shard: 68 }).cell?.name, 'CZ10A')
  t.equal(decide(makeEngine({ self: { cell: 'RZ0XA' } }), { op: 'city.list' }).cell?.name, 'CZ20A')
  t.equal(decide(makeEngine({ self: { cell: 'GZ00B' } }), { op: 'config.get' }).outcome, Outcome.Local)
  const noCity = makeEngine({ cells: { CZ10A: { state: 'down' } }, failover: { C: ['same-city', 'GZ00'] } })
  t.match(decide(noCity, { op: 'city.list' }).cell?.name, /^GZ00/)
})

t.test('bad health moves requests inside a zone of kind R and never out of it', async (t) => {
  const engine = withCells({ RZ01A: { idc: 'hz1', weight: 50 }, RZ01B: { idc: 'hz1', weight: 50 } })
  const { topology } = engine
  topology.setShare(topology.cell('RZ01B') as Cell, 0)
  t.same(sharesOf(engine, 5), { RZ01A: 1000 })
  topology.setShare(topology.cell('RZ01A') as Cell, 0)
  t.equal(decide(engine, { shard: 5 }).outcome, Outcome.NoCell)
})

t.test('a cell is down after 5 s under the floor, up after 30 s, and moves by 10 % a second', async (t) => {
  const engine = withCells({ RZ01A: { idc: 'hz1', weight: 50 }, RZ01B: { idc: 'hz1', weight: 50 } })
  const health = new CellHealth(engine.topology, 30)
  const cell = engine.topology.cell('RZ01B') as Cell
  const share = () => (sharesOf(engine, 5).RZ01B ?? 0) / 5
  const run = (percent: number, from: number, to: number) => {
    for (let second = from; second <= to; second++) health.sample(cell, percent, second * 1000)
  }
  const full = share()
  run(0, 0, 4)
  t.equal(share(), full, 'not yet')
  run(100, 5, 5)
  run(0, 6, 10)
  t.equal(share(), full, 'a good sample starts it over')
  run(0, 11, 16)
  t.ok(share() < full * 0.8 && share() > full * 0.2, `half way: ${share()} of ${full}`)
  run(0, 17, 25)
  t.equal(share(), 0)
  run(29, 26, 40)
  run(100, 41, 70)
  t.equal(share(), 0, 'not up before 30 s')
  run(100, 71, 90)
  t.equal(share(), full)
})

t.test('load-test traffic has rules of its own and reaches only cells that declare it', async (t) => {
  const rules = [{ id: 'p', shards: '00-99', zone: 'RZ0X' }]
  t.equal(decide(makeEngine({ pressure: { rules } }), { shard: 5, isPressure: true }).cell?.name, 'RZ0XA')
  t.equal(
    decide(makeEngine({ pressure: { rules } }), { shard: 5 }).cell?.name,
    'RZ01A',
    'ordinary traffic does not',
  )
  const inherits = makeEngine({ pressure: { shadowUpstream: true } })
  t.equal(decide(inherits, { shard: 5, isPressure: true }).outcome, Outcome.Local, 'RZ01A takes it')
  t.equal(decide(inherits, { shard: 68, isPressure: true }).outcome, Outcome.NoShadow, 'RZ02A does not')
  t.equal(decide(inherits, { shard: 68 }).outcome, Outcome.Elsewhere)
  const normalOnly = makeEngine({ self: { cell: 'RZ02A' }, pressure: { shadowUpstream: true } })
  t.equal(decide(normalOnly, { shard: 68, isPressure: true }).outcome, Outcome.NoShadow)
  t.equal(decide(normalOnly, { isPressure: true }).outcome, Outcome.NoShadow, 'nor without a shard')
  const sentHere = { shard: 5, isPressure: true, targetCell: 'RZ02A', version: 200 }
  t.equal(decide(normalOnly, sentHere).outcome, Outcome.NoShadow, 'nor when newer rules sent it here')
})

t.test('a permitted peer may name the cell; an unknown one is ignored', async (t) => {
  const engine = makeEngine()
  t.equal(decide(engine, { shard: 5, override: 'RZ02A' }).cell?.name, 'RZ02A')
  t.equal(decide(engine, { shard: 68, override: 'RZ01A' }).outcome, Outcome.Local)
  t.equal(decide(engine, { shard: 68, override: 'RZ77A' }).cell?.name, 'RZ02A')
})

t.test('a request that was sent here by other rules is settled by the versions and hops', async (t) => {
  const engine = makeEngine() // version 118, shard 68 belongs to RZ02
  const sent = { shard: 68, targetCell: 'RZ01A', hops: 1 }
  t.match(
    decide(engine, { ...sent, version: 119 }),
    { outcome: Outcome.Local, isConflict: true },
    'theirs are newer',
  )
  t.match(
    decide(engine, { ...sent, version: 117 }),
    { outcome: Outcome.Elsewhere, isConflict: true },
    'ours are newer',
  )
  t.equal(decide(engine, { ...sent, version: 117, hops: 0 }).outcome, Outcome.WrongZone)
  t.equal(
    decide(engine, { ...sent, version: 117, hops: 0, mayWrite: false }).outcome,
    Outcome.Local,
    'a read',
  )
  t.equal(decide(engine, { ...sent, version: 118 }).outcome, Outcome.WrongZone, 'equal')
  t.equal(decide(engine, { ...sent, version: 118, mayWrite: false }).outcome, Outcome.Local)
  t.match(decide(engine, { ...sent, shard: 5, version: 117 }), { outcome: Outcome.Local, isConflict: false })
  t.equal(decide(engine, { ...sent, shard: 60, version: 119 }).outcome, Outcome.Frozen, 'frozen comes first')
})

t.test('two gateways with different rules pass a request on at most twice', async (t) => {
  const swapped = [
    { id: 'a', shards: '00-49', zone: 'RZ02' },
    { id: 'b', shards: '50-99', zone: 'RZ01' },
  ]
  for (const [first, second] of [
    [118, 119],
    [119, 118],
    [118, 118],
  ]) {
    const common = { frozen: [], pressure: {} }
    const gateways: Record<string, ZoneEngine> = {
      RZ01A: makeEngine({ ...common, version: first, self: { cell: 'RZ01A' }, rules: swapped }),
      RZ02A: makeEngine({ ...common, version: second, self: { cell: 'RZ02A' } }),
    }
    for (const mayWrite of [true, false]) {
      for (let shard = 0; shard < 100; shard++) {
        let [at, targetCell, version, hops, forwards] = ['RZ01A', '', 0, 2, 0]
        let outcome: Outcome
        while (true) {
          const decision = decide(gateways[at], { shard, mayWrite, targetCell, version, hops })
          outcome = decision.outcome
          if (outcome !== Outcome.Elsewhere) break
          version = gateways[at].document.version
          at = (decision.cell as Cell).zone.name === 'RZ01' ? 'RZ01A' : 'RZ02A'
          targetCell = at
          hops--
          forwards++
          if (forwards > 5) break
        }
        if (forwards > 2) t.fail(`${first}/${second}, shard ${shard}: ${forwards} forwards`)
        if (first !== second && outcome !== Outcome.Local)
          t.fail(`${first}/${second}, shard ${shard}: outcome ${outcome}`)
        const newest = first > second ? 'RZ01A' : 'RZ02A'
        const owner = decide(gateways[newest], { shard }).cell?.zone.name
        if (forwards > 0 && first !== second && at.slice(0, 4) !== owner)
          t.fail(`shard ${shard} was served by ${at}, its data is in ${owner}`)
      }
    }
  }
  t.pass()
})

t.test('a decision can be explained step by step', async (t) => {
  const engine = makeEngine()
  t.equal(
    steps(engine, { shard: 45, app: 'trade', op: 'alipay.trade.pay' }),
    [
      'this is cell RZ01A of zone RZ01, rules of version 118',
      'the request may write',
      'its shard is 45',
      'rule "bounce" of priority 100 names zone RZ0X',
      'rule "base-1" of priority 0 matches too and is outranked',
      'belongs to cell RZ0XA of zone RZ0X in data centre sh1',
    ].join('\n'),
  )
  t.match(steps(engine, { shard: 12 }), /its shard is frozen/)
  t.match(steps(engine, {}), /it has no shard: the own zone serves it\nserved here, in cell RZ01A/)
  t.match(steps(engine, { shard: 68, targetCell: 'RZ01A', version: 119 }), /newer than 118: served here/)
  t.match(steps(engine, { op: 'config.get' }), /kind G: shards do not count/)
})
