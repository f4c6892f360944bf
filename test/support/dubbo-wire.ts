/** Dubbo frames as objects, the captured ones, and a relay that stands between both codecs as the dispatcher does. */
import { readdirSync, readFileSync } from 'node:fs'
import type {
  ClientCodecOptions,
  ClientOwner,
  DownstreamHandler,
  LocalReply,
  ServerCodecOptions,
  UpstreamHandler,
} from '../../lib/core/codec.ts'
import { GatewayError } from '../../lib/core/errors.ts'
import { type Exchange, ExchangeState } from '../../lib/core/exchange.ts'
import type { ResponseHead } from '../../lib/core/message.ts'
import type { Route, Translation } from '../../lib/core/route.ts'
import { DubboClient } from '../../lib/protocols/dubbo/client.ts'
import { DubboServer } from '../../lib/protocols/dubbo/server.ts'
import { CLIENT_OPTIONS, CONTEXT, FakeWire, feed, SERVER_OPTIONS } from './mmtp-wire.ts'

export { CONTEXT, FakeWire, feed }

const FOLDER = new URL('../vectors/dubbo/', import.meta.url)
const MAX_FRAME = 8 * 1024 * 1024

/** A frame in readable form. */
export interface DubboFrame {
  readonly flag: number
  readonly status: number
  /** 16 hex digits. */
  readonly id: string
  readonly body: Buffer
}

/** Every captured frame by file name without `.bin`, e.g. `echo.req`. */
export function vectors(): Map<string, Buffer> {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.bin'))
  return new Map(files.map((file) => [file.slice(0, -4), readFileSync(new URL(file, FOLDER))]))
}

/** Cuts sent bytes into frames; throws when they do not end with one. */
export function parseFrames(bytes: Buffer): DubboFrame[] {
  const frames: DubboFrame[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes.readUInt16BE(at) !== 0xdabb)
      throw new Error(`no frame at ${at}: ${bytes.toString('hex', at, at + 16)}`)
    const end = at + 16 + bytes.readInt32BE(at + 12)
    if (end > bytes.length || end < at + 16) throw new Error(`frame at ${at} is cut off`)
    frames.push({
      flag: bytes[at + 2],
      status: bytes[at + 3],
      id: bytes.toString('hex', at + 4, at + 12),
      body: bytes.subarray(at + 16, end),
    })
    at = end
  }
  return frames
}

/** Makes a frame; `id` in up to 16 hex digits. */
export function frame(flag: number, status: number, id: string, body: Buffer | string): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'hex') : body
  const header = Buffer.alloc(16)
  header.writeUInt16BE(0xdabb, 0)
  header[2] = flag
  header[3] = status
  header.write(id.padStart(16, '0'), 4, 'hex')
  header.writeUInt32BE(bytes.length, 12)
  return Buffer.concat([header, bytes])
}

/** A hessian string of up to 1023 ASCII characters. */
export function text(value: string): Buffer {
  const head = value.length < 32 ? [value.length] : [0x30 | (value.length >> 8), value.length & 255]
  return Buffer.concat([Buffer.from(head), Buffer.from(value, 'latin1')])
}

/** An untyped hessian map of strings. */
export function map(entries: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(entries).flatMap(([key, value]) => [text(key), text(value)])
  return Buffer.concat([Buffer.from([0x48]), ...pairs, Buffer.from([0x5a])])
}

/** The body of a hessian2 request. `rest` is arguments and attachments. */
export function call(
  path: string,
  version: string,
  method: string,
  descriptor: string,
  ...rest: Buffer[]
): Buffer {
  return Buffer.concat([...['2.0.2', path, version, method, descriptor].map(text), ...rest])
}

/** The call of the protocol's documentation: `a.B:1.0.0#hi("bob")`, with these attachments behind it. */
export function hi(attachments: Buffer = map({ interface: 'a.B', path: 'a.B', version: '1.0.0' })): Buffer {
  return call('a.B', '1.0.0', 'hi', 'Ljava/lang/String;', text('bob'), attachments)
}

/** What a test's route changes. */
export function routeTo(to: Partial<Translation>, timeoutMs = 0): Route {
  const translation = {
    operation: '',
    method: '',
    path: '',
    service: '',
    version: '',
    group: '',
    call: null,
    ...to,
  }
  return { name: 'r', index: 0, timeoutMs, translation } as unknown as Route
}

/** One exchange as the relay saw it. */
export interface Seen {
  readonly exchange: Exchange
  /** The caller was told of a failure that ended the exchange without an answer. */
  gone: GatewayError | null
  failure: GatewayError | null
  response: ResponseHead | null
}

/**
 * A server codec and a client codec with the least of a dispatcher between them. Requests go upstream, unless
 * `forwards` is false or `onRequestHook` answered.
 */
export class Relay implements DownstreamHandler, UpstreamHandler, ClientOwner {
  readonly down = new FakeWire()
  readonly up = new FakeWire()
  readonly server: DubboServer
  readonly client: DubboClient
  readonly seen: Seen[] = []
  readonly protocolErrors: { error: GatewayError; status: number }[] = []
  forwards = true
  route: Route | null = null
  capacityCalls = 0
  /** What filters do. */
  hook: ((exchange: Exchange) => void) | null = null
  responseHook: ((exchange: Exchange, response: ResponseHead) => void) | null = null

  constructor(server: Partial<ServerCodecOptions> = {}, client: Partial<ClientCodecOptions> = {}) {
    const serverOptions = { ...SERVER_OPTIONS, maxFrameBytes: MAX_FRAME, ...server }
    const clientOptions = { ...CLIENT_OPTIONS, maxFrameBytes: MAX_FRAME, idleTimeoutMs: 0, ...client }
    this.server = new DubboServer(this.down, serverOptions, this, CONTEXT)
    this.client = new DubboClient(this.up, clientOptions, this, this)
  }

  /** Feeds bytes from the caller; returns what went upstream. */
  request(bytes: Buffer): DubboFrame[] {
    feed(this.server, bytes)
    return parseFrames(this.up.take())
  }

  /** Feeds bytes from the provider; returns what went to the caller. */
  answer(bytes: Buffer): DubboFrame[] {
    feed(this.client, bytes)
    return parseFrames(this.down.take())
  }

  /** Frames that went to the caller. */
  sent(): DubboFrame[] {
    return parseFrames(this.down.take())
  }

  last(): Seen {
    const seen = this.seen.at(-1)
    if (seen === undefined) throw new Error('no exchange was reported')
    return seen
  }

  onRequest(exchange: Exchange, last: boolean): void {
    this.seen.push({ exchange, gone: null, failure: null, response: null })
    exchange.route = this.route
    exchange.translation = this.route?.translation ?? null
    this.hook?.(exchange)
    if (exchange.state === ExchangeState.Finished || !this.forwards) return
    exchange.state = ExchangeState.Awaiting
    if (this.client.capacity === 0) {
      this.fail(exchange, new GatewayError('UPSTREAM_OVERFLOW'))
      return
    }
    exchange.upstream = this.client.open(exchange)
    exchange.upstream.sendRequest(exchange.request, last)
  }

  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    if (end > bytes.length) throw new Error('range past its buffer')
    exchange.upstream?.sendBody(bytes, offset, end, last)
  }

  onRequestTrailers(): void {
    throw new Error('Dubbo has no trailers')
  }
  onDownstreamDrain(): void {}

  onDownstreamFailed(exchange: Exchange, error: GatewayError): void {
    this.#of(exchange).gone = error
    exchange.upstream?.cancel()
    this.finish(exchange)
  }

  onProtocolError(error: GatewayError, _peer: unknown, status: number): void {
    this.protocolErrors.push({ error, status })
  }

  onUpstreamReady(): void {
    throw new Error('not reported by a codec')
  }
  onInformational(): void {
    throw new Error('Dubbo has no interim responses')
  }
  onUpstreamDrain(): void {}

  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void {
    const seen = this.#of(exchange)
    if (seen.response !== null) throw new Error('second response')
    seen.response = response
    exchange.response = response
    this.responseHook?.(exchange, response)
    exchange.state = ExchangeState.Responding
    if (this.server.isOver) return
    const body = (response as LocalReply).body as Buffer | undefined
    exchange.downstream.sendResponse(response, last && (body === undefined || body.length === 0))
    if (body !== undefined && body.length > 0) exchange.downstream.sendBody(body, 0, body.length, true)
    if (last) this.finish(exchange)
  }

  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    exchange.downstream.sendBody(bytes, offset, end, last)
    if (last) this.finish(exchange)
  }

  onResponseTrailers(): void {
    throw new Error('Dubbo has no trailers')
  }

  onUpstreamFailed(exchange: Exchange, error: GatewayError): void {
    this.#of(exchange).failure = error
    exchange.upstream = null
    this.fail(exchange, error)
  }

  onCapacity(): void {
    this.capacityCalls++
  }

  /** Answers with the failure. */
  fail(exchange: Exchange, error: GatewayError): void {
    this.reply(exchange, exchange.downstream.errorReply(error))
  }

  /** Answers with a response of our own. */
  reply(exchange: Exchange, reply: LocalReply): void {
    exchange.upstream?.cancel()
    exchange.downstream.sendResponse(reply, reply.body.length === 0)
    if (reply.body.length > 0) exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
    this.finish(exchange)
  }

  finish(exchange: Exchange): void {
    if (exchange.state === ExchangeState.Finished) return
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    exchange.response?.release()
    exchange.downstream.finish()
  }

  finishAll(): void {
    for (const { exchange } of this.seen) {
      exchange.upstream?.cancel()
      this.finish(exchange)
    }
  }

  #of(exchange: Exchange): Seen {
    const seen = this.seen.find((one) => one.exchange === exchange)
    if (seen === undefined) throw new Error('unknown exchange')
    return seen
  }
}
