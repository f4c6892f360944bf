/**
 * Load over multiplexed connections, for any framed protocol. Closed loop: every connection keeps a number of requests
 * in flight and writes once per read. With a rate: requests are sent when they are due, up to that number in flight.
 */
import net from 'node:net'
import { FrameBatch, type FrameLayout, FrameReader } from './frame-stream.ts'
import { Recorder } from './load-result.ts'

/** Options that every generator takes. */
export const LOAD_OPTIONS = {
  port: { type: 'string' },
  connections: { type: 'string', default: '4' },
  'in-flight': { type: 'string', default: '64' },
  seconds: { type: 'string', default: '3' },
  /** Requests a second over all connections; 0 is as fast as it goes. */
  rate: { type: 'string', default: '0' },
  /** What is sent: `text`, a string of `--body` characters, or `order`, an object of ten fields. */
  payload: { type: 'string', default: 'text' },
  body: { type: 'string', default: '256' },
} as const

/** The values of `LOAD_OPTIONS` that concern connections. */
export interface LoopOptions {
  readonly port?: string | undefined
  readonly connections: string
  readonly 'in-flight': string
  readonly seconds: string
  readonly rate: string
}

/** What one protocol does on one connection. */
export interface Talk {
  /** Bytes that open the connection; null when requests may follow at once. */
  readonly greeting: Buffer | null
  /** Appends a request to the connection's batch and returns its id; 0 when the peer allows none now. */
  send(): number
  /** Takes one frame; reports to the connection what it means for a request. */
  onFrame(bytes: Buffer, offset: number, end: number): void
  /** Called after the frames of one read, before new requests are sent. */
  afterRead(): void
}

/** All connections read into one buffer: the reader keeps copies of tails only. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)
const recorder = new Recorder(performance.now())
let isOver = false

/** Runs the load that a command line asks for, then prints its result and closes the connections. */
export function runLoad(
  options: LoopOptions,
  layout: FrameLayout,
  createTalk: (connection: LoadConnection) => Talk,
): void {
  const rate = Number(options.rate)
  const inFlight = Number(options['in-flight'])
  const connections = Array.from(
    { length: Number(options.connections) },
    (_, i) => new LoadConnection(i, Number(options.port), inFlight, rate > 0, layout, createTalk),
  )
  const pacer = rate > 0 ? setInterval(pacing(connections, rate), 1) : null
  setTimeout(() => {
    isOver = true
    recorder.print(performance.now())
    if (pacer !== null) clearInterval(pacer)
    for (const connection of connections) connection.close()
  }, Number(options.seconds) * 1000)
}

/** Sends what has become due since the start, over the connections in turn. */
function pacing(connections: readonly LoadConnection[], rate: number): () => void {
  const startedAt = performance.now()
  let sent = 0
  let turn = 0
  return () => {
    const now = performance.now()
    const due = Math.floor(((now - startedAt) * rate) / 1000) - sent
    const share = Math.ceil(due / connections.length)
    for (let i = 0; i < connections.length; i++) {
      sent += connections[turn++ % connections.length]!.sendUpTo(share, now)
    }
  }
}

/** One connection and the requests under way on it. */
export class LoadConnection {
  readonly index: number
  readonly batch: FrameBatch
  /** Requests that may be in flight at once. A talk sets it to 0 until the peer has said what it allows. */
  limit: number
  /** When each open request was sent. */
  readonly #open = new Map<number, number>()
  readonly #socket: net.Socket
  readonly #talk: Talk
  readonly #reader: FrameReader
  readonly #isPaced: boolean
  #now = performance.now()

  constructor(
    index: number,
    port: number,
    limit: number,
    isPaced: boolean,
    layout: FrameLayout,
    createTalk: (connection: LoadConnection) => Talk,
  ) {
    this.index = index
    this.limit = limit
    this.#isPaced = isPaced
    this.#socket = net.connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length, bytes) => this.#onRead(bytes as Buffer, length) },
    })
    this.batch = new FrameBatch(this.#socket)
    const talk = createTalk(this)
    this.#talk = talk
    this.#reader = new FrameReader(layout, (bytes, offset, end) => talk.onFrame(bytes, offset, end))
    this.#watchEnd()
    if (talk.greeting !== null) this.batch.append(talk.greeting)
    if (!isPaced) this.#send(limit)
    this.batch.flush()
  }

  /** Sends up to `count` requests, as far as the limit allows; returns how many. `now` is when they were due. */
  sendUpTo(count: number, now: number): number {
    this.#now = now
    const sent = this.#send(count)
    this.batch.flush()
    return sent
  }

  /** The request was answered well. */
  complete(id: number): void {
    const sentAt = this.#open.get(id)
    if (sentAt === undefined) {
      recorder.fail('an answer to no open request')
      return
    }
    this.#open.delete(id)
    recorder.ok(sentAt, this.#now)
  }

  /** The request was answered, but not well. */
  refuse(id: number, reason: string): void {
    recorder.fail(reason)
    this.#open.delete(id)
  }

  /** The peer wants no more requests. */
  retire(reason: string): void {
    recorder.fail(reason)
    this.limit = 0
  }

  close(): void {
    this.#socket.destroy()
  }

  #watchEnd(): void {
    let reason = 'the connection was closed'
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message
    })
    this.#socket.on('end', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      if (!isOver) recorder.fail(reason, Math.max(1, this.#open.size))
      this.limit = 0
    })
  }

  #onRead(bytes: Buffer, length: number): boolean {
    this.#now = performance.now()
    try {
      this.#reader.push(bytes, length)
    } catch (error) {
      recorder.fail((error as Error).message)
      this.#socket.destroy()
      return false
    }
    this.#talk.afterRead()
    if (!this.#isPaced) this.#send(this.limit)
    this.batch.flush()
    return true
  }

  #send(count: number): number {
    if (isOver) return 0
    let sent = 0
    while (sent < count && this.#open.size < this.limit) {
      const id = this.#talk.send()
      if (id === 0) break
      this.#open.set(id, this.#now)
      sent++
    }
    return sent
  }
}
