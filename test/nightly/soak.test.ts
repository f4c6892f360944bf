/** Everything at once for a long time: nothing is left behind, nothing grows, and nobody gets a wrong answer. */
import { writeFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import type { RecentError, StatsReport } from '../../lib/core/inspect.ts'
import { call } from '../support/http.ts'
import { MixedLoad } from '../support/mixed-load.ts'
import { type Peer, startNode } from '../support/peers.ts'
import { startMeshgate } from '../support/running.ts'

const isShort = process.env.NIGHTLY_SHORT === '1'
const SOAK_MS = Number(process.env.MESHGATE_SOAK_MS ?? (isShort ? 30_000 : 600_000))
/** Caches, pools and compiled code take their size in this time. */
const WARM_UP_MS = Math.min(60_000, SOAK_MS / 2)
const SWAP_EVERY_MS = 2000
const KILL_EVERY_MS = 6000
const AWAY_MS = 300
const SAMPLE_EVERY_MS = 200
/** Little room for the heap, so that it is collected often and what is in use shows. */
const ENGINE = ['--max-old-space-size=96', '--max-semi-space-size=4']
/** Growth that is the engine's own business. */
const MAX_GROWTH = 1.2
/** What the gateway itself keeps; idle connections to the business process are closed within seconds. */
const MAX_TIMERS = 8

/** What outages and callers that leave cause; anything else is a defect. */
const EXPECTED = new Set(['UPSTREAM_CONNECT_FAILED', 'UPSTREAM_RESET', 'DOWNSTREAM_GONE'])

t.setTimeout(SOAK_MS + WARM_UP_MS + 120_000)

/** Configurations that differ in routes, filters, limits and clusters, but serve alike. */
function config(business: number, version: number): string {
  const more = Array.from(
    { length: version % 5 },
    (_, i) => `  - { match: { path: /v${version}/${i} }, to: { cluster: out } }\n`,
  ).join('')
  return `
admin: { address: 127.0.0.1:0 }
log: { level: warn }
listeners:
  - { name: web, protocol: http1, address: 127.0.0.1:0, limits: { headers: ${50 + (version % 3)} } }
  - { name: rpc, protocol: mmtp, address: 127.0.0.1:0 }
clusters:
  - { name: out, protocol: http1, endpoints: [127.0.0.1:${business}], limits: { connections: ${200 + (version % 2)} } }
filters:
  - { use: access-log, path: access.log, sample: 0.01 }
  - trace-context
  - { use: headers, request: { set: { x-version: '${version}' } } }
  - { use: rate-limit, qps: 1000000, enabled: ${version % 2 === 0} }
routes:
${more}  - { match: { operation: demo.echo }, to: { cluster: out, method: POST, path: /echo } }
  - { match: { operation: demo.slow }, to: { cluster: out, method: POST, path: /slow } }
  - { match: {}, to: { cluster: out } }
`
}

/** What is watched while the load runs. */
class Watch {
  readonly codes = new Set<string>()
  /** Least heap in use in each part of the run: what a full collection left. */
  readonly heaps: number[] = []
  readonly #admin: number

  constructor(admin: number) {
    this.#admin = admin
  }

  async stats(): Promise<StatsReport> {
    return JSON.parse((await call(this.#admin, { path: '/stats' })).text) as StatsReport
  }

  async look(): Promise<void> {
    this.heaps.push((await this.stats()).memory.heapUsed)
    const { errors } = JSON.parse((await call(this.#admin, { path: '/errors' })).text) as {
      errors: RecentError[]
    }
    for (const { code } of errors) this.codes.add(code)
  }

  /** Waits until nothing runs any more; gives what is left then. */
  async quiet(): Promise<StatsReport> {
    const untilMs = performance.now() + 20_000
    for (;;) {
      const stats = await this.stats()
      const isQuiet = stats.exchanges.live === 0 && stats.slabs.leased === 0 && stats.timers <= MAX_TIMERS
      if (isQuiet || performance.now() > untilMs) return stats
      await sleep(100)
    }
  }
}

/** Kills the business process, and starts it again a little later, until it is told to stop. */
async function disturb(business: Peer, isOver: () => boolean): Promise<number> {
  let kills = 0
  for (let sinceMs = performance.now(); !isOver(); await sleep(50)) {
    if (performance.now() - sinceMs < KILL_EVERY_MS) continue
    await business.kill()
    await sleep(AWAY_MS)
    await business.start()
    sinceMs = performance.now()
    kills++
  }
  return kills
}

t.test(`${SOAK_MS / 1000} s of mixed load, config swaps and outages`, async (t: Test) => {
  const business = await startNode(t)
  const gateway = await startMeshgate(t, config(business.port, 0), [], ENGINE)
  const { web = 0, rpc = 0, admin = 0 } = await gateway.ready()
  const watch = new Watch(admin)
  let version = 0

  const run = async (lengthMs: number): Promise<MixedLoad> => {
    const endMs = performance.now() + lengthMs
    const isOver = (): boolean => performance.now() >= endMs
    const load = new MixedLoad({ web, rpc, text: 'hello from node' })
    const disturbing = disturb(business, isOver)
    for (let swapMs = 0; !isOver(); await sleep(SAMPLE_EVERY_MS)) {
      await watch.look()
      if (performance.now() - swapMs < SWAP_EVERY_MS) continue
      swapMs = performance.now()
      await writeFile(gateway.file, config(business.port, ++version))
    }
    t.ok((await disturbing) > 0, 'the business process was killed and came back')
    await load.stop()
    return load
  }

  /** The least of the last samples: free of what waits for a collection. As many as the warm-up had, to compare alike. */
  const leastHeap = (): number => {
    const last = watch.heaps.splice(0).slice(-Math.floor(WARM_UP_MS / SAMPLE_EVERY_MS / 2))
    return Math.min(...last)
  }

  await run(WARM_UP_MS)
  const warm = await watch.quiet()
  const warmHeap = leastHeap()
  const load = await run(SOAK_MS)
  const end = await watch.quiet()
  const endHeap = leastHeap()

  t.comment(
    `${load.answered} answers, ${load.outages} in outages, ${load.givenUp} given up, ${version} swaps`,
  )
  t.ok(load.answered > SOAK_MS / 10, `${load.answered} answers`)
  t.ok(load.givenUp > 0, `${load.givenUp} callers left`)
  t.same(load.wrong.slice(0, 20), [], 'no wrong answer')
  t.match(end, { phase: 'ready', exchanges: { live: 0 }, slabs: { leased: 0 } }, 'nothing is left')
  t.ok(end.timers <= MAX_TIMERS, `${end.timers} timers`)
  t.ok(end.connections.downstream === 0, `${end.connections.downstream} connections of callers`)
  const served = JSON.parse((await call(admin, { path: '/config' })).text)
  t.match(served, { refused: null, version: version + 1 }, 'every change was taken over')
  t.same(
    [...watch.codes].filter((code) => !EXPECTED.has(code)),
    [],
    `no unexpected error among ${[...watch.codes]}`,
  )
  t.ok(
    end.memory.rss < warm.memory.rss * MAX_GROWTH,
    `RSS ${inMiB(warm.memory.rss)} → ${inMiB(end.memory.rss)} MiB`,
  )
  t.ok(endHeap < warmHeap * MAX_GROWTH, `heap ${inMiB(warmHeap)} → ${inMiB(endHeap)} MiB`)
  t.notMatch(gateway.stderr, /"level":(?:50|60|"error"|"fatal")/, 'nothing in the log')
  gateway.kill('SIGTERM')
  t.same(await gateway.ended, { code: 0, signal: null })
})

function inMiB(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
