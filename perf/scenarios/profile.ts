/** Where a loaded gateway spends its time: text for reading, a flame graph for looking. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findCores } from '../harness/cores.ts'
import { type CpuProfile, type Share, summarizeProfile } from '../harness/cpu-profile.ts'
import { ROOT } from '../harness/environment.ts'
import { startGateway } from '../harness/gateway.ts'
import { findTools } from '../harness/loads.ts'
import type { Progress } from '../harness/measure.ts'
import { format, ratio } from '../harness/numbers.ts'
import { type PerfOptions, UsageError } from '../harness/options.ts'
import type { GatewayPath, LoadProtocol } from '../harness/paths.ts'
import { Sandbox } from '../harness/sandbox.ts'
import { loadShape, type Shape, startBackend } from '../harness/shapes.ts'
import type { Running } from '../harness/subject.ts'
import { cpuMilliseconds } from '../harness/usage.ts'
import type { LoadResult } from '../load/load-result.ts'

const PROFILES = join(ROOT, 'perf', 'profiles')
const HOOK = join(ROOT, 'perf', 'harness', 'profile-hook.ts')

/** What can be profiled. */
const PATHS: Readonly<Record<string, GatewayPath>> = {
  http1: between('http1', 'http1'),
  mmtp: between('mmtp', 'mmtp'),
  'http1-mmtp': between('http1', 'mmtp'),
  'mmtp-http1': between('mmtp', 'http1'),
  bolt: between('bolt', 'bolt'),
  dubbo: between('dubbo', 'dubbo'),
  translate: between('mmtp', 'bolt'),
  'http1-bolt': between('http1', 'bolt'),
  'mmtp-dubbo': between('mmtp', 'dubbo'),
}

function between(downstream: LoadProtocol, upstream: LoadProtocol): GatewayPath {
  return { downstream, upstream }
}

/** The shape of load that a path is profiled with. */
function shapeOf(name: string, path: GatewayPath, connections: number): Shape {
  if (path.downstream === 'http1') return { name, path, connections, inFlight: 1, direct: null }
  return { name, path, connections: 4, inFlight: path.upstream === 'http1' ? 8 : 64, direct: null }
}

/** Profiles one path under load and returns what is to be printed. */
export async function profile(name: string, options: PerfOptions, progress: Progress): Promise<string> {
  const path = PATHS[name]
  if (path === undefined) throw new UsageError(`profile knows ${Object.keys(PATHS).join(', ')}; not ${name}`)
  const sandbox = new Sandbox(findCores())
  try {
    return await profileShape(sandbox, shapeOf(name, path, options.connections), options, progress)
  } finally {
    await sandbox.close()
  }
}

async function profileShape(
  sandbox: Sandbox,
  shape: Shape,
  options: PerfOptions,
  progress: Progress,
): Promise<string> {
  const seconds = options.seconds ?? (options.small ? 1 : 8)
  const tools = findTools(options.small)
  const { name, path } = shape
  const backend = await startBackend(sandbox, tools, path)
  const raw = sandbox.path('profile.cpuprofile')
  const gateway = await startGateway(sandbox, backend.port, options, {
    path,
    nodeOptions: ['--import', HOOK],
    env: { MESHGATE_PERF_PROFILE: raw },
  })
  const load = (duration: number) => loadShape(sandbox, tools, shape, gateway.port, duration)
  if (!options.small) {
    progress('warming up')
    await load(3)
  }
  progress(`profiling ${name} for ${seconds} s`)
  gateway.process.signal('SIGUSR2')
  const cpuBefore = cpuMilliseconds(gateway.process.pid)
  const result = await load(seconds)
  const cpuAfter = cpuMilliseconds(gateway.process.pid)
  gateway.process.signal('SIGUSR2')
  await waitForFile(raw, gateway)
  sandbox.assertAlive()
  if (result.failed > 0) throw new Error(`${result.failed} requests failed (${result.firstFailure})`)
  if (result.requests === 0) throw new Error('no request was answered')

  const cpuUs =
    cpuBefore === null || cpuAfter === null ? null : ratio((cpuAfter - cpuBefore) * 1000, result.requests)
  const text = describe(name, result, cpuUs, raw, options.top)
  if (options.small) return text
  return `${text}\n${keep(name, raw, text, options.flame, progress)}`
}

async function waitForFile(file: string, gateway: Running): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (existsSync(file) && isWhole(file)) return
    if (gateway.process.hasEnded !== null) break
    await sleep(50)
  }
  throw new Error(gateway.process.describe('wrote no profile'))
}

function isWhole(file: string): boolean {
  try {
    JSON.parse(readFileSync(file, 'utf8'))
    return true
  } catch {
    return false
  }
}

function describe(name: string, result: LoadResult, cpuUs: number | null, file: string, top: number): string {
  const summary = summarizeProfile(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile, ROOT)
  const rate = `${format(result.qps)} requests/s, ${format(cpuUs, 2)} µs CPU a request with the profiler on`
  const lines = [
    `Profile of ${name}: ${rate}; ${format(summary.sampledMs / 1000, 1)} s sampled, ${format(summary.idlePercent, 1)} % idle.`,
    'Shares are of the time that was not idle; µs are that share of a request.',
  ]
  const list = (title: string, shares: readonly Share[], count: number) => {
    lines.push('', title, ...shares.slice(0, count).map((share) => shareLine(share, cpuUs)))
  }
  list('Self time', summary.self, top)
  list('With all that it calls', summary.inclusive, top)
  list('By file, self time', summary.files, Math.ceil(top / 2))
  list('Hot lines, self time', summary.lines, Math.ceil(top / 2))
  return `${lines.join('\n')}\n`
}

function shareLine({ name, percent }: Share, cpuUs: number | null): string {
  const microseconds = cpuUs === null ? '' : `${format((percent * cpuUs) / 100, 3).padStart(8)} µs`
  return `${format(percent, 1).padStart(6)} %${microseconds}  ${name}`
}

/** Copies profile and text to perf/profiles and draws the flame graph; says where they are. */
function keep(name: string, raw: string, text: string, isFlameWanted: boolean, progress: Progress): string {
  mkdirSync(PROFILES, { recursive: true })
  const stem = join(PROFILES, `${name}-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}`)
  copyFileSync(raw, `${stem}.cpuprofile`)
  writeFileSync(`${stem}.txt`, text)
  const kept = [`${stem}.cpuprofile (opens in a browser's developer tools)`, `${stem}.txt`]
  if (isFlameWanted && drawFlameGraph(stem, progress)) kept.push(`${stem}.html`)
  return `${kept.join('\n')}\n`
}

function drawFlameGraph(stem: string, progress: Progress): boolean {
  try {
    const command = join(dirname(createRequire(import.meta.url).resolve('0x/package.json')), 'cmd.js')
    const args = ['--visualize-cpu-profile', `${stem}.cpuprofile`, '-D', `${stem}.0x`, '-F', `${stem}.html`]
    execFileSync(process.execPath, [command, ...args], { stdio: ['ignore', 'ignore', 'pipe'], cwd: PROFILES })
    return existsSync(`${stem}.html`)
  } catch (error) {
    progress(`0x drew no flame graph: ${(error as Error).message.split('\n')[0]}`)
    return false
  }
}
