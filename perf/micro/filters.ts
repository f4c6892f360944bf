/**
 * What each built-in filter costs an exchange, hooks only, on headers as the HTTP/1 codec makes them.
 *
 *     node perf/micro/filters.ts
 */
import { randomBytes } from 'node:crypto'
import { HeaderTable } from '../../lib/buffer/header-table.ts'
import { Exchange } from '../../lib/core/exchange.ts'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import type { Headers } from '../../lib/core/message.ts'
import { type Chain, type ChainOwner, Suspended } from '../../lib/filters/chain.ts'
import { compileChains } from '../../lib/filters/compile.ts'
import { FILTERS } from '../../lib/filters/index.ts'
import { makeServices, SlotRegistry } from '../../lib/filters/services.ts'
import { SofaTraceIds, TraceParentPool } from '../../lib/filters/trace-ids.ts'
import { TestDownstream, TestRequestHead, TestResponseHead } from '../../lib/testing-messages.ts'
import { measure } from './filter-measure.ts'

const HEAD =
  'Host: api.example.com\r\nUser-Agent: wrk/4.2.0 (epoll)\r\nAccept: application/json\r\nContent-Type: application/json\r\n' +
  'X-Client-Id: 0123456789abcdef\r\nCookie: uid=2088000000000687; zone_op=07\r\n'
const bytes = Buffer.from(HEAD, 'latin1')
const ranges = rangesOf(HEAD)

/** Nothing here runs long enough for the clock to matter. */
const clock = { now: () => performance.now(), wallNow: () => 1_795_187_693_051 }
let coarse = clock.now()
const coarseClock = { now: () => coarse, wallNow: () => 1_795_187_693_051 }
const timers = { schedule: () => {}, cancel: () => {} }
const log = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  isLevelEnabled: () => false,
}
const services = makeServices(
  {
    log,
    metrics: {
      counter: () => ({ value: 0 }),
      histogram: () => ({ record: () => {} }),
      gauge: () => () => {},
    },
    clock: coarseClock,
    timers,
    node: { app: 'bench', cell: 'RZ01A', labels: {} },
    resolvePath: (path) => path,
    openLog: () => ({ write: () => {}, close: () => {} }),
  },
  new SlotRegistry(),
)
const owner: ChainOwner = { resume: () => {} }
const listener = { name: 'in', stats: null as never, trusted: true }
const peer = { remoteAddress: '192.0.2.1', remotePort: 4000, localAddress: '', localPort: 0 }
const timeouts = { onExchangeTimer: () => {} }
const downstream = new TestDownstream()
const response = new TestResponseHead(200, 'http', {}, Buffer.alloc(0))

/** A request head whose headers are ranges of bytes, as on the data path. */
class BenchHead extends TestRequestHead {
  override readonly headers: never
  constructor(headers: Headers) {
    super({ path: '/api/v1/things', method: 'GET' })
    this.headers = headers as never
  }
}

function rangesOf(head: string): number[] {
  const found: number[] = []
  for (const match of head.matchAll(/([^:\r\n]+): ([^\r\n]*)\r\n/g)) {
    const nameEnd = match.index + match[1].length
    found.push(match.index, nameEnd, nameEnd + 2, nameEnd + 2 + match[2].length)
  }
  return found
}

const table = new HeaderTable()
const head = new BenchHead(table)

/** One exchange through all phases of a chain. The head object is used again: what a codec pays for it is not the filters'. */
function pass(chain: Chain): void {
  table.open(bytes, 0)
  for (let i = 0; i < ranges.length; i += 4)
    table.push(ranges[i], ranges[i + 1], ranges[i + 2], ranges[i + 3], 0)
  const exchange = new Exchange(head, downstream, peer, listener, coarse, timeouts)
  if (chain.runRequest(exchange, 0) === Suspended) throw new Error('suspended')
  chain.runRoute(exchange, 0)
  exchange.response = response
  chain.runResponse(exchange, 0)
  chain.runEnd(exchange)
  table.release()
}

function chainOf(filters: readonly (readonly [use: string, options: Record<string, unknown>])[]): Chain {
  const result = compileChains({
    filters: filters.map(([use, options], index) => ({
      name: `${use}-${index}`,
      use,
      definition: FILTERS.get(use) as FilterDefinition,
      options,
      enabled: true,
      module: null,
    })),
    routes: [],
    owner,
    servicesFor: services,
    check: null,
    log,
    previous: null,
  })
  if (result.set === null) throw new Error(JSON.stringify(result.problems))
  return result.set.base
}

const COUNT = 300_000
const empty = chainOf([])
const floor = measure('exchange, table and an empty chain', () => pass(empty), COUNT)

function cost(label: string, filters: Parameters<typeof chainOf>[0]): void {
  const chain = chainOf(filters)
  coarse += 1000
  const total = measure(label, () => pass(chain), COUNT)
  console.log(`${'  beyond the empty chain'.padEnd(58)} ${(total - floor).toFixed(1).padStart(8)} ns`)
}

const TRACEPARENT_ONLY = { formats: ['w3c'] }
cost('access-log, sample 0.01', [['access-log', { path: 'x', sample: 0.01 }]])
cost('access-log, every line as text', [['access-log', { path: 'x' }]])
cost('access-log, every line as JSON', [['access-log', { path: 'x', format: 'json' }]])
cost('trace-context, makes both kinds', [['trace-context', {}]])
cost('trace-context, makes w3c', [['trace-context', TRACEPARENT_ONLY]])
cost('trace-context, makes sofa', [['trace-context', { formats: ['sofa'] }]])
cost('headers, one constant', [['headers', { request: { set: { 'x-gateway': 'meshgate' } } }]])
cost('headers, one template', [['headers', { request: { set: { 'x-from': '${client.ip}' } } }]])
cost('rate-limit, one bucket', [['rate-limit', { qps: 100_000_000 }]])
cost('rate-limit, by header', [['rate-limit', { qps: 100_000_000, key: 'request.header.x-client-id' }]])
cost('fault, off', [['fault', { abort: { percent: 0 } }]])
cost('direct-reply', [['direct-reply', { body: 'ok' }]])
cost('the standard chain', [
  ['access-log', { path: 'x', sample: 0.01 }],
  ['trace-context', {}],
  ['headers', { request: { set: { 'x-gateway': 'meshgate' } } }],
  ['rate-limit', { qps: 100_000_000 }],
])

const sofa = new SofaTraceIds(clock)
const pool = new TraceParentPool('01')
measure('a traceparent out of the pool', () => pool.next(), COUNT)
measure('randomBytes(24).toString("hex")', () => randomBytes(24).toString('hex'), COUNT)
measure('a SOFATracer id', () => sofa.next(), COUNT)
