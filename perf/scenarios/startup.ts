/** Time from spawn to the first answered request. */
import { existsSync, rmSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT } from '../harness/environment.ts'
import { launchGateway } from '../harness/gateway.ts'
import { gatewayConfig } from '../harness/gateway-config.ts'
import { startHttpBackend } from '../harness/loads.ts'
import { rounded } from '../harness/measure.ts'
import { format, median } from '../harness/numbers.ts'
import { PATH } from '../harness/paths.ts'
import { findPeers } from '../harness/peers.ts'
import { atMost, type Report, type Row } from '../harness/report.ts'
import { makeReport, type RunContext } from '../harness/run-context.ts'
import { freePort, type Launched } from '../harness/sandbox.ts'

/** How often the port is tried while it starts. */
const POLL_MS = 2
/** A start that takes longer is a failure. */
const LIMIT_MS = 20_000

/** One way to start. */
interface Variant {
  readonly name: string
  readonly entry: string
  /** Whether compiled code of an earlier start may be used. */
  readonly isWarm: boolean
}

interface Start {
  readonly readyMs: number | null
  readonly answerMs: number
}

/** Starts each variant again and again. */
export async function startup(context: RunContext): Promise<Report> {
  const { options, sandbox, tools, progress } = context
  const rounds = options.rounds ?? (options.small ? 1 : 10)
  const backend = await startHttpBackend(sandbox, tools)
  const variants = options.gateway ? variantsOf(options.entry, options.small) : []
  const found = new Map<string, Start[]>(variants.map(({ name }) => [name, []]))
  for (const variant of variants) if (variant.isWarm) await startOnce(context, variant, backend.port)
  for (let round = 0; round < rounds; round++) {
    for (const variant of variants)
      found.get(variant.name)!.push(await startOnce(context, variant, backend.port))
    progress(`round ${round + 1} of ${rounds}: ${variants.map(({ name }) => lastOf(name, found)).join(', ')}`)
  }
  const rows = variants.map(({ name }) => rowOf(name, found.get(name)!))
  const peers = options.small ? [] : findPeers(options.peers, progress)
  for (const peer of peers) rows.push(await peerRow(context, peer, backend.port, rounds))
  const warm = rows.find((row) => row['name'] === `${options.entry}, warm`)
  return makeReport(
    context,
    {
      scenario: 'startup',
      title: 'Start to first answer',
      method: `from spawn to the first answered request through the gateway, tried every ${POLL_MS} ms, standard chain with 1,000 routes, one core; ${rounds} starts each, medians; ${tools.note}.`,
      tables: [
        {
          title: 'Milliseconds',
          columns: [
            { key: 'name', title: 'started as' },
            { key: 'answerMs', title: 'first answer', decimals: 0 },
            { key: 'slowestMs', title: 'slowest', decimals: 0 },
            { key: 'readyMs', title: 'ready line', decimals: 0 },
          ],
          rows,
        },
      ],
      targets:
        warm === undefined
          ? []
          : [atMost('start to first answer, warm', warm['answerMs'] as number, 300, 'ms', 0)],
      notes: [
        "cold: Node's compile cache is empty; warm: it holds what the start before left there, as on every start but a machine's first.",
      ],
    },
    peers,
  )
}

function variantsOf(entry: string, isSmall: boolean): Variant[] {
  const entries = [entry]
  if (entry !== 'dist/main.js' && existsSync(join(ROOT, 'dist', 'main.js'))) entries.push('dist/main.js')
  const modes = isSmall ? [true] : [false, true]
  return entries.flatMap((file) =>
    modes.map((isWarm) => ({ name: `${file}, ${isWarm ? 'warm' : 'cold'}`, entry: file, isWarm })),
  )
}

async function startOnce(context: RunContext, variant: Variant, backendPort: number): Promise<Start> {
  const { sandbox, options, failures } = context
  const [port, adminPort] = [await freePort(), await freePort()]
  const setup = { entry: variant.entry, env: { NODE_COMPILE_CACHE: cacheOf(context, variant) } }
  const configFile = sandbox.write(`startup-${port}.yaml`, gatewayConfig({ port, adminPort, backendPort }))
  const begin = performance.now()
  const child = launchGateway(sandbox, configFile, options, setup)
  let readyMs: number | null = null
  void child
    .waitForOutput((output) => output.includes('\n'), LIMIT_MS)
    .then(
      () => (readyMs = performance.now() - begin),
      () => {},
    )
  await firstAnswer(port, child)
  const answerMs = performance.now() - begin
  await sleep(50) // the ready line may come a moment after the port
  const code = await child.stop()
  if (code !== 0) failures.push(`${variant.name}: exit code ${code} after SIGTERM`)
  return { readyMs, answerMs }
}

/** The compile cache of a variant: kept for warm starts, empty for cold ones. */
function cacheOf({ sandbox }: RunContext, variant: Variant): string {
  const directory = sandbox.path(`cache-${variant.name.replace(/\W+/g, '-')}`)
  if (!variant.isWarm) rmSync(directory, { recursive: true, force: true })
  return directory
}

/** Resolves when a request through `port` is answered with 200. */
async function firstAnswer(port: number, owner: Launched): Promise<void> {
  const deadline = performance.now() + LIMIT_MS
  while (!(await isAnswered(port))) {
    if (owner.hasEnded !== null) throw new Error(owner.describe('ended before it answered'))
    if (performance.now() > deadline) throw new Error(owner.describe(`gave no answer in ${LIMIT_MS} ms`))
    await sleep(POLL_MS)
  }
}

function isAnswered(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    const done = (isGood: boolean) => {
      socket.destroy()
      resolve(isGood)
    }
    socket.on('connect', () => socket.write(`GET ${PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`))
    socket.on('data', (bytes) => done(bytes.toString('latin1').startsWith('HTTP/1.1 200')))
    socket.on('error', () => done(false))
    socket.on('close', () => done(false))
  })
}

async function peerRow(
  { sandbox }: RunContext,
  peer: ReturnType<typeof findPeers>[number],
  backendPort: number,
  rounds: number,
): Promise<Row> {
  const starts: Start[] = []
  for (let round = 0; round < Math.min(rounds, 5); round++) {
    const begin = performance.now()
    const running = await peer.start(sandbox, backendPort)
    await firstAnswer(running.port, running.process)
    starts.push({ readyMs: null, answerMs: performance.now() - begin })
    await running.process.stop()
  }
  return rowOf(peer.name, starts)
}

function lastOf(name: string, found: ReadonlyMap<string, readonly Start[]>): string {
  return `${name} ${format(found.get(name)!.at(-1)?.answerMs)} ms`
}

function rowOf(name: string, starts: readonly Start[]): Row {
  return {
    name,
    answerMs: rounded(median(starts.map(({ answerMs }) => answerMs)), 0),
    slowestMs: rounded(Math.max(...starts.map(({ answerMs }) => answerMs)), 0),
    readyMs: rounded(median(starts.map(({ readyMs }) => readyMs)), 0),
  }
}
