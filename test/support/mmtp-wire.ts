/** A wire without a socket, handlers that keep a record, and frames as objects: what tests of the Mmtp codec need. */
import type {
  ClientCodec,
  ClientCodecOptions,
  ClientOwner,
  DownstreamHandler,
  ServerCodecOptions,
  ServerContext,
  UpstreamHandler,
  UpstreamStream,
  Wire,
} from '../../lib/core/codec.ts'
import type { GatewayError } from '../../lib/core/errors.ts'
import { Exchange, ExchangeState } from '../../lib/core/exchange.ts'
import type { RequestHead, ResponseHead } from '../../lib/core/message.ts'
import { MmtpClient } from '../../lib/protocols/mmtp/client.ts'
import { MmtpServer } from '../../lib/protocols/mmtp/server.ts'
import { Settings } from '../../lib/protocols/mmtp/settings.ts'

const BATCH_BYTES = 64 * 1024

/** A frame in readable form. */
export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly routeLength: number
  readonly hops: number
  readonly encoding: number
  readonly meta: Buffer
  readonly body: Buffer
}

/** Output gathers in `sent`; time stands still unless `clock` is moved. */
export class FakeWire implements Wire {
  position = 0
  readonly peer = { remoteAddress: '127.0.0.1', remotePort: 5, localAddress: '127.0.0.1', localPort: 6 }
  isWritable = true
  queuedBytes = 0
  clock = 1000
  timerMs = 0
  /** What was done to the connection: `close`, `end`, `destroy`, `pause`, `resume`. */
  readonly events: string[] = []
  readonly #flushed: Buffer[] = []
  #batch = Buffer.alloc(BATCH_BYTES)

  reserve(length: number): Buffer {
    if (this.position + length > this.#batch.length) this.flush(length)
    return this.#batch
  }

  write(bytes: Buffer, offset: number, end: number): void {
    this.reserve(end - offset)
    bytes.copy(this.#batch, this.position, offset, end)
    this.position += end - offset
  }

  lend(bytes: Buffer, offset: number, end: number): void {
    this.flush(0)
    this.#flushed.push(Buffer.from(bytes.subarray(offset, end)))
  }

  /** What the loop does at the end of a turn. */
  flush(room = 0): void {
    if (this.position > 0) this.#flushed.push(this.#batch.subarray(0, this.position))
    this.#batch = Buffer.alloc(Math.max(BATCH_BYTES, room))
    this.position = 0
  }

  /** Everything sent since the last call. */
  take(): Buffer {
    this.flush()
    return Buffer.concat(this.#flushed.splice(0))
  }

  frames(): Frame[] {
    return parseFrames(this.take())
  }

  get isClosed(): boolean {
    return this.events.includes('close') || this.events.includes('destroy')
  }

  pauseRead(): void {
    this.events.push('pause')
  }
  resumeRead(): void {
    this.events.push('resume')
  }
  end(): void {
    this.events.push('end')
  }
  close(): void {
    this.events.push('close')
  }
  destroy(): void {
    this.events.push('destroy')
  }
  setTimer(delayMs: number): void {
    this.timerMs = delayMs
  }
  now(): number {
    return this.clock
  }
}

/** Cuts sent bytes into frames; throws when they do not end with one. */
export function parseFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== 0xcd) throw new Error(`no frame at ${at}: ${bytes.toString('hex', at, at + 16)}`)
    const metaEnd = at + 16 + bytes.readUInt16BE(at + 8)
    const end = metaEnd + bytes.readUInt32BE(at + 12)
    if (end > bytes.length) throw new Error(`frame at ${at} is cut off`)
    frames.push({
      type: bytes[at + 1] as number,
      flags: bytes.readUInt16BE(at + 2),
      id: bytes.readUInt32BE(at + 4),
      routeLength: bytes[at + 10] as number,
      hops: (bytes[at + 11] as number) & 15,
      encoding: (bytes[at + 11] as number) >> 4,
      meta: bytes.subarray(at + 16, metaEnd),
      body: bytes.subarray(metaEnd, end),
    })
    at = end
  }
  return frames
}

/** Makes a frame. `routeLength` counts from the start of `meta`. */
export function frame(
  type: number,
  flags: number,
  id: number,
  body: Buffer | string = '',
  meta: Buffer | string = '',
  routeLength = 0,
  hopsAndEncoding = 0,
): Buffer {
  const metaBytes = Buffer.from(meta)
  const bodyBytes = Buffer.from(body)
  const header = Buffer.alloc(16)
  header[0] = 0xcd
  header[1] = type
  header.writeUInt16BE(flags, 2)
  header.writeUInt32BE(id, 4)
  header.writeUInt16BE(metaBytes.length, 8)
  header[10] = routeLength
  header[11] = hopsAndEncoding
  header.writeUInt32BE(bodyBytes.length, 12)
  return Buffer.concat([header, metaBytes, bodyBytes])
}

/** What a REQUEST made by {@link request} may say. */
export interface RequestParts {
  readonly flags?: number
  readonly body?: Buffer | string
  readonly operation?: string
  readonly budgetMs?: number
  readonly shard?: number
  readonly marks?: number
  readonly opKind?: number
  readonly hops?: number
  readonly encoding?: number
  readonly block?: Buffer
}

/** Makes a REQUEST frame; END unless `flags` say otherwise. */
export function request(id: number, parts: RequestParts = {}): Buffer {
  const operation = parts.operation ?? 'demo.echo'
  const prefix = Buffer.alloc(8)
  prefix.writeUInt32BE(parts.budgetMs ?? 0, 0)
  prefix.writeUInt16BE(parts.shard ?? 0xffff, 4)
  prefix[6] = parts.marks ?? 0
  prefix[7] = parts.opKind ?? 0
  const meta = Buffer.concat([prefix, Buffer.from(operation), parts.block ?? Buffer.alloc(0)])
  const hopsAndEncoding = ((parts.encoding ?? 0) << 4) | (parts.hops ?? 5)
  return frame(0x10, parts.flags ?? 1, id, parts.body ?? '', meta, 8 + operation.length, hopsAndEncoding)
}

/** Makes a RESPONSE frame; END unless `flags` say otherwise. */
export function response(
  id: number,
  status: number,
  body: Buffer | string = '',
  flags = 1,
  block: Buffer = Buffer.alloc(0),
): Buffer {
  const prefix = Buffer.alloc(8)
  prefix.writeUInt16BE(status, 0)
  prefix[2] = 1
  return frame(0x11, flags, id, body, Buffer.concat([prefix, block]), 8)
}

/** A header block of literal entries; a name given as a number is static. */
export function block(entries: readonly (readonly [name: string | number, value: string])[]): Buffer {
  const parts = entries.map(([name, value]) => {
    const bytes = Buffer.from(value)
    const head =
      typeof name === 'number'
        ? Buffer.from([0x40 | name])
        : Buffer.concat([Buffer.from([0x7f, name.length]), Buffer.from(name)])
    const length =
      bytes.length < 128
        ? Buffer.from([bytes.length])
        : Buffer.from([0x80 | (bytes.length >> 8), bytes.length & 255])
    return Buffer.concat([head, length, bytes])
  })
  return Buffer.concat(parts)
}

/** HELLO or HELLO_ACK with VERSION only, and further TLVs as given. */
export function hello(type: number, tlvs: Buffer = Buffer.alloc(0)): Buffer {
  return frame(type, 0, 0, '', Buffer.concat([Buffer.from('0001000400010001', 'hex'), tlvs]))
}

/** One TLV. */
export function tlv(id: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt16BE(id, 0)
  head.writeUInt16BE(value.length, 2)
  return Buffer.concat([head, value])
}

/** A TLV with a number of four bytes. */
export function tlv32(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return tlv(id, bytes)
}

/** One exchange as the fake dispatcher saw it. */
export interface Seen {
  readonly exchange: Exchange
  readonly id: number
  body: string
  bodyLength: number
  isComplete: boolean
  failure: GatewayError | null
  canReply: boolean
  drains: number
  /** Headers, read while they were valid. */
  readonly headers: Record<string, string>
}

/** Keeps what a server codec reports. Exchanges stay open until {@link RecordingDownstream.finish}. */
export class RecordingDownstream implements DownstreamHandler {
  readonly seen: Seen[] = []
  readonly protocolErrors: GatewayError[] = []
  readonly statuses: number[] = []
  /** Called for every complete request. */
  onComplete: ((exchange: Exchange) => void) | null = null

  onRequest(exchange: Exchange, last: boolean): void {
    const headers: Record<string, string> = {}
    exchange.request.headers.forEach((name, value) => {
      headers[name] = value
    })
    const id = (exchange.downstream as unknown as { id: number }).id
    this.seen.push({
      exchange,
      id,
      body: '',
      bodyLength: 0,
      isComplete: last,
      failure: null,
      canReply: false,
      drains: 0,
      headers,
    })
    if (last) this.onComplete?.(exchange)
  }

  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    const seen = this.of(exchange)
    if (seen.isComplete) throw new Error('body after its end')
    if (bytes.length < end) throw new Error('range past its buffer')
    seen.bodyLength += end - offset
    if (seen.bodyLength < 100_000) seen.body += bytes.toString('latin1', offset, end)
    seen.isComplete = last
    if (last) this.onComplete?.(exchange)
  }

  onRequestTrailers(): void {
    throw new Error('Mmtp has no trailers')
  }

  onDownstreamDrain(exchange: Exchange): void {
    this.of(exchange).drains++
  }

  onDownstreamFailed(exchange: Exchange, error: GatewayError, canReply: boolean): void {
    const seen = this.of(exchange)
    seen.failure = error
    seen.canReply = canReply
    if (!canReply) {
      this.finish(exchange)
      return
    }
    const reply = exchange.downstream.errorReply(error)
    exchange.downstream.sendResponse(reply, reply.body.length === 0)
    this.finish(exchange)
  }

  onProtocolError(error: GatewayError, _peer: unknown, status: number): void {
    this.protocolErrors.push(error)
    this.statuses.push(status)
  }

  of(exchange: Exchange): Seen {
    const seen = this.seen.find((one) => one.exchange === exchange)
    if (seen === undefined) throw new Error('unknown exchange')
    return seen
  }

  finish(exchange: Exchange): void {
    if (exchange.state === ExchangeState.Finished) return
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    exchange.downstream.finish()
  }

  finishAll(): void {
    for (const { exchange } of this.seen) this.finish(exchange)
  }
}

/** One response as the fake dispatcher saw it. */
export interface Answer {
  readonly exchange: Exchange
  head: ResponseHead | null
  status: number
  headers: Record<string, string>
  body: string
  bodyLength: number
  isComplete: boolean
  failure: GatewayError | null
  drains: number
}

/** Keeps what a client codec reports. */
export class RecordingUpstream implements UpstreamHandler, ClientOwner {
  readonly answers = new Map<Exchange, Answer>()
  capacityCalls = 0

  expect(exchange: Exchange): Answer {
    const answer: Answer = {
      exchange,
      head: null,
      status: 0,
      headers: {},
      body: '',
      bodyLength: 0,
      isComplete: false,
      failure: null,
      drains: 0,
    }
    this.answers.set(exchange, answer)
    return answer
  }

  of(exchange: Exchange): Answer {
    const answer = this.answers.get(exchange)
    if (answer === undefined) throw new Error('unknown exchange')
    return answer
  }

  onUpstreamReady(): void {
    throw new Error('not reported by a codec')
  }
  onInformational(): void {
    throw new Error('Mmtp has no interim responses')
  }

  onResponse(exchange: Exchange, head: ResponseHead, last: boolean): void {
    const answer = this.of(exchange)
    if (answer.head !== null) throw new Error('second response')
    answer.head = head
    answer.status = head.status
    head.headers.forEach((name, value) => {
      answer.headers[name] = value
    })
    answer.isComplete = last
    if (last) this.#finish(exchange)
  }

  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    const answer = this.of(exchange)
    if (answer.isComplete) throw new Error('body after its end')
    answer.bodyLength += end - offset
    if (answer.bodyLength < 100_000) answer.body += bytes.toString('latin1', offset, end)
    answer.isComplete = last
    if (last) this.#finish(exchange)
  }

  onResponseTrailers(): void {
    throw new Error('Mmtp has no trailers')
  }
  onUpstreamDrain(exchange: Exchange): void {
    this.of(exchange).drains++
  }
  onUpstreamFailed(exchange: Exchange, error: GatewayError): void {
    this.of(exchange).failure = error
    this.#finish(exchange)
  }
  onCapacity(_codec: ClientCodec): void {
    this.capacityCalls++
  }

  #finish(exchange: Exchange): void {
    exchange.state = ExchangeState.Finished
    this.of(exchange).head?.release()
  }
}

const STATS = {
  requests: 0,
  active: 0,
  responses: [],
  errors: 0,
  bytesIn: 0,
  bytesOut: 0,
  duration: { record: () => undefined },
}

/** For codecs that make exchanges. */
export const CONTEXT: ServerContext = {
  listener: { name: 'test', stats: STATS, trusted: true },
  timeouts: { onExchangeTimer: () => undefined },
}

export const SERVER_OPTIONS: ServerCodecOptions = {
  maxHeadBytes: 65_536,
  maxHeaders: 100,
  maxUriBytes: 16_384,
  maxBodyBytes: 0,
  maxFrameBytes: 0,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  forwarded: 'append',
  operationPath: '/mgw.htm',
  trusted: true,
  maxStreams: 128,
  cell: '',
  boltGoAway: false,
}

export const CLIENT_OPTIONS: ClientCodecOptions = {
  maxHeadBytes: 65_536,
  maxHeaders: 100,
  maxBodyBytes: 0,
  maxFrameBytes: 0,
  idleTimeoutMs: 30_000,
  maxStreams: 128,
  maxRequests: 0,
  cell: '',
  heartbeatMs: 0,
  app: '',
}

/** A server codec on a fake wire. */
export interface ServerRig {
  readonly wire: FakeWire
  readonly handler: RecordingDownstream
  readonly codec: MmtpServer
}

/** An acceptor that announces the defaults, so that limits are those of the vectors; `isOpen` when HELLO and HELLO_ACK are done. */
export function serverRig(
  isOpen = true,
  options: Partial<ServerCodecOptions> = {},
  own: Settings = new Settings(),
): ServerRig {
  const wire = new FakeWire()
  const handler = new RecordingDownstream()
  const codec = new MmtpServer(wire, { ...SERVER_OPTIONS, ...options }, handler, CONTEXT, own)
  if (isOpen) feed(codec, hello(0x01))
  if (isOpen) wire.take()
  return { wire, handler, codec }
}

/** A client codec on a fake wire. */
export interface ClientRig {
  readonly wire: FakeWire
  readonly handler: RecordingUpstream
  readonly codec: MmtpClient
}

/** A dialler; `isOpen` when HELLO_ACK was read. */
export function clientRig(
  isOpen = true,
  options: Partial<ClientCodecOptions> = {},
  own?: Settings,
): ClientRig {
  const wire = new FakeWire()
  const handler = new RecordingUpstream()
  const codec = new MmtpClient(wire, { ...CLIENT_OPTIONS, ...options }, handler, handler, own)
  if (isOpen) feed(codec, hello(0x02))
  if (isOpen) wire.take()
  return { wire, handler, codec }
}

/** Hands bytes to a codec from a buffer that is overwritten afterwards, as a read slab is. */
export function feed(
  codec: { onBytes(bytes: Buffer, offset: number, end: number): void },
  bytes: Buffer,
): void {
  const slab = Buffer.concat([Buffer.alloc(3, 0xee), bytes, Buffer.alloc(5, 0xee)])
  codec.onBytes(slab, 3, 3 + bytes.length)
  slab.fill(0xdd)
}

/** An exchange for a request that goes upstream. */
export function exchangeFor(head: RequestHead, startMs = 1000): Exchange {
  const downstream = {} as Exchange['downstream']
  const peer = { remoteAddress: '', remotePort: 0, localAddress: '', localPort: 0 }
  return new Exchange(head, downstream, peer, CONTEXT.listener, startMs, CONTEXT.timeouts)
}

/** Sends a request through a client codec, with a body when one is given. */
export function send(
  rig: ClientRig,
  head: RequestHead,
  body: string | null = null,
): { exchange: Exchange; stream: UpstreamStream; answer: Answer } {
  const exchange = exchangeFor(head)
  const answer = rig.handler.expect(exchange)
  const stream = rig.codec.open(exchange)
  stream.sendRequest(head, body === null)
  if (body !== null) {
    const bytes = Buffer.from(body)
    stream.sendBody(bytes, 0, bytes.length, true)
  }
  return { exchange, stream, answer }
}
