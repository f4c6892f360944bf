/** What the transport's tests share: a context, codecs that take notes, listeners and dials on loopback. */
import net from 'node:net'
import type { Codec } from '../../lib/core/codec.ts'
import type { Logger, TimerEntry } from '../../lib/core/services.ts'
import { Acceptor, type AcceptorOptions } from '../../lib/net/acceptor.ts'
import { type Address, parseAddress } from '../../lib/net/address.ts'
import type { Connection, NetContext } from '../../lib/net/connection.ts'
import { type DialFailure, type Dialler, type Dialling, dial, isPooledDial } from '../../lib/net/dial.ts'
import { Loop } from '../../lib/net/loop.ts'
import { type LogRecord, ManualClock, makeLogger } from '../../lib/testing-services.ts'

/** A context whose log is kept. */
export interface TestContext extends NetContext {
  readonly records: LogRecord[]
}

export function makeContext(loop: Loop = new Loop()): TestContext {
  const records: LogRecord[] = []
  const log: Logger = makeLogger(records)
  return { loop, log, records }
}

/** A loop whose timers hang on a clock that the test moves; flushes happen as ever. */
export class ManualLoop extends Loop {
  readonly clock = new ManualClock()

  override now(): number {
    return this.clock?.now() ?? 0
  }

  override schedule(entry: TimerEntry, delayMs: number): void {
    this.clock.schedule(entry, delayMs)
  }

  override cancel(entry: TimerEntry): void {
    this.clock.cancel(entry)
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Resolves once `holds`; rejects with `what` after ten seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`)
    await turn()
  }
}

/** A codec that keeps everything; each event may be replaced. */
export class Recorder implements Codec {
  readonly chunks: Buffer[] = []
  readonly events: string[] = []
  length = 0
  closeError: Error | null | undefined
  handle: (bytes: Buffer, offset: number, end: number) => void = (bytes, offset, end) => {
    this.chunks.push(Buffer.from(bytes.subarray(offset, end)))
  }
  handleEnd: () => void = () => {}
  handleDrain: () => void = () => {}
  handleTimer: () => void = () => {}
  handleClose: () => void = () => {}

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  count(event: string): number {
    return this.events.filter((name) => name === event).length
  }

  onBytes(bytes: Buffer, offset: number, end: number): void {
    this.length += end - offset
    this.handle(bytes, offset, end)
  }

  onEnd(): void {
    this.events.push('end')
    this.handleEnd()
  }

  onDrain(): void {
    this.events.push('drain')
    this.handleDrain()
  }

  onTimer(): void {
    this.events.push('timer')
    this.handleTimer()
  }

  onClose(error: Error | null): void {
    this.events.push('close')
    this.closeError = error
    this.handleClose()
  }
}

/** A connection with the codec that reads it. */
export interface Peer {
  readonly connection: Connection
  readonly codec: Recorder
}

/** A listener that takes notes. */
export class TestListener {
  readonly peers: Peer[] = []
  readonly errors: Error[] = []
  refused = 0
  readonly acceptor: Acceptor
  onPeer: (peer: Peer) => void = () => {}

  constructor(context: NetContext, options: Partial<AcceptorOptions> & { readonly at?: string } = {}) {
    const { at = '127.0.0.1:0', ...rest } = options
    this.acceptor = new Acceptor(
      { address: parseAddress(at), maxConnections: 1000, proxyProtocol: 'off', headerTimeoutMs: 0, ...rest },
      this,
      context,
    )
  }

  get address(): Address {
    return parseAddress(this.acceptor.address)
  }

  get port(): number {
    const { address } = this
    return address.kind === 'tcp' ? address.port : 0
  }

  createCodec(connection: Connection): Codec {
    const peer = { connection, codec: new Recorder() }
    this.peers.push(peer)
    this.onPeer(peer)
    return peer.codec
  }

  onRefused(): void {
    this.refused++
  }

  onAcceptError(error: Error): void {
    this.errors.push(error)
  }

  /** The first connection, once there is one. */
  async first(): Promise<Peer> {
    await until(() => this.peers.length > 0, 'a connection')
    return this.peers[0] as Peer
  }

  /** Closes everything and waits for it. */
  async close(): Promise<void> {
    this.acceptor.stop()
    for (const connection of [...this.acceptor.connections]) connection.destroy()
    await until(() => this.acceptor.connections.size === 0, 'the listener to lose its connections')
  }
}

export async function listen(
  context: NetContext,
  options: Partial<AcceptorOptions> & { readonly at?: string } = {},
): Promise<TestListener> {
  const listener = new TestListener(context, options)
  await listener.acceptor.listen()
  return listener
}

/** How a dial ended. */
export type DialResult = Peer | { readonly reason: DialFailure; readonly error: Error }

/** Dials; the connection is started with a recorder. */
export function dialTo(
  context: NetContext,
  address: Address,
  timeoutMs = 5000,
): { readonly dialling: Dialling; readonly result: Promise<DialResult>; readonly closed: Promise<void> } {
  const codec = new Recorder()
  let onClosed = (): void => {}
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve
  })
  let settle: (result: DialResult) => void = () => {}
  const result = new Promise<DialResult>((resolve) => {
    settle = resolve
  })
  const dialler: Dialler = {
    onDialled(connection) {
      connection.start(codec, isPooledDial)
      settle({ connection, codec })
    },
    onDialFailed(reason, error) {
      settle({ reason, error })
    },
  }
  const dialling = dial(address, timeoutMs, context, dialler, { onConnectionClosed: onClosed })
  return { dialling, result, closed }
}

/** Dials and expects it to work. */
export async function connect(context: NetContext, address: Address): Promise<Peer> {
  const result = await dialTo(context, address).result
  if ('reason' in result) throw result.error
  return result
}

/** A plain client of Node's that notes what it gets. */
export class RawClient {
  readonly socket: net.Socket
  readonly chunks: Buffer[] = []
  length = 0
  isEnded = false
  isClosed = false
  error: Error | null = null

  constructor(
    target: number | string,
    options: { readonly host?: string; readonly isPaused?: boolean } = {},
  ) {
    const common = { allowHalfOpen: true, noDelay: true }
    this.socket =
      typeof target === 'string'
        ? net.connect({ path: target, ...common })
        : net.connect({ port: target, host: options.host ?? '127.0.0.1', ...common })
    this.socket.on('error', (error) => {
      this.error = error
    })
    this.socket.on('end', () => {
      this.isEnded = true
    })
    this.socket.on('close', () => {
      this.isClosed = true
    })
    this.socket.on('data', (chunk: Buffer) => {
      this.length += chunk.length
      this.chunks.push(chunk)
    })
    if (options.isPaused === true) this.socket.pause()
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }
}
