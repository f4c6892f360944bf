/** The Java peers (test/peers/java): built with Maven when their sources changed, run as processes that take commands. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort, missing } from '../../support/http.ts'

const FOLDER = fileURLToPath(new URL('../java', import.meta.url))
const CLASSPATH = path.join(FOLDER, 'target/classpath.txt')
const LOCK = path.join(FOLDER, 'target/.building')
const BUILD_LIMIT_MS = 240_000
const COMMAND_LIMIT_MS = 60_000

// Two libraries in one small process that has to start fast; Hessian reads private fields of the JDK's classes.
const JVM_OPTIONS = [
  '-Xmx256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Dsofa.middleware.log.disable=true',
  '-Ddubbo.application.logger=slf4j',
  '-Dbolt.tcp.heartbeat.interval=500',
  ...['lang', 'util', 'math', 'time', 'text', 'net'].map(
    (name) => `--add-opens=java.base/java.${name}=ALL-UNNAMED`,
  ),
]

/** Which of the two libraries. */
export type Framework = 'sofa' | 'dubbo'

/** How a client speaks: a version of Bolt, or a serialization of Dubbo. */
export type Variant = 'v1' | 'v2' | 'v2-plain' | 'hessian2' | 'fastjson2'

/** How a server serves. */
export interface ServeOptions {
  readonly port?: number
  /** Of its pool, 20 unless given. */
  readonly threads?: number
  /** Calls that wait for a thread, 2000 unless given. */
  readonly queues?: number
}

/** What one check saw; two runs that saw the same had the same values and errors. */
export interface Seen {
  readonly isOk: boolean
  readonly saw: string
}

/** Where calls go, and how. */
export interface Calls {
  readonly framework: Framework
  readonly port: number
  readonly variant: Variant
  readonly connections?: number
  /** The client's own limit; five seconds unless given. */
  readonly timeoutMs?: number
  /** Group or unique id of the service that is called; Dubbo then asks for version 9.9.9, too. */
  readonly group?: string
  /** Failures come with their messages. */
  readonly isVerbose?: boolean
}

/** Builds the peers when needed. Returns why they cannot run here, false when they can. */
export async function prepareJava(): Promise<string | false> {
  const reason = missing('javac', ['-version']) || missing('mvn', ['-v'])
  if (reason !== false) return reason
  await acquireLock()
  try {
    if (isBuilt()) return false
    // Without the network first: where everything is cached, it takes a few seconds.
    const goals = ['-q', '-B', 'process-classes']
    const isMade = runMaven(['-o', ...goals]).status === 0
    const online = isMade ? null : runMaven(goals)
    if (online === null || online.status === 0) return false
    return `Maven cannot build test/peers/java:\n${online.stdout.slice(-2000)}`
  } finally {
    rmSync(LOCK, { recursive: true, force: true })
  }
}

function runMaven(args: string[]) {
  return spawnSync('mvn', args, { cwd: FOLDER, encoding: 'utf8', timeout: BUILD_LIMIT_MS })
}

function isBuilt(): boolean {
  const made = statSync(CLASSPATH, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = ['pom.xml', ...globSync('src/main/**/*.*', { cwd: FOLDER })]
  const isNewer = sources.every((file) => statSync(path.join(FOLDER, file)).mtimeMs < made)
  return isNewer && classpath().every((jar) => statSync(jar, { throwIfNoEntry: false }) !== undefined)
}

function classpath(): string[] {
  return [
    path.join(FOLDER, 'target/classes'),
    ...readFileSync(CLASSPATH, 'utf8').trim().split(path.delimiter),
  ]
}

/** Test files run at the same time; one builds, the others wait. */
async function acquireLock(): Promise<void> {
  mkdirSync(path.dirname(LOCK), { recursive: true })
  for (;;) {
    try {
      mkdirSync(LOCK)
      return
    } catch {
      const since = statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs ?? 0
      // Left by a run that was killed.
      if (Date.now() - since > BUILD_LIMIT_MS) rmSync(LOCK, { recursive: true, force: true })
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

/** A line that the process prints. */
interface Line {
  readonly id: number
  readonly check?: string
  readonly isOk?: boolean
  readonly saw?: string
  readonly isDone?: boolean
  readonly error?: string
  readonly outcomes?: Record<string, number>
}

/** A command that is not over. */
interface Pending {
  readonly lines: Line[]
  readonly resolve: (lines: Line[]) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** One JVM with any number of servers and clients. */
export class JavaPeer {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #pending = new Map<number, Pending>()
  #id = 0
  #stderr = ''
  #rest = ''

  constructor(home: string) {
    const args = [...JVM_OPTIONS, `-Duser.home=${home}`, '-cp', classpath().join(path.delimiter)]
    this.#child = spawn('java', [...args, 'com.example.peers.Main'], {
      cwd: home,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-20_000)
    })
    this.#child.stdin.on('error', () => undefined)
    // Not readline: it also ends a line at U+2028, which values contain.
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#onLine(JSON.parse(line) as Line)
    })
    this.#child.on('exit', () => {
      for (const { reject, timer } of this.#pending.values()) {
        clearTimeout(timer)
        reject(new Error('the Java process ended'))
      }
      this.#pending.clear()
    })
  }

  /** Offers the service on a port, a free one unless given. Returns the port. */
  async serve(framework: Framework, options: ServeOptions = {}): Promise<number> {
    const { port = await freePort(), ...rest } = options
    await this.#command({ do: 'serve', framework, port, ...rest })
    return port
  }

  /** Runs all checks; by name, in the order they ran. */
  async check(calls: Calls): Promise<Map<string, Seen>> {
    const seen = new Map<string, Seen>()
    for (const { check, isOk = false, saw = '' } of await this.#command({ do: 'check', ...calls }))
      if (check !== undefined) seen.set(check, { isOk, saw })
    return seen
  }

  /** Begins calls of `text` or `slow`, all at once; settles with outcome → how often it came. */
  async calls(
    calls: Calls &
      ({ method: 'text'; text: string } | { method: 'slow'; delayMs: number }) & { count?: number },
  ): Promise<Record<string, number>> {
    const lines = await this.#command({ do: 'calls', ...calls })
    return lines.at(-1)?.outcomes ?? {}
  }

  /** Closes the clients that were connected to a port. */
  async close(port: number): Promise<void> {
    await this.#command({ do: 'close', port })
  }

  /** What `kill -9` does: nobody is told. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  #command(command: object): Promise<Line[]> {
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(new Error(`${JSON.stringify(command)} is not over after a minute:\n${this.#stderr}`))
      }, COMMAND_LIMIT_MS)
      this.#pending.set(id, { lines: [], resolve, reject, timer })
      this.#child.stdin.write(`${JSON.stringify({ id, ...command })}\n`)
    })
  }

  #onLine(line: Line): void {
    const pending = this.#pending.get(line.id)
    if (pending === undefined) return
    pending.lines.push(line)
    if (line.isDone !== true) return
    this.#pending.delete(line.id)
    clearTimeout(pending.timer)
    if (line.error === undefined) pending.resolve(pending.lines)
    else pending.reject(new Error(`${line.error}\n${this.#stderr}`))
  }
}

/** Starts a JVM; ends with the test. */
export async function startJava(t: Test): Promise<JavaPeer> {
  const home = await mkdtemp(path.join(tmpdir(), 'meshgate-java-'))
  const peer = new JavaPeer(home)
  t.teardown(async () => {
    await peer.kill()
    await rm(home, { recursive: true, force: true })
  })
  return peer
}
