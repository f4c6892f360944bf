/** A program of this project in a process of its own: what it prints, and how it ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LIMIT_MS = 20_000

/** How a process ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** See the file's head. Ends with the test. */
export class Running {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  /** Settles when the process has ended and everything it printed is here. */
  readonly ended: Promise<Ending>
  #onText: (() => void) | null = null

  constructor(
    t: Test,
    args: readonly string[],
    options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
  ) {
    // Without the variables of the runner that runs the test.
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env }
    this.child = spawn(process.execPath, args, {
      cwd: options.cwd ?? ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#add({ stdout: text }))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#add({ stderr: text }))
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        resolve({ code, signal })
        this.#onText?.()
      })
    })
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Waits until something was printed; rejects when the process ends before, or after 20 seconds. */
  async until(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    const untilMs = performance.now() + LIMIT_MS
    for (;;) {
      const found = pattern.exec(this[stream])
      if (found !== null) return found
      const { exitCode, signalCode } = this.child
      if (exitCode !== null || signalCode !== null || performance.now() > untilMs)
        throw new Error(`${pattern} was not printed on ${stream}:\n${this.stdout}${this.stderr}`)
      await this.#text(untilMs - performance.now())
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  #add({ stdout = '', stderr = '' }: { stdout?: string; stderr?: string }): void {
    this.stdout += stdout
    this.stderr += stderr
    this.#onText?.()
  }

  #text(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#onText?.(), limitMs)
      this.#onText = () => {
        clearTimeout(timer)
        this.#onText = null
        resolve()
      }
    })
  }
}

/** A gateway that runs as `meshgate run -c FILE` does. */
export interface RunningGateway extends Running {
  readonly file: string
  readonly folder: string
  /** Settles with the ports of the ready line, by listener name and `admin`. */
  ready(): Promise<Readonly<Record<string, number>>>
}

/** Starts `meshgate run` with a configuration (YAML) in a folder of its own; `more` follows `run`, `engine` goes to Node. */
export async function startMeshgate(
  t: Test,
  config: string,
  more: readonly string[] = [],
  engine: readonly string[] = [],
): Promise<RunningGateway> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-run-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'meshgate.yaml')
  await writeFile(file, config)
  const running = new Running(t, [...engine, path.join(ROOT, 'lib/main.ts'), 'run', '-c', file, ...more])
  return Object.assign(running, {
    file,
    folder,
    ready: async () => {
      const [line] = await running.until(/^meshgate ready: .*\n/m)
      const ports = [...line.matchAll(/(\w+)(?: \w+)? \S+:(\d+)/g)].map(([, name, port]) => [
        name,
        Number(port),
      ])
      return Object.fromEntries(ports) as Record<string, number>
    },
  })
}
