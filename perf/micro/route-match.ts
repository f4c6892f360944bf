/**
 * What one match costs with 30, 1,000 and 30,000 routes, and how long a table takes to load.
 * Run: node perf/micro/route-match.ts
 */
import type { Headers, RequestHead } from '../../lib/core/message.ts'
import type { MatchRule } from '../../lib/core/route.ts'
import { buildRouteTable, type RouteTable, RouteTableBuilder } from '../../lib/router/route-table.ts'

const ROUNDS = 9
const CALLS = 200_000
const SIZES = [30, 1_000, 30_000]

/** Path and operation of a request, made anew for each call as a codec would. */
type Kind = 'exact' | 'prefix' | 'regex' | 'operation' | 'header' | 'host' | 'odd' | 'miss'

function rulesFor(size: number): MatchRule[] {
  return Array.from({ length: size }, (_, i): MatchRule => {
    switch (i % 6) {
      case 0:
        return { path: `/api/v1/things/t${i}` }
      case 1:
        return { path: `/files/group-${i}/` }
      case 2:
        return { path: `~/users/u${i}/[0-9]+` }
      case 3:
        return { operation: `demo.order.op${i}.create` }
      case 4:
        return { path: '/by-header', headers: { service: `s${i}` } }
      default:
        return { path: `/hosted/h${i}` }
    }
  })
}

const service = { value: '' }
const headers = { get: (name: string) => (name === 'service' ? service.value : null) } as unknown as Headers
const request = {
  protocol: 'http1',
  method: 'GET',
  path: '',
  query: '',
  authority: 'api.example.com:8080',
  operation: '',
  headers,
  bodyLength: 0,
  isIdempotent: true,
  budgetMs: 0,
  retain() {},
  release() {},
} as { -readonly [K in keyof RequestHead]: RequestHead[K] }

function requestBytes(kind: Kind, i: number): { path: Buffer; operation: Buffer } {
  const texts: Record<Kind, [path: string, operation: string]> = {
    exact: [`/api/v1/things/t${i}`, ''],
    prefix: [`/files/group-${i + 1}/a/b.png`, ''],
    regex: [`/users/u${i + 2}/4711`, ''],
    operation: ['', `demo.order.op${i + 3}.create`],
    header: ['/by-header', ''],
    host: [`/hosted/h${i + 5}`, ''],
    odd: [`/files/group-${i + 1}/%E4%B8%AD/x`, ''],
    miss: [`/nothing/here/n${i}/at/all`, ''],
  }
  const [path, operation] = texts[kind]
  return { path: Buffer.from(path), operation: Buffer.from(operation) }
}

/** Nanoseconds of one call; `work` is false to measure the making of the strings alone. */
function measure(table: RouteTable<number>, kind: Kind, size: number, work: boolean): number {
  const samples = Array.from({ length: 64 }, (_, n) => {
    const i = Math.floor((n * size) / 64 / 6) * 6
    return { ...requestBytes(kind, i), service: `s${i + 4}` }
  })
  let matched = 0
  const startedAt = process.hrtime.bigint()
  for (let n = 0; n < CALLS; n++) {
    const sample = samples[n & 63]!
    request.path = sample.path.latin1Slice(0, sample.path.length)
    request.operation =
      sample.operation.length === 0 ? '' : sample.operation.latin1Slice(0, sample.operation.length)
    service.value = sample.service
    if (!work || table.match(request) !== null) matched++
  }
  const spent = Number(process.hrtime.bigint() - startedAt) / CALLS
  if (matched !== (work && kind === 'miss' ? 0 : CALLS))
    throw new Error(`${kind}: ${matched} of ${CALLS} matched`)
  return spent
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!

const tables = new Map<number, RouteTable<number>>()
for (const size of SIZES) {
  const rules = rulesFor(size)
  const startedAt = performance.now()
  const builder = new RouteTableBuilder<number>()
  rules.forEach((rule, i) => {
    builder.add(rule, i, `route ${i}`)
  })
  const addedAt = performance.now()
  tables.set(size, builder.build())
  const builtAt = performance.now()
  console.log(
    `${size} routes: added in ${(addedAt - startedAt).toFixed(1)} ms, built in ${(builtAt - addedAt).toFixed(1)} ms`,
  )
}

const largest = SIZES[SIZES.length - 1]!
const entries = rulesFor(largest).map((rule, i) => ({ rule, target: i, label: `route ${i}` }))
let longestStretch = 0
let lastTurn = performance.now()
const watch = setInterval(() => {
  longestStretch = Math.max(longestStretch, performance.now() - lastTurn)
  lastTurn = performance.now()
}, 1)
const steppedAt = performance.now()
await buildRouteTable(entries)
console.log(
  `${largest} routes in steps: ${(performance.now() - steppedAt).toFixed(1)} ms, longest stretch about ${longestStretch.toFixed(1)} ms`,
)
clearInterval(watch)

console.log(`\nns/op      ${SIZES.map((size) => `${size}`.padStart(8)).join('')}   ratio`)
for (const kind of ['exact', 'prefix', 'regex', 'operation', 'header', 'host', 'odd', 'miss'] as const) {
  const figures = SIZES.map((size) => {
    const table = tables.get(size)!
    const rounds = Array.from({ length: ROUNDS }, () => {
      return measure(table, kind, size, true) - measure(table, kind, size, false)
    })
    return median(rounds)
  })
  const ratio = figures[figures.length - 1]! / figures[0]!
  console.log(
    `${kind.padEnd(11)}${figures.map((ns) => ns.toFixed(0).padStart(8)).join('')}   ${ratio.toFixed(2)}`,
  )
}
