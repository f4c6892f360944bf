/** Owns every process and file of one run, and takes all of them away at its end, however that comes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cores, Role } from './cores.ts'

/** How much of a process's output is kept for error messages. */
const KEPT_OUTPUT = 4096

/** What a process is started with. */
export interface LaunchOptions {
  /** Name for messages. */
  readonly name: string
  readonly role: Role
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
}

/** A process that runs until it is stopped. */
export class Launched {
  readonly name: string
  readonly pid: number
  /** Resolves with the exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  hasEnded: number | string | null = null
  isStopping = false
  #output = ''
  readonly #process: ChildProcess
  #watchers: ((text: string) => void)[] = []

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.pid = child.pid ?? -1
    this.#process = child
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => resolve((this.hasEnded = error.message)))
      child.on('exit', (code, signal) => resolve((this.hasEnded = signal ?? code ?? 0)))
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT)
        for (const watcher of this.#watchers) watcher(text)
      })
    }
  }

  /** The last few KiB of what it printed. */
  get output(): string {
    return this.#output
  }

  /** Resolves with the first printed text that satisfies `accept`; rejects when the process ends before. */
  async waitForOutput(accept: (output: string) => boolean, timeoutMs: number): Promise<void> {
    let seen = this.#output
    if (accept(seen)) return
    const found = new Promise<boolean>((resolve) => {
      this.#watchers.push((text) => {
        seen += text
        if (accept(seen)) resolve(true)
      })
    })
    const outcome = await Promise.race([
      found,
      this.ended.then(() => false),
      sleep(timeoutMs, null, { ref: false }),
    ])
    if (outcome === true || accept(this.#output)) return
    throw new Error(this.describe(outcome === null ? `said nothing for ${timeoutMs} ms` : 'ended too early'))
  }

  /** Sends a signal to the process alone. */
  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Ends it: SIGTERM, and SIGKILL to its whole group after `graceMs`. Returns the exit code or signal. */
  async stop(graceMs = 3000): Promise<number | string> {
    this.isStopping = true
    if (this.hasEnded === null) {
      this.signal('SIGTERM')
      const timer = setTimeout(() => this.kill(), graceMs)
      await this.ended
      clearTimeout(timer)
    }
    this.kill() // children of its own that outlived it
    return this.hasEnded ?? 0
  }

  /** Kills the whole process group at once. */
  kill(): void {
    if (this.pid <= 0) return
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      // The group is empty already.
    }
  }

  /** A sentence with the process's last words. */
  describe(what: string): string {
    const ending = this.hasEnded === null ? '' : ` (ended with ${this.hasEnded})`
    const words = this.#output.trim()
    return `${this.name} ${what}${ending}${words === '' ? '' : `; it printed:\n${words}`}`
  }
}

/** The processes, ports and files of a run. */
export class Sandbox {
  readonly cores: Cores
  readonly directory: string
  readonly #children = new Set<Launched>()
  readonly #onExit = () => this.#clean()
  readonly #onSignal = (signal: NodeJS.Signals) => {
    this.#clean()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }

  constructor(cores: Cores) {
    this.cores = cores
    this.directory = mkdtempSync(join(tmpdir(), 'meshgate-perf-'))
    process.on('exit', this.#onExit)
    process.on('SIGINT', this.#onSignal)
    process.on('SIGTERM', this.#onSignal)
  }

  /** Writes a file of the run and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    const path = join(this.directory, name)
    writeFileSync(path, content)
    return path
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  /** Starts a process on its core. It is killed with the sandbox, children included. */
  launch(command: readonly string[], options: LaunchOptions): Launched {
    const [file, ...args] = [...this.cores.prefix[options.role], ...command] as [string, ...string[]]
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, so that one signal reaches its children too
      cwd: options.cwd ?? this.directory,
      env: { ...process.env, ...options.env },
    })
    const launched = new Launched(options.name, child)
    this.#children.add(launched)
    void launched.ended.then(() => {
      if (launched.isStopping) this.#children.delete(launched)
    })
    return launched
  }

  /** Runs a load generator to its end and returns its stdout. Rejects when it fails or outlives `timeoutMs`. */
  async run(command: readonly string[], options: LaunchOptions, timeoutMs: number): Promise<string> {
    const [file, ...args] = [...this.cores.prefix[options.role], ...command] as [string, ...string[]]
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      cwd: options.cwd ?? this.directory,
      env: { ...process.env, ...options.env },
    })
    const launched = new Launched(options.name, child)
    this.#children.add(launched)
    let stdout = ''
    child.stdout?.on('data', (text) => (stdout += text))
    const timer = setTimeout(() => launched.kill(), timeoutMs)
    await new Promise((resolve) => child.on('close', resolve).on('error', resolve))
    clearTimeout(timer)
    this.#children.delete(launched)
    if (launched.hasEnded !== 0) throw new Error(launched.describe('failed'))
    return stdout
  }

  /** Throws when a process that should be running has ended. */
  assertAlive(): void {
    for (const child of this.#children) {
      if (child.hasEnded !== null && !child.isStopping) throw new Error(child.describe('died'))
    }
  }

  /** Stops everything and removes the files. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.stop(1000)))
    this.#clean()
    process.off('exit', this.#onExit)
    process.off('SIGINT', this.#onSignal)
    process.off('SIGTERM', this.#onSignal)
  }

  #clean(): void {
    for (const child of this.#children) child.kill()
    this.#children.clear()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** A port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Waits until something listens on `port`; rejects when `owner` ends or `timeoutMs` pass. */
export async function waitForPort(port: number, owner: Launched, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await canConnect(port))) {
    if (owner.hasEnded !== null) throw new Error(owner.describe('ended before it listened'))
    if (Date.now() > deadline) throw new Error(owner.describe(`does not listen on port ${port}`))
    await sleep(5)
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}
