/** Starts load generators and backends, and reads what the generators print. */
import { join } from 'node:path'
import type { LoadResult } from '../load/load-result.ts'
import { ROOT } from './environment.ts'
import type { LoadProtocol, Payload } from './paths.ts'
import { launchNginx, versionOf } from './peers.ts'
import { freePort, type Sandbox, waitForPort } from './sandbox.ts'
import type { Running } from './subject.ts'

/** Where the generators are. */
const LOAD = join(ROOT, 'perf', 'load')
/** What a generator may need beyond its measured time. */
const START_ALLOWANCE_MS = 15_000

/** One closed-loop HTTP run. */
export interface HttpLoad {
  readonly port: number
  readonly path: string
  readonly connections: number
  readonly seconds: number
  /** POST with this body; GET when absent. */
  readonly body?: string
}

/** One run over multiplexed connections. */
export interface FramedLoad {
  readonly protocol: FramedProtocol
  readonly port: number
  readonly connections: number
  readonly inFlight: number
  readonly seconds: number
  readonly payload: Payload
  /** Requests a second; 0 is as fast as it goes. */
  readonly rate: number
  /** False when answers do not say which request they belong to. */
  readonly isChecked: boolean
}

/** A protocol that the harness has its own generator and echo server for. */
export type FramedProtocol = Exclude<LoadProtocol, 'http1'>

/** Which generator and backend a run uses. */
export interface Tools {
  readonly wrk: string | null
  readonly nginx: string | null
  /** One sentence for the report. */
  readonly note: string
}

/** Finds wrk and nginx; with `small` neither is looked for, so that a smoke run needs nothing but Node. */
export function findTools(small: boolean): Tools {
  const wrk = small ? null : versionOf('wrk', ['-v'], /(\d[\d.]+)/)
  const nginx = small ? null : versionOf('nginx', ['-v'], /nginx\/(\S+)/)
  const load = wrk === null ? "the harness's own generator" : `wrk ${wrk}`
  const backend = nginx === null ? 'a bare net.Server' : `nginx ${nginx} answering from memory`
  return { wrk, nginx, note: `load: ${load}; backend: ${backend}` }
}

/** Path on the HTTP backend that answers 64 KiB. */
export const LARGE_PATH = '/64k'

/** An HTTP business process: 650 bytes from memory on every path, 64 KiB on `/64k`. */
export async function startHttpBackend(sandbox: Sandbox, tools: Tools): Promise<Running> {
  if (tools.nginx === null) return startScript(sandbox, 'http-backend.ts', 'load', 'backend')
  const port = await freePort()
  sandbox.write('64k', Buffer.alloc(64 * 1024, 'b'))
  const http = `  open_file_cache max=10 inactive=1h;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type application/json;
    root ${sandbox.directory};
    location / { return 200 "${'b'.repeat(650)}"; }
    location = ${LARGE_PATH} { }
  }`
  const process = launchNginx(sandbox, 'backend', 'load', http)
  await waitForPort(port, process)
  return { name: 'backend', port, process }
}

/** A business process that answers a text with itself, or each call with an order. */
export function startEcho(sandbox: Sandbox, protocol: FramedProtocol, payload: Payload): Promise<Running> {
  return startScript(sandbox, `${protocol}-echo.ts`, 'load', `${protocol}-echo`, ['--payload', payload])
}

/** A bare `net.Server`, the floor of what Node needs. */
export function startBareServer(sandbox: Sandbox): Promise<Running> {
  return startScript(sandbox, 'http-backend.ts', 'proxy', 'bare net.Server')
}

async function startScript(
  sandbox: Sandbox,
  file: string,
  role: 'proxy' | 'load',
  name: string,
  flags: readonly string[] = [],
): Promise<Running> {
  const port = await freePort()
  const command = [process.execPath, join(LOAD, file), '--port', String(port), ...flags]
  const child = sandbox.launch(command, { name, role })
  await waitForPort(port, child)
  return { name, port, process: child }
}

/** Runs wrk, or the harness's own generator where it is absent. */
export async function runHttpLoad(sandbox: Sandbox, tools: Tools, load: HttpLoad): Promise<LoadResult> {
  if (tools.wrk !== null && load.seconds >= 1) return runWrk(sandbox, load)
  return runGenerator(sandbox, 'http-load.ts', load.seconds, {
    port: load.port,
    connections: load.connections,
    seconds: load.seconds,
    path: load.path,
    body: load.body ?? '',
  })
}

/** Runs HTTP load at a fixed rate. */
export function runHttpRate(
  sandbox: Sandbox,
  port: number,
  path: string,
  rate: number,
  seconds: number,
): Promise<LoadResult> {
  return runGenerator(sandbox, 'http-rate.ts', seconds + 1, { port, path, rate: Math.round(rate), seconds })
}

/** Runs load over multiplexed connections. */
export function runFramedLoad(sandbox: Sandbox, load: FramedLoad): Promise<LoadResult> {
  const { protocol, port, connections, inFlight, seconds, payload, rate } = load
  const options = { port, connections, 'in-flight': inFlight, seconds, payload, rate: Math.round(rate) }
  const flags = load.isChecked ? [] : ['--no-echo']
  return runGenerator(sandbox, `${protocol}-load.ts`, seconds, options, flags)
}

/** The command line of one of the harness's generators. */
export function generatorCommand(file: string, options: Readonly<Record<string, string | number>>): string[] {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  return [process.execPath, join(LOAD, file), ...args]
}

async function runGenerator(
  sandbox: Sandbox,
  file: string,
  seconds: number,
  options: Readonly<Record<string, string | number>>,
  flags: readonly string[] = [],
): Promise<LoadResult> {
  const command = [...generatorCommand(file, options), ...flags]
  const timeoutMs = seconds * 1000 + START_ALLOWANCE_MS
  const output = await sandbox.run(command, { name: file.replace('.ts', ''), role: 'load' }, timeoutMs)
  return JSON.parse(output) as LoadResult
}

async function runWrk(sandbox: Sandbox, load: HttpLoad): Promise<LoadResult> {
  const script: string[] = []
  if (load.body !== undefined) {
    const lua = `wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[${load.body}]]\n`
    script.push('-s', sandbox.write(`post-${load.port}.lua`, lua))
  }
  const seconds = Math.round(load.seconds)
  const args = ['-t1', `-c${load.connections}`, `-d${seconds}s`, '--latency', ...script]
  const url = `http://127.0.0.1:${load.port}${load.path}`
  const timeoutMs = seconds * 1000 + START_ALLOWANCE_MS
  return parseWrk(await sandbox.run(['wrk', ...args, url], { name: 'wrk', role: 'load' }, timeoutMs))
}

/** Reads wrk's report. */
export function parseWrk(output: string): LoadResult {
  const find = (pattern: RegExp) => pattern.exec(output)?.[1]
  const requests = Number(find(/(\d+) requests in/) ?? 0)
  const socketErrors = /Socket errors: (.*)/.exec(output)?.[1] ?? ''
  const broken = [...socketErrors.matchAll(/\d+/g)].reduce((sum, [count]) => sum + Number(count), 0)
  const refused = Number(find(/Non-2xx or 3xx responses: (\d+)/) ?? 0)
  return {
    requests: requests - refused,
    qps: Number(find(/Requests\/sec:\s+([\d.]+)/) ?? 0),
    failed: broken + refused,
    firstFailure:
      broken > 0 ? `socket errors: ${socketErrors}` : refused > 0 ? 'answers other than 200' : null,
    p50Ms: milliseconds(find(/^\s+50%\s+(\S+)/m)),
    p99Ms: milliseconds(find(/^\s+99%\s+(\S+)/m)),
    seconds: [],
  }
}

function milliseconds(text = '0ms'): number {
  const value = Number.parseFloat(text)
  if (text.endsWith('us')) return value / 1000
  return text.endsWith('ms') ? value : value * 1000
}
