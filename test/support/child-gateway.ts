/** A gateway in a process of its own, for tests that measure it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { StatsReport } from '../../lib/core/inspect.ts'
import { call } from './http.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const SAMPLE_MS = 50

/** What a {@link ChildGateway} grew to. */
export interface Growth {
  /** MiB above what the process had before. */
  readonly rss: number
  readonly external: number
}

/** See the file's head. */
export class ChildGateway {
  readonly port: number
  readonly #adminPort: number

  constructor(port: number, adminPort: number) {
    this.port = port
    this.#adminPort = adminPort
  }

  async stats(): Promise<StatsReport> {
    return JSON.parse((await call(this.#adminPort, { path: '/stats' })).text) as StatsReport
  }

  /** Runs `work` and tells how much the process grew at most meanwhile. */
  async growthDuring(work: () => Promise<void>): Promise<Growth> {
    const { memory: before } = await this.stats()
    const peak = { ...before }
    let isOver = false
    const sampling = (async () => {
      while (!isOver) {
        await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS))
        const { memory } = await this.stats()
        peak.rss = Math.max(peak.rss, memory.rss)
        peak.external = Math.max(peak.external, memory.external)
      }
    })()
    await work().finally(() => {
      isOver = true
    })
    await sampling
    const inMiB = (bytes: number): number => Math.round(bytes / 1024 / 1024)
    return { rss: inMiB(peak.rss - before.rss), external: inMiB(peak.external - before.external) }
  }
}

/** Starts `meshgate run` with `config`, which needs one listener and an admin port, both on port 0. Ends with the test. */
export async function startChildGateway(t: Test, config: string): Promise<ChildGateway> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-child-'))
  const file = path.join(folder, 'meshgate.yaml')
  await writeFile(file, config)
  const child = spawn(process.execPath, [MAIN, 'run', '-c', file], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  const ports = [...line.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port))
  const [port, adminPort] = ports
  if (port === undefined || adminPort === undefined) throw new Error(`no ports in ${JSON.stringify(line)}`)
  return new ChildGateway(port, adminPort)
}
