/** Does memory stay where it is under steady load? */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from '../harness/environment.ts'
import { startGateway } from '../harness/gateway.ts'
import { rounded } from '../harness/measure.ts'
import { format } from '../harness/numbers.ts'
import type { GatewayPath } from '../harness/paths.ts'
import { atMost, type Report, type Row } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'
import { loadShape, type Shape, startBackend } from '../harness/shapes.ts'
import type { Running } from '../harness/subject.ts'

const HOOK = join(ROOT, 'perf', 'harness', 'heap-hook.ts')
/** When the first look is taken, as a share of the whole time. */
const FIRST_LOOK = 0.1
/** How long before the end of the load the last look is taken. */
const LAST_LOOK_SECONDS = 1
/** Length of a smoke run. */
const SMALL_SECONDS = 3
/** How long a look may take. */
const LOOK_LIMIT_MS = 10_000

const SHAPES: readonly Shape[] = [
  shapeOf('Mmtp -> Mmtp', { downstream: 'mmtp', upstream: 'mmtp' }),
  shapeOf('Bolt -> Bolt', { downstream: 'bolt', upstream: 'bolt' }),
  shapeOf('Dubbo -> Dubbo', { downstream: 'dubbo', upstream: 'dubbo' }),
  shapeOf('Mmtp -> Bolt', { downstream: 'mmtp', upstream: 'bolt' }),
]

function shapeOf(name: string, path: GatewayPath): Shape {
  return { name, path, connections: 4, inFlight: 64, direct: null }
}

/** A gateway under steady load, and what was seen of it. */
interface Subject {
  readonly shape: Shape
  readonly gateway: Running
  /** Where its looks are written, one line each. */
  readonly file: string
  readonly rate: number
  readonly looks: NodeJS.MemoryUsage[]
}

/** Loads all paths at once, each with its share of half of what the core can carry. */
export async function heap(context: RunContext): Promise<Report> {
  const { options, sandbox, progress } = context
  const seconds = options.small ? SMALL_SECONDS : options.minutes * 60
  const subjects: Subject[] = []
  for (const shape of SHAPES) subjects.push(await start(context, shape))

  progress(`steady load for ${format(seconds / 60, 1)} minutes`)
  const loads = subjects.map((subject) => load(context, subject, seconds))
  const firstLook = seconds * FIRST_LOOK
  await sleep(firstLook * 1000)
  await lookAtAll(context, subjects)
  await sleep((seconds - LAST_LOOK_SECONDS - firstLook) * 1000)
  await lookAtAll(context, subjects)
  await Promise.all(loads)
  sandbox.assertAlive()
  return makeReport(context, {
    scenario: 'heap',
    title: 'Memory under steady load',
    method: `${SHAPES.length} gateways on one core at once, 4 x 64, each at 1/${2 * SHAPES.length} of its saturating rate (together half of the core); heap in use after a full collection, ${format(firstLook / 60, 1)} and ${format(seconds / 60, 1)} minutes into the load; standard chain with 1,000 routes.`,
    tables: [{ title: 'MiB', columns: COLUMNS, rows: subjects.map(rowOf) }],
    targets: subjects.map((subject) =>
      atMost(`change of the heap, ${subject.shape.name}`, Math.abs(growthOf(subject)), 10, '%'),
    ),
    notes: ['buffers: what lies outside the heap, of which slabs for reading and writing are the most.'],
  })
}

const COLUMNS = [
  { key: 'name', title: 'path' },
  { key: 'rate', title: 'requests/s', decimals: 0 },
  { key: 'firstHeap', title: 'heap, first', decimals: 1 },
  { key: 'lastHeap', title: 'heap, last', decimals: 1 },
  { key: 'growth', title: 'change %', decimals: 1 },
  { key: 'firstBuffers', title: 'buffers, first', decimals: 1 },
  { key: 'lastBuffers', title: 'buffers, last', decimals: 1 },
  { key: 'firstRss', title: 'RSS, first', decimals: 0 },
  { key: 'lastRss', title: 'RSS, last', decimals: 0 },
]

/** Starts one gateway and finds out how much it carries alone. */
async function start(context: RunContext, shape: Shape): Promise<Subject> {
  const { options, sandbox, tools, progress } = context
  const backend = await startBackend(sandbox, tools, shape.path)
  const file = sandbox.path(`heap-${shape.path.downstream}-${shape.path.upstream}.jsonl`)
  const gateway = await startGateway(sandbox, backend.port, options, {
    path: shape.path,
    nodeOptions: ['--expose-gc', '--import', HOOK],
    env: { MESHGATE_PERF_HEAP: file },
  })
  const full = await loadShape(sandbox, tools, shape, gateway.port, options.small ? 1 : 5)
  note(context, shape, full.failed, full.firstFailure)
  const rate = Math.max(10, full.qps / 2 / SHAPES.length)
  progress(`${shape.name}: saturated at ${format(full.qps)}/s; now ${format(rate)}/s`)
  return { shape, gateway, file, rate, looks: [] }
}

async function load(context: RunContext, subject: Subject, seconds: number): Promise<void> {
  const { shape, gateway, rate } = subject
  const result = await loadShape(context.sandbox, context.tools, shape, gateway.port, seconds, rate)
  note(context, shape, result.failed, result.firstFailure)
  // Far below the rate, the load would not have been the one that the report tells of.
  if (!context.options.small && result.qps < rate * 0.9)
    context.failures.push(`${shape.name}: ${format(result.qps)}/s in place of ${format(rate)}/s`)
}

function note({ failures }: RunContext, shape: Shape, failed: number, reason: string | null): void {
  if (failed > 0) failures.push(`${shape.name}: ${failed} requests failed (${reason})`)
}

async function lookAtAll({ progress }: RunContext, subjects: readonly Subject[]): Promise<void> {
  for (const subject of subjects) {
    const usage = await look(subject)
    subject.looks.push(usage)
    progress(`${subject.shape.name}: heap ${format(mebibytes(usage.heapUsed), 1)} MiB`)
  }
}

async function look({ gateway, file, looks }: Subject): Promise<NodeJS.MemoryUsage> {
  gateway.process.signal('SIGUSR2')
  const deadline = performance.now() + LOOK_LIMIT_MS
  while (performance.now() < deadline) {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    // The text behind the last newline is no line yet.
    if (lines.length - 1 > looks.length) return JSON.parse(lines[looks.length]!) as NodeJS.MemoryUsage
    await sleep(20)
  }
  throw new Error(gateway.process.describe('did not say how large its heap is'))
}

function growthOf({ looks }: Subject): number {
  const [first, last] = looks as [NodeJS.MemoryUsage, NodeJS.MemoryUsage]
  return (last.heapUsed / first.heapUsed - 1) * 100
}

function rowOf(subject: Subject): Row {
  const [first, last] = subject.looks as [NodeJS.MemoryUsage, NodeJS.MemoryUsage]
  const mib = (bytes: number) => rounded(mebibytes(bytes), 1)
  return {
    name: subject.shape.name,
    rate: Math.round(subject.rate),
    firstHeap: mib(first.heapUsed),
    lastHeap: mib(last.heapUsed),
    growth: rounded(growthOf(subject), 1),
    firstBuffers: mib(first.external),
    lastBuffers: mib(last.external),
    firstRss: mib(first.rss),
    lastRss: mib(last.rss),
  }
}

function mebibytes(bytes: number): number {
  return bytes / 1024 / 1024
}
