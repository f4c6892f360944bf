/**
 * What zone routing costs a request: the decision alone, finding the shard, and the whole hook on headers as the HTTP/1 codec makes them.
 *
 *     node perf/micro/ldc.ts
 */
import { HeaderTable } from '../../lib/buffer/header-table.ts'
import { Exchange } from '../../lib/core/exchange.ts'
import type { Headers } from '../../lib/core/message.ts'
import { makeDecision, makeZoneRequest, ZoneEngine, type ZoneRequest } from '../../lib/filters/ldc/engine.ts'
import { ldc } from '../../lib/filters/ldc/index.ts'
import { parseDocument } from '../../lib/filters/ldc/parse.ts'
import { shardOfUser } from '../../lib/filters/ldc/shards.ts'
import { makeInertServices } from '../../lib/filters/services.ts'
import { TestDownstream, TestRequestHead } from '../../lib/testing-messages.ts'
import { measure } from './filter-measure.ts'

const PLAIN = {
  version: 1,
  self: { cell: 'RZ01A' },
  extract: [
    { from: 'mmtp.shard', verifiedOnly: true },
    { from: 'header', name: 'uid' },
    { from: 'cookie', name: 'zone_op', as: 'shard', hint: true },
  ],
  cities: { hz: {} },
  idcs: { hz1: { city: 'hz' } },
  zones: {
    RZ01: { kind: 'R', cells: { RZ01A: { idc: 'hz1', weight: 50 }, RZ01B: { idc: 'hz1', weight: 50 } } },
    RZ02: { kind: 'R', cells: { RZ02A: { idc: 'hz1', weight: 50 }, RZ02B: { idc: 'hz1', weight: 50 } } },
    RZ0X: { kind: 'R', elastic: true, cells: { RZ0XA: { idc: 'hz1', weight: 100 } } },
  },
  rules: [
    { id: 'base-1', shards: '00-49', zone: 'RZ01' },
    { id: 'base-2', shards: '50-99', zone: 'RZ02' },
  ],
}
const SCOPED = {
  ...PLAIN,
  rules: [
    ...PLAIN.rules,
    ...Array.from({ length: 20 }, (_, i) => ({
      id: `r${i}`,
      priority: i + 1,
      shards: '40-49',
      apps: [`app${i}`, 'trade'],
      ops: [`alipay.op${i}.*`],
      zone: 'RZ0X',
    })),
  ],
}
const USER = '2088000000000687'
const NOW = 1_795_187_693_051

function engineOf(value: unknown): ZoneEngine {
  const { document, problems } = parseDocument(value, '')
  if (document === null) throw new Error(JSON.stringify(problems))
  return new ZoneEngine(document)
}

const decision = makeDecision()
function decides(label: string, engine: ZoneEngine, request: Partial<ZoneRequest>): void {
  const whole = makeZoneRequest(request)
  measure(label, () => engine.decide(whole, NOW, decision))
}

const plain = engineOf(PLAIN)
const scoped = engineOf(SCOPED)
decides('decision, own zone', plain, { shard: 5, userId: USER })
decides('decision, other zone, cell by user', plain, { shard: 68, userId: USER })
decides('decision, 20 rules by app and operation', scoped, { shard: 45, app: 'trade', op: 'alipay.op7.pay' })
decides('decision, no shard', plain, {})
measure('shard of a user id', () => shardOfUser(USER, -3, -1, 100))

const HEAD =
  'Host: api.example.com\r\nUser-Agent: wrk/4.2.0 (epoll)\r\nAccept: application/json\r\nContent-Type: application/json\r\n' +
  'X-Client-Id: 0123456789abcdef\r\nCookie: a=b; zone_op=07\r\n'
const bytes = Buffer.from(HEAD, 'latin1')
const ranges = [...HEAD.matchAll(/([^:\r\n]+): ([^\r\n]*)\r\n/g)].flatMap(({ index, 1: name, 2: value }) => {
  const nameEnd = index + name.length
  return [index, nameEnd, nameEnd + 2, nameEnd + 2 + value.length]
})
const peer = { remoteAddress: '192.0.2.1', remotePort: 4000, localAddress: '', localPort: 0 }
const downstream = new TestDownstream()
const table = new HeaderTable()

/** A request head whose headers are ranges of bytes, as on the data path. */
class BenchHead extends TestRequestHead {
  override readonly headers: never
  constructor(headers: Headers) {
    super({ path: '/api/v1/things', method: 'GET' })
    this.headers = headers as never
  }
}
const head = new BenchHead(table)

function open(trusted: boolean, userId: string): Exchange {
  table.open(bytes, 0)
  for (let i = 0; i < ranges.length; i += 4)
    table.push(ranges[i], ranges[i + 1], ranges[i + 2], ranges[i + 3], 0)
  const listener = { name: 'in', stats: null as never, trusted }
  const exchange = new Exchange(head, downstream, peer, listener, 0, { onExchangeTimer: () => {} })
  exchange.userId = userId
  return exchange
}

const filter = ldc.create(
  { rules: PLAIN } as never,
  makeInertServices({ app: 'bench', cell: 'RZ01A', labels: {} })('ldc'),
)
const COUNT = 300_000
function costs(label: string, trusted: boolean, userId: string): void {
  const floor = measure(`${label}: exchange and headers alone`, () => close(open(trusted, userId)), COUNT)
  const total = measure(
    label,
    () => {
      const exchange = open(trusted, userId)
      filter.onRoute?.(exchange)
      close(exchange)
    },
    COUNT,
  )
  console.log(`${'  the hook'.padEnd(58)} ${(total - floor).toFixed(1).padStart(8)} ns`)
}

function close(exchange: Exchange): Exchange {
  table.release()
  return exchange
}

costs('proven user, own zone, trusted peer', true, '2088000000000057')
costs('proven user, own zone, at the edge', false, '2088000000000057')
costs('hint of a cookie, own zone, at the edge', false, '')
costs('proven user, forwarded', true, USER)
