/** Mmtp in and out, multiplexed and one at a time, and the two translations between Mmtp and HTTP/1. */

import { type GatewayPath, gatewaySubject, HTTP_PATH, otherCheckout, PATH } from '../harness/gateway.ts'
import { runHttpLoad, runMmtpLoad, startHttpBackend, startMmtpEcho } from '../harness/loads.ts'
import { type Contender, runRounds, SAMPLE_COLUMNS, type Summary, sampleRow } from '../harness/measure.ts'
import { atMost, type Report } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'
import type { Running } from '../harness/subject.ts'
import type { LoadResult } from '../load/load-result.ts'

/** Bytes of a body. */
const BODY_LENGTH = 256

/** A shape of load. */
interface Shape {
  readonly name: string
  readonly path: GatewayPath
  readonly connections: number
  readonly inFlight: number
  /** Whether it is also measured without a proxy. */
  readonly hasDirect: boolean
}

const MMTP: GatewayPath = { downstream: 'mmtp', upstream: 'mmtp' }

/** The multiplexed row that the target is about. */
const MULTIPLEXED = 'Mmtp -> Mmtp 4 x 64'

const SHAPES: readonly Shape[] = [
  { name: MULTIPLEXED, path: MMTP, connections: 4, inFlight: 64, hasDirect: true },
  { name: 'Mmtp -> Mmtp 32 x 1', path: MMTP, connections: 32, inFlight: 1, hasDirect: true },
  {
    name: 'HTTP/1 -> Mmtp 32 x 1',
    path: { downstream: 'http1', upstream: 'mmtp' },
    connections: 32,
    inFlight: 1,
    hasDirect: false,
  },
  {
    name: 'Mmtp -> HTTP/1 4 x 8',
    path: { downstream: 'mmtp', upstream: 'http1' },
    connections: 4,
    inFlight: 8,
    hasDirect: false,
  },
]

/** Runs every shape, before and after side by side when another checkout is given. */
export async function mmtp(context: RunContext): Promise<Report> {
  const { options, sandbox, progress, failures } = context
  const rounds = options.rounds ?? (options.small ? 1 : 5)
  const seconds = options.seconds ?? (options.small ? 1 : 3)
  const contenders = await contendersOf(context)
  const roundsOptions = { rounds, seconds, progress, failures, ...(options.small ? { warmUp: 0 } : {}) }
  const summaries = await runRounds(sandbox, contenders, roundsOptions)
  return makeReport(context, {
    scenario: 'mmtp',
    title: 'Mmtp',
    method: `connections x requests in flight on each, ${BODY_LENGTH}-byte bodies, standard chain with 1,000 routes; ${rounds} interleaved rounds of ${seconds} s, medians; load and echo server are the harness's own.`,
    tables: [
      {
        title: 'As fast as it goes',
        columns: [{ key: 'name', title: 'path' }, ...SAMPLE_COLUMNS],
        rows: summaries.map(sampleRow),
      },
    ],
    targets: options.gateway
      ? [atMost(`CPU of a request, ${MULTIPLEXED}`, cpuOf(summaries), 2.5, 'µs', 2)]
      : [],
    notes: [
      'direct: load to echo server without a proxy, both on the load core. Where the gateway stays below 95 % of its core, they were the limit and only its CPU figure counts.',
      'Each body names its connection and stream, and its answer is held against it.',
    ],
  })
}

async function contendersOf(context: RunContext): Promise<Contender[]> {
  const { options, sandbox, tools } = context
  const echo = await startMmtpEcho(sandbox)
  const http = await startHttpBackend(sandbox, tools)
  const started = new Map<string, Promise<Running>>()
  const contenders: Contender[] = []
  for (const shape of SHAPES) {
    for (const subject of subjectsOf(context, shape.path)) {
      const backend = shape.path.upstream === 'mmtp' ? echo : http
      const key = `${subject.name} ${shape.path.downstream} ${shape.path.upstream}`
      if (!started.has(key)) started.set(key, subject.start(sandbox, backend.port))
      const running = await started.get(key)!
      const name = subject.name === 'meshgate' ? shape.name : `${shape.name} (${subject.name})`
      contenders.push({ name, running, load: (duration) => load(context, shape, running.port, duration) })
    }
    if (shape.hasDirect && !options.small) {
      const name = `${shape.name} (direct)`
      contenders.push({ name, running: null, load: (duration) => load(context, shape, echo.port, duration) })
    }
  }
  return contenders
}

function subjectsOf({ options }: RunContext, path: GatewayPath) {
  if (!options.gateway) return []
  const before = otherCheckout(options, { path })
  return [gatewaySubject(options, { path }), ...(before === null ? [] : [before])]
}

function load(
  { sandbox, tools }: RunContext,
  shape: Shape,
  port: number,
  seconds: number,
): Promise<LoadResult> {
  const { connections, inFlight } = shape
  if (shape.path.downstream === HTTP_PATH.downstream) {
    return runHttpLoad(sandbox, tools, { port, path: PATH, connections, seconds, bodyLength: BODY_LENGTH })
  }
  return runMmtpLoad(sandbox, {
    port,
    connections,
    inFlight,
    seconds,
    isEcho: shape.path.upstream === 'mmtp',
  })
}

function cpuOf(summaries: readonly Summary[]): number | null {
  return summaries.find(({ name }) => name === MULTIPLEXED)?.cpuUs ?? null
}
