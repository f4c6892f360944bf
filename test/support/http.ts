/** Callers and business processes for tests over HTTP/1.1: curl, node:http, raw sockets, and what they saw. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import type { Test } from 'tap'
import type { Rig } from './rig.ts'

/** A configuration with one listener and one route to one business process; `more` is YAML at its end. */
export function simpleConfig(endpoint: number | string, more = ''): string {
  const address = typeof endpoint === 'number' ? `127.0.0.1:${endpoint}` : endpoint
  return `
log: { level: silent }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, endpoints: ['${address}'] }]
routes: [{ match: {}, to: { cluster: out } }]
${more}`
}

/** The whole of an answer. */
export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly trailers: NodeJS.Dict<string>
  readonly body: Buffer
  readonly text: string
}

/** What one request says. */
export interface Call {
  readonly method?: string
  readonly path?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: Buffer | string
  readonly agent?: http.Agent
  readonly socketPath?: string
}

/** One request with `node:http`, on a connection of its own unless an agent is given. */
export async function call(port: number, options: Call = {}): Promise<Answer> {
  const { body, agent = false, method = body === undefined ? 'GET' : 'POST', ...rest } = options
  const where = options.socketPath === undefined ? { host: '127.0.0.1', port } : {}
  // Without it node:http sends the body of a GET or DELETE with no framing at all.
  const isFramed = body === undefined || 'transfer-encoding' in { ...options.headers }
  const length = isFramed ? {} : { 'content-length': Buffer.byteLength(body) }
  const request = http.request({ ...where, ...rest, headers: { ...length, ...rest.headers }, method, agent })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  // Who answers early may close the connection under the rest of the body.
  request.on('error', () => undefined)
  return readAnswer(response)
}

/** Reads an answer to its end; rejects when it is cut off. */
export async function readAnswer(response: http.IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  const { statusCode = 0, headers, trailers } = response
  return { status: statusCode, headers, trailers, body, text: body.toString() }
}

/** The body of a request at a business process. */
export async function readBody(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Answers with what the business process saw, as JSON. */
export async function echo(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const body = await readBody(request)
  const { method, url, headers, trailers } = request
  response.setHeader('content-type', 'application/json')
  response.end(
    JSON.stringify({
      method,
      url,
      headers,
      trailers,
      length: body.length,
      body: body.toString().slice(0, 1000),
    }),
  )
}

/** Whether a program is here; the reason to skip a test when it is not. */
export function missing(program: string, args: readonly string[] = ['--version']): string | false {
  return spawnSync(program, args, { stdio: 'ignore' }).error === undefined
    ? false
    : `${program} is not installed`
}

/** What a program printed, and its exit code. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs curl quietly, with at most 20 seconds for everything. */
export async function curl(args: readonly string[], input: Buffer | string = ''): Promise<Ran> {
  const child = spawn('curl', ['-sS', '--max-time', '20', '--noproxy', '', ...args])
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    stderr += text
  })
  // A peer that answers early closes the pipe.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** A socket that a test speaks by hand. Closed with the test. */
export class RawPeer {
  readonly socket: net.Socket
  text = ''
  /** The peer sent FIN or reset the connection. */
  isOver = false
  isReset = false
  #onChange: (() => void) | null = null

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => this.#changed(() => (this.text += chunk)))
    socket.on('end', () => this.#changed(() => (this.isOver = true)))
    socket.on('close', () => this.#changed(() => (this.isOver = true)))
    socket.on('error', () => this.#changed(() => (this.isReset = true)))
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes)
    return this
  }

  /** Resolves when `test` holds for what came; fails after `limitMs`, with the text. */
  async until(test: (peer: RawPeer) => boolean, limitMs = 10_000): Promise<string> {
    const untilMs = performance.now() + limitMs
    while (!test(this)) {
      const left = untilMs - performance.now()
      if (left <= 0) throw new Error(`nothing more came behind ${JSON.stringify(this.text.slice(-500))}`)
      await this.#change(left)
    }
    return this.text
  }

  /** Everything until the peer closed. */
  untilOver(limitMs?: number): Promise<string> {
    return this.until((peer) => peer.isOver, limitMs)
  }

  untilText(part: string, limitMs?: number): Promise<string> {
    return this.until((peer) => peer.text.includes(part), limitMs)
  }

  #changed(change: () => void): void {
    change()
    this.#onChange?.()
  }

  #change(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#onChange?.(), limitMs)
      this.#onChange = () => {
        clearTimeout(timer)
        this.#onChange = null
        resolve()
      }
    })
  }
}

/** Connects to a port by hand. */
export async function connectRaw(t: Test, port: number): Promise<RawPeer> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return new RawPeer(socket)
}

/** Waits until `test` holds, for ten seconds at most. */
export async function until(what: string, test: () => boolean): Promise<void> {
  const untilMs = performance.now() + 10_000
  while (!test()) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ten seconds`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** The lines of an access log once there are `count` of them. */
export async function logLines(rig: Rig, count: number, file = 'access.log'): Promise<string[]> {
  let lines: string[] = []
  const untilMs = performance.now() + 5000
  while (lines.length < count && performance.now() < untilMs) {
    const text = await readFile(path.join(rig.folder, file), 'latin1')
    lines = text.split('\n').slice(0, -1)
    if (lines.length < count) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return lines
}

/** The last entry of a JSON access log with `count` lines. */
export async function lastEntry(rig: Rig, count: number): Promise<Record<string, unknown>> {
  const lines = await logLines(rig, count)
  return JSON.parse(lines[count - 1] ?? '{}') as Record<string, unknown>
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Ends a child process with the test and waits for it. */
export function stopWith(t: Test, child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): void {
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  })
}
