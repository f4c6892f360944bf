/** Does a configuration swap show in the latency of running traffic? */
import { renameSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { runHttpLoad, runHttpRate, startHttpBackend } from '../harness/loads.ts'
import { rounded } from '../harness/measure.ts'
import { format, median, ratio } from '../harness/numbers.ts'
import { PATH } from '../harness/paths.ts'
import { atMost, type Report } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'
import type { LoadResult, LoadSecond } from '../load/load-result.ts'

/** Seconds between two swaps. */
const INTERVAL_SECONDS = 4
/** When the gateway is asked whether it serves the change. */
const LOOK_AFTER_MS = 2000

interface Swap {
  readonly kind: string
  readonly writtenAt: number
  readonly liveAt: number
  /** When the admin port was asked; that second counts on neither side. */
  readonly lookedAt: number
}

/** Steady load at half of saturation; the file is replaced again and again. */
export async function swap(context: RunContext): Promise<Report> {
  const { options, sandbox, tools, progress, failures } = context
  const seconds = options.seconds ?? (options.small ? 6 : 30)
  const backend = await startHttpBackend(sandbox, tools)
  const gateway = await startGateway(sandbox, backend.port, options)
  const load = { port: gateway.port, path: PATH, connections: options.connections }
  const full = await runHttpLoad(sandbox, tools, { ...load, seconds: options.small ? 1 : 3 })
  const rate = options.rate ?? Math.max(10, options.small ? Math.min(2000, full.qps / 2) : full.qps / 2)
  progress(`saturated at ${format(full.qps)}/s; now ${format(rate)}/s for ${seconds} s`)

  const running = runHttpRate(sandbox, gateway.port, PATH, rate, seconds)
  const swaps = swapRepeatedly(context, gateway, seconds)
  const [result, made] = await Promise.all([running, swaps])
  sandbox.assertAlive()
  if (result.failed > 0)
    failures.push(`${result.failed} requests failed during swaps (${result.firstFailure})`)
  if (made.length === 0) failures.push('no swap took place')
  return report(context, result, made, rate, seconds)
}

function report(
  context: RunContext,
  result: LoadResult,
  swaps: readonly Swap[],
  rate: number,
  seconds: number,
): Report {
  // The first second also holds the generator's warm-up, the last one may be short.
  const whole = result.seconds.slice(1, -1)
  const holds = (second: LoadSecond) => (swap: Swap) =>
    swap.liveAt >= second.startedAt && swap.writtenAt < second.startedAt + 1000
  const isAsked = (second: LoadSecond) => (swap: Swap) =>
    swap.lookedAt >= second.startedAt && swap.lookedAt < second.startedAt + 1000
  const steady = whole.filter((second) => !swaps.some(holds(second)) && !swaps.some(isAsked(second)))
  const steadyP99 = median(steady.map(({ p99Ms }) => p99Ms))
  const rows = swaps.map((swap) => {
    const during = whole.filter((second) => holds(second)(swap))
    const worst = during.length === 0 ? null : Math.max(...during.map(({ p99Ms }) => p99Ms))
    return {
      name: swap.kind,
      pickUpMs: swap.liveAt - swap.writtenAt,
      p99Ms: rounded(worst, 3),
      ratio: rounded(ratio(worst, steadyP99), 2),
    }
  })
  const medianRatio = median(rows.map((row) => row.ratio))
  return makeReport(context, {
    scenario: 'swap',
    title: 'Configuration swap under load',
    method: `${format(rate)} requests/s (half of saturation), open loop, for ${seconds} s; the file with 1,000 routes is replaced every ${INTERVAL_SECONDS} s; ${context.tools.note}.`,
    tables: [
      {
        title: `p99 of the second that holds the swap; steady p99 is ${format(steadyP99, 2)} ms`,
        columns: [
          { key: 'name', title: 'change' },
          { key: 'pickUpMs', title: 'written to live ms', decimals: 0 },
          { key: 'p99Ms', title: 'p99 ms', decimals: 2 },
          { key: 'ratio', title: '× steady', decimals: 2 },
        ],
        rows,
      },
    ],
    targets: [
      atMost('p99 with a swap ÷ steady p99, median of the swaps', medianRatio, 2, '', 2),
      atMost('failed requests', result.failed, 0, '', 0),
    ],
    notes: [
      'Where a swap spans two seconds, the worse one is shown. Steady: median of the seconds without a swap.',
    ],
  })
}

async function swapRepeatedly(
  context: RunContext,
  gateway: RunningGateway,
  seconds: number,
): Promise<Swap[]> {
  const swaps: Swap[] = []
  await sleep(2000)
  for (let at = 2; at + 3 <= seconds; at += INTERVAL_SECONDS) {
    const begin = Date.now()
    swaps.push(await swapOnce(context, gateway, swaps.length))
    await sleep(Math.max(0, INTERVAL_SECONDS * 1000 - (Date.now() - begin)))
  }
  return swaps
}

/** Replaces the file, by turns with a comment and with another route, and learns when the gateway took it. */
async function swapOnce(context: RunContext, gateway: RunningGateway, index: number): Promise<Swap> {
  const isComment = index % 2 === 0
  const changed = isComment
    ? `${gateway.config}# change ${index}\n`
    : gateway.config.replace('/api/v1/item-0 ', `/api/v1/changed-${index} `)
  const next = context.sandbox.write('next.yaml', changed)
  const writtenAt = Date.now()
  renameSync(next, gateway.configFile)
  // Asked once and late: the answer lists a thousand routes, which would itself show in the latency of this second.
  await sleep(LOOK_AFTER_MS)
  const lookedAt = Date.now()
  const liveAt = Date.parse(await loadedAt(gateway))
  const kind = isComment ? 'comment' : 'route'
  if (liveAt >= writtenAt) context.progress(`swap ${index + 1} (${kind}) live after ${liveAt - writtenAt} ms`)
  else context.failures.push(`change ${index + 1} (${kind}) was not picked up within ${LOOK_AFTER_MS} ms`)
  return { kind, writtenAt, liveAt: Math.max(liveAt, writtenAt), lookedAt }
}

/** When the configuration that serves was taken over. */
async function loadedAt(gateway: RunningGateway): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/config`)
  return ((await response.json()) as { loadedAt: string }).loadedAt
}
