/** Shapes of load: a path through the gateway and how many requests go along it at once. */
import { isDeepStrictEqual } from 'node:util'
import type { LoadResult } from '../load/load-result.ts'
import { ORDER_JSON } from '../load/order.ts'
import { gatewaySubject, otherCheckout } from './gateway.ts'
import { STANDARD_ROUTES } from './gateway-config.ts'
import { runFramedLoad, runHttpLoad, startEcho, startHttpBackend, type Tools } from './loads.ts'
import { type Contender, runRounds, SAMPLE_COLUMNS, type Summary, sampleRow } from './measure.ts'
import { type GatewayPath, isTranslated, PATH, payloadOf } from './paths.ts'
import type { Report, Target } from './report.ts'
import { makeReport, type RunContext } from './run-context.ts'
import type { Sandbox } from './sandbox.ts'
import type { Running, Subject } from './subject.ts'

/** Length of a text that is sent. */
const TEXT_LENGTH = 256

/** One shape of load. */
export interface Shape {
  readonly name: string
  readonly path: GatewayPath
  readonly connections: number
  /** Requests in flight on each connection; HTTP/1 has 1. */
  readonly inFlight: number
  /** Name of the row without a proxy, from load to echo server in the upstream's protocol; null for no such row. */
  readonly direct: string | null
}

/** A scenario that is nothing but shapes. */
export interface ShapesPlan {
  readonly scenario: string
  readonly title: string
  /** What is sent, as part of a sentence. */
  readonly content: string
  readonly shapes: readonly Shape[]
  /** Measured with every shape, in the same rounds. */
  readonly peers?: readonly Subject[]
  /** `find` gives the row of a name, undefined when it was not measured. */
  readonly targets: (find: (name: string) => Summary | undefined) => Target[]
  readonly notes?: readonly string[]
}

/** Runs every shape, before and after side by side when another checkout is given. */
export async function measureShapes(context: RunContext, plan: ShapesPlan): Promise<Report> {
  const { options, sandbox, progress, failures } = context
  const rounds = options.rounds ?? (options.small ? 1 : 5)
  const seconds = options.seconds ?? (options.small ? 1 : 3)
  const peers = plan.peers ?? []
  const contenders = await contendersOf(context, plan.shapes, peers)
  const roundsOptions = { rounds, seconds, progress, failures, ...(options.small ? { warmUp: 0 } : {}) }
  const summaries = await runRounds(sandbox, contenders, roundsOptions)
  const parts = {
    scenario: plan.scenario,
    title: plan.title,
    method: `connections x requests in flight on each, ${plan.content}, standard chain with ${STANDARD_ROUTES.toLocaleString('en-US')} routes in meshgate; ${rounds} interleaved rounds of ${seconds} s, medians; load and echo server are the harness's own.`,
    tables: [
      {
        title: 'As fast as it goes',
        columns: [{ key: 'name', title: 'path' }, ...SAMPLE_COLUMNS],
        rows: summaries.map(sampleRow),
      },
    ],
    targets: options.gateway ? plan.targets((name) => summaries.find((one) => one.name === name)) : [],
    notes: [
      'direct: load to echo server without a proxy, both on the load core. Where the gateway stays below 95 % of its core, they were the limit and only its CPU figure counts.',
      ...(plan.notes ?? []),
    ],
  }
  return makeReport(context, parts, peers)
}

/** `a text of 256 characters`: what most shapes send. */
export const TEXT_CONTENT = `a text of ${TEXT_LENGTH} characters each way`

/** The row of a shape that went through a peer. */
export function peerRowName(shape: Shape, peer: string): string {
  return `${shape.name} (${peer})`
}

async function contendersOf(
  context: RunContext,
  shapes: readonly Shape[],
  peers: readonly Subject[],
): Promise<Contender[]> {
  const { options, sandbox, tools } = context
  const backends = new Map<string, Promise<Running>>()
  const started = new Map<string, Promise<Running>>()
  const contenders: Contender[] = []
  for (const shape of shapes) {
    const { path } = shape
    const { port } = await once(backends, `${path.upstream} ${payloadOf(path)}`, () =>
      startBackend(sandbox, tools, path),
    )
    for (const subject of [...gatewaysOf(context, path), ...peers]) {
      const key = `${subject.name} ${path.downstream} ${path.upstream}`
      const running = await once(started, key, () => startChecked(context, subject, path, port))
      const name = subject.name === 'meshgate' ? shape.name : peerRowName(shape, subject.name)
      const load = (seconds: number) => loadShape(sandbox, tools, shape, running.port, seconds)
      contenders.push({ name, running, load })
    }
    if (shape.direct !== null && !options.small) {
      const load = (seconds: number) => loadDirect(sandbox, shape, port, seconds)
      contenders.push({ name: `${shape.direct} (direct)`, running: null, load })
    }
  }
  return contenders
}

function once(
  made: Map<string, Promise<Running>>,
  key: string,
  make: () => Promise<Running>,
): Promise<Running> {
  const running = made.get(key) ?? make()
  made.set(key, running)
  return running
}

function gatewaysOf({ options }: RunContext, path: GatewayPath): Subject[] {
  if (!options.gateway) return []
  const before = otherCheckout(options, { path })
  return [gatewaySubject(options, { path }), ...(before === null ? [] : [before])]
}

async function startChecked(
  { sandbox, failures }: RunContext,
  subject: Subject,
  path: GatewayPath,
  backendPort: number,
): Promise<Running> {
  const running = await subject.start(sandbox, backendPort)
  const isUnseen = path.downstream === 'http1' && isTranslated(path)
  if (isUnseen) failures.push(...(await checkTranslation(running)))
  return running
}

/** wrk looks at statuses only, so one answer is looked at here. */
async function checkTranslation({ name, port }: Running): Promise<string[]> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`http://127.0.0.1:${port}${PATH}`, {
    method: 'POST',
    headers,
    body: ORDER_JSON,
  })
  const text = await response.text()
  if (response.status === 200 && isDeepStrictEqual(parsed(text), JSON.parse(ORDER_JSON))) return []
  return [`${name} answered a call over HTTP with ${response.status} and ${text.slice(0, 200)}`]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Starts the business process that a path leads to. */
export function startBackend(sandbox: Sandbox, tools: Tools, path: GatewayPath): Promise<Running> {
  if (path.upstream === 'http1') return startHttpBackend(sandbox, tools)
  return startEcho(sandbox, path.upstream, payloadOf(path))
}

/** Sends a shape's load to `port`, at `rate` requests a second or, when that is 0, as fast as it goes. */
export function loadShape(
  sandbox: Sandbox,
  tools: Tools,
  shape: Shape,
  port: number,
  seconds: number,
  rate = 0,
): Promise<LoadResult> {
  const { path, connections, inFlight } = shape
  const payload = payloadOf(path)
  const protocol = path.downstream
  if (protocol === 'http1') {
    const isGet = path.upstream === 'http1'
    const body = payload === 'order' ? ORDER_JSON : 'q'.repeat(TEXT_LENGTH)
    return runHttpLoad(sandbox, tools, { port, path: PATH, connections, seconds, ...(isGet ? {} : { body }) })
  }
  const isChecked = path.upstream !== 'http1'
  return runFramedLoad(sandbox, { protocol, port, connections, inFlight, seconds, payload, rate, isChecked })
}

function loadDirect(sandbox: Sandbox, shape: Shape, port: number, seconds: number): Promise<LoadResult> {
  const { path, connections, inFlight } = shape
  const protocol = path.upstream
  if (protocol === 'http1') throw new Error(`${shape.name}: HTTP/1 has no echo server to go to directly`)
  const load = { protocol, port, connections, inFlight, seconds, payload: payloadOf(path) }
  return runFramedLoad(sandbox, { ...load, rate: 0, isChecked: true })
}
