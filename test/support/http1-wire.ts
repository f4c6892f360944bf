// A wire without a socket, and handlers that write down what a codec reports: bytes in, event log out.
import type {
  ClientCodecOptions,
  ClientOwner,
  Codec,
  DownstreamHandler,
  PeerInfo,
  ServerCodecOptions,
  ServerContext,
  UpstreamHandler,
  UpstreamStream,
  Wire,
} from '../../lib/core/codec.ts'
import type { GatewayError } from '../../lib/core/errors.ts'
import { type Exchange, ExchangeState, type ListenerInfo } from '../../lib/core/exchange.ts'
import type { Headers, ResponseHead } from '../../lib/core/message.ts'
import { Http1Client } from '../../lib/protocols/http1/client.ts'
import { Http1Server } from '../../lib/protocols/http1/server.ts'

export const EMPTY = Buffer.alloc(0)

const wires = new Set<FakeWire>()

/** Closes every connection that was made since the last call, so that only real leaks are left. */
export function closeAll(): void {
  for (const wire of wires) wire.close()
  for (const wire of wires) wire.codec?.onClose(null)
  wires.clear()
}

/** Records what a codec does to its connection; the test turns the clock. */
export class FakeWire implements Wire {
  position = 0
  peer: PeerInfo = { remoteAddress: '10.1.2.3', remotePort: 4711, localAddress: '127.0.0.1', localPort: 80 }
  isWritable = true
  isPaused = false
  /** `open`, `ended` (FIN sent), `closed` or `destroyed`. */
  state = 'open'
  nowMs = 1000
  timerMs = 0
  timerCalls = 0
  lent = 0
  codec: Codec | null = null
  queued = 0
  /** What stands before and behind the bytes of a read. */
  guard: string | number = 0xdb
  #out = Buffer.alloc(512)
  #reserved = 0
  #taken = 0

  constructor() {
    wires.add(this)
  }

  get queuedBytes(): number {
    return this.queued
  }

  reserve(length: number): Buffer {
    this.#check()
    if (this.position + length > this.#out.length) {
      const larger = Buffer.alloc((this.position + length) * 2)
      this.#out.copy(larger, 0, 0, this.position)
      this.#out = larger
    }
    this.#reserved = this.position + length
    return this.#out
  }

  write(bytes: Buffer, offset: number, end: number): void {
    if (offset < 0 || end > bytes.length || offset > end) throw new Error(`bad range ${offset}…${end}`)
    const out = this.reserve(end - offset)
    bytes.copy(out, this.position, offset, end)
    this.position += end - offset
  }

  lend(bytes: Buffer, offset: number, end: number): void {
    this.lent++
    this.write(bytes, offset, end)
  }

  /** The check that a codec never writes more than it reserved, which would overrun a real slab. */
  #check(): void {
    if (this.#reserved > 0 && this.position > this.#reserved) {
      throw new Error(`wrote to ${this.position}, reserved up to ${this.#reserved}`)
    }
  }

  pauseRead(): void {
    this.isPaused = true
  }

  resumeRead(): void {
    this.isPaused = false
  }

  end(): void {
    if (this.state === 'open') this.state = 'ended'
  }

  close(): void {
    if (this.state !== 'destroyed') this.state = 'closed'
  }

  destroy(): void {
    this.state = 'destroyed'
  }

  setTimer(delayMs: number): void {
    this.timerCalls++
    this.timerMs = delayMs === 0 ? 0 : this.nowMs + delayMs
  }

  now(): number {
    return this.nowMs
  }

  /** Turns the clock, and lets the timer go off when it is due. */
  pass(milliseconds: number): void {
    const until = this.nowMs + milliseconds
    while (
      this.timerMs > 0 &&
      this.timerMs <= until &&
      this.state !== 'closed' &&
      this.state !== 'destroyed'
    ) {
      this.nowMs = this.timerMs
      this.timerMs = 0
      this.codec?.onTimer()
    }
    this.nowMs = until
  }

  /** Hands bytes to the codec in a buffer that is overwritten right after, as a read slab is. */
  feed(bytes: Buffer | string): void {
    if (this.state === 'closed' || this.state === 'destroyed') return
    const input = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    // Bytes before and behind the range must be neither read nor needed.
    const slab = Buffer.alloc(input.length + 16, this.guard)
    input.copy(slab, 8)
    this.codec?.onBytes(slab, 8, 8 + input.length)
    slab.fill(0xdb)
  }

  /** What was written since the last call. Dates are replaced, because the wall clock makes them. */
  take(): string {
    return this.takeBytes()
      .toString('latin1')
      .replace(/date: [A-Z][a-z]{2}, [^\r]*GMT\r\n/g, '')
  }

  takeBytes(): Buffer {
    this.#check()
    const bytes = Buffer.from(this.#out.subarray(this.#taken, this.position))
    this.#taken = 0
    this.position = 0
    this.#reserved = 0
    return bytes
  }
}

export const SERVER_OPTIONS: ServerCodecOptions = {
  maxHeadBytes: 65536,
  maxHeaders: 100,
  maxUriBytes: 16384,
  maxBodyBytes: 0,
  maxFrameBytes: 0,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  forwarded: 'off',
  operationPath: '/mgw.htm',
  trusted: true,
  maxStreams: 1,
  cell: 'RZ01A',
  boltGoAway: false,
}

export const CLIENT_OPTIONS: ClientCodecOptions = {
  maxHeadBytes: 65536,
  maxHeaders: 100,
  maxBodyBytes: 0,
  maxFrameBytes: 0,
  idleTimeoutMs: 30_000,
  maxStreams: 1,
  maxRequests: 0,
  cell: 'RZ01A',
  heartbeatMs: 0,
  app: '',
}

const listener = { name: 'in', trusted: true } as ListenerInfo
export const CONTEXT: ServerContext = { listener, timeouts: { onExchangeTimer() {} } }

/** All headers as `name: value` pairs. */
export function headerList(headers: Headers): string[] {
  const list: string[] = []
  headers.forEach((name, value) => {
    list.push(`${name}: ${value}`)
  })
  return list
}

/** Writes down what a server codec reports, and does what `onHead` and `onLast` say. */
export class ServerLog implements DownstreamHandler {
  readonly events: string[] = []
  readonly exchanges: Exchange[] = []
  readonly wire: FakeWire
  readonly server: Http1Server
  onHead: (exchange: Exchange, last: boolean) => void = () => {}
  /** Called when the request is complete. */
  onLast: (exchange: Exchange) => void = () => {}
  #body: Buffer[] = []

  constructor(options: Partial<ServerCodecOptions> = {}, wire: FakeWire = new FakeWire()) {
    this.wire = wire
    this.server = new Http1Server(wire, { ...SERVER_OPTIONS, ...options }, this, CONTEXT)
    wire.codec = this.server
  }

  get exchange(): Exchange {
    return this.exchanges.at(-1) as Exchange
  }

  onRequest(exchange: Exchange, last: boolean): void {
    const { request } = exchange
    const target = request.query === '' ? request.path : `${request.path}?${request.query}`
    const operation = request.operation === '' ? '' : ` operation=${request.operation}`
    this.events.push(
      `${request.method} ${target} @${request.authority} body=${request.bodyLength}${operation}`,
    )
    for (const header of headerList(request.headers)) this.events.push(`  ${header}`)
    this.exchanges.push(exchange)
    this.#body = []
    this.onHead(exchange, last)
    if (last) this.#end(exchange)
  }

  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    this.#body.push(Buffer.from(bytes.subarray(offset, end)))
    if (last) this.#end(exchange)
  }

  onRequestTrailers(exchange: Exchange, trailers: Headers): void {
    const list = headerList(trailers)
    this.#end(exchange, list)
  }

  #end(exchange: Exchange, trailers: string[] = []): void {
    const body = Buffer.concat(this.#body).toString('latin1')
    this.#body = []
    this.events.push(body === '' ? 'end' : `end ${JSON.stringify(body)}`)
    for (const trailer of trailers) this.events.push(`  ${trailer}`)
    this.onLast(exchange)
  }

  /** Body bytes that came and were not yet logged with their end. */
  get partialBody(): string {
    return Buffer.concat(this.#body).toString('latin1')
  }

  onDownstreamDrain(): void {
    this.events.push('drain')
  }

  onDownstreamFailed(exchange: Exchange, error: GatewayError, canReply: boolean): void {
    this.events.push(`failed ${error.code}${canReply ? ' may reply' : ''}`)
    if (canReply) {
      const reply = exchange.downstream.errorReply(error)
      exchange.downstream.sendResponse(reply, reply.body.length === 0)
      exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
    }
    finish(exchange)
  }

  onProtocolError(error: GatewayError, _peer: PeerInfo, status: number): void {
    this.events.push(`refused ${error.code} ${status}`)
  }
}

/** Ends an exchange as the dispatcher does. */
export function finish(exchange: Exchange): void {
  exchange.state = ExchangeState.Finished
  exchange.request.release()
  exchange.response?.release()
  exchange.downstream.finish()
}

/** Answers with a response of the gateway's own. */
export function answer(
  exchange: Exchange,
  status: number,
  body = '',
  headers: Record<string, string> = {},
): void {
  const bytes = Buffer.from(body)
  const reply = exchange.downstream.localReply(status, 1000, bytes)
  for (const [name, value] of Object.entries(headers)) reply.headers.set(name, value)
  exchange.downstream.sendResponse(reply, bytes.length === 0)
  if (bytes.length > 0) exchange.downstream.sendBody(bytes, 0, bytes.length, true)
  finish(exchange)
}

/**
 * The two codecs joined by the least that a dispatcher does: what the server reports goes out by the client and back.
 * `down` is the caller's wire, `up` the business process's.
 */
export class MiniProxy implements DownstreamHandler, UpstreamHandler, ClientOwner {
  readonly down = new FakeWire()
  readonly server: Http1Server
  up: FakeWire = new FakeWire()
  client: Http1Client
  readonly events: string[] = []
  /** Changes a request or response before it is forwarded. */
  onRequestHead: (exchange: Exchange) => void = () => {}
  onResponseHead: (exchange: Exchange, response: ResponseHead) => void = () => {}
  requests = 0
  readonly #clientOptions: ClientCodecOptions

  constructor(options: Partial<ServerCodecOptions> = {}, clientOptions: Partial<ClientCodecOptions> = {}) {
    this.#clientOptions = { ...CLIENT_OPTIONS, ...clientOptions }
    this.server = new Http1Server(this.down, { ...SERVER_OPTIONS, ...options }, this, CONTEXT)
    this.down.codec = this.server
    this.client = this.#dial()
  }

  #dial(): Http1Client {
    this.up = new FakeWire()
    this.client = new Http1Client(this.up, this.#clientOptions, this, this)
    this.up.codec = this.client
    return this.client
  }

  onCapacity(): void {}

  onRequest(exchange: Exchange, last: boolean): void {
    this.requests++
    exchange.endpoint = '127.0.0.1:9000'
    exchange.requestEnded = last
    this.onRequestHead(exchange)
    const client = this.client.capacity > 0 ? this.client : this.#dial()
    exchange.upstream = client.open(exchange)
    exchange.state = ExchangeState.Awaiting
    exchange.upstream.sendRequest(exchange.request, last)
  }

  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (last) exchange.requestEnded = true
    exchange.upstream?.sendBody(bytes, offset, end, last)
    if (last && exchange.response !== null && this.#isAnswered) this.#finish(exchange)
  }

  onRequestTrailers(exchange: Exchange, trailers: Headers): void {
    exchange.requestEnded = true
    exchange.upstream?.sendTrailers(trailers)
  }

  onDownstreamDrain(exchange: Exchange): void {
    exchange.upstream?.resume()
  }

  onDownstreamFailed(exchange: Exchange, error: GatewayError, canReply: boolean): void {
    this.events.push(`downstream ${error.code}`)
    exchange.upstream?.cancel()
    exchange.upstream = null
    if (canReply) this.#reply(exchange, error)
    this.#finish(exchange)
  }

  onProtocolError(error: GatewayError, _peer: PeerInfo, status: number): void {
    this.events.push(`refused ${error.code} ${status}`)
  }

  onUpstreamReady(_exchange: Exchange, _stream: UpstreamStream): void {}

  onInformational(exchange: Exchange, response: ResponseHead): void {
    exchange.downstream.sendInformational(response)
  }

  #isAnswered = false

  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void {
    exchange.response = response
    exchange.state = ExchangeState.Responding
    this.#isAnswered = last
    if (response.status === 101) exchange.requestEnded = false
    this.onResponseHead(exchange, response)
    exchange.downstream.sendResponse(response, last)
    if (last) this.#finish(exchange)
  }

  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (last) this.#isAnswered = true
    exchange.downstream.sendBody(bytes, offset, end, last)
    if (last && (exchange.response?.status !== 101 || exchange.requestEnded)) this.#finish(exchange)
  }

  onResponseTrailers(exchange: Exchange, trailers: Headers): void {
    exchange.downstream.sendTrailers(trailers)
    this.#finish(exchange)
  }

  onUpstreamDrain(exchange: Exchange): void {
    exchange.downstream.resume()
  }

  onUpstreamFailed(exchange: Exchange, error: GatewayError): void {
    this.events.push(`upstream ${error.code}`)
    exchange.upstream = null
    if (exchange.state >= ExchangeState.Responding) exchange.downstream.reset(error)
    else this.#reply(exchange, error)
    this.#finish(exchange)
  }

  #reply(exchange: Exchange, error: GatewayError): void {
    const reply = exchange.downstream.errorReply(error)
    exchange.downstream.sendResponse(reply, reply.body.length === 0)
    exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
  }

  #finish(exchange: Exchange): void {
    if (exchange.state === ExchangeState.Finished) return
    exchange.upstream?.cancel()
    exchange.upstream = null
    finish(exchange)
  }
}

/** The ways to cut bytes into reads: whole, in two at every point, and byte by byte. */
export function* cuts(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes]
  for (let i = 1; i < bytes.length; i++) yield [bytes.subarray(0, i), bytes.subarray(i)]
  yield Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
}
