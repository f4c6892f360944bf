/** A small Mmtp server: lets a business process, an example or a test answer calls. */
import type { DownstreamHandler, PeerInfo, ServerCodecOptions } from './core/codec.ts'
import type { GatewayError } from './core/errors.ts'
import { type Exchange, ExchangeState } from './core/exchange.ts'
import { LISTENER, plainHeaders, sharedContext, TIMEOUTS } from './mmtp-shared.ts'
import { Acceptor } from './net/acceptor.ts'
import { parseAddress } from './net/address.ts'
import type { Connection } from './net/connection.ts'
import { DECODABLE, decodeBody } from './protocols/mmtp/body.ts'
import { Origin } from './protocols/mmtp/constants.ts'
import type { MmtpRequest } from './protocols/mmtp/request.ts'
import { OutgoingResponse } from './protocols/mmtp/response.ts'
import { MmtpServer, serverSettings } from './protocols/mmtp/server.ts'
import { Role } from './protocols/mmtp/settings.ts'

const SUCCESS = 1000
const MALFORMED = 3002
const BUSINESS_EXCEPTION = 6666
const IDLE_MS = 240_000
const MAX_BODY_BYTES = 64 * 1024 * 1024
const MAX_STREAMS = 4096
const MAX_CONNECTIONS = 10_000
const CLOSE_GRACE_MS = 5_000
const MAX_MEMO_BYTES = 512

/** One call, as the handler sees it. */
export interface IncomingCall {
  readonly operation: string
  readonly headers: Readonly<Record<string, string>>
  /** Decoded when it came with a body encoding. */
  readonly body: Buffer
  /** Milliseconds that the caller still waits; 0 when it did not say. */
  readonly budgetMs: number
  readonly shard: number
  readonly isIdempotent: boolean
  readonly isOneWay: boolean
  readonly peer: PeerInfo
  /** Aborted when the caller cancels or vanishes. Made when it is asked for. */
  readonly signal: AbortSignal
}

/** An answer; a bare string or Buffer is the body of a successful one. */
export interface MmtpAnswer {
  /** 1000 unless given. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  readonly retryAfterMs?: number
}

/** How to serve. */
export interface MmtpServeOptions {
  /** `host:port` (port 0 picks a free one) or `unix:/path`. */
  readonly address: string
  /** Answers a call. What it throws becomes status 6666 with the message in `result-memo`. */
  readonly handler: (
    call: IncomingCall,
  ) => Promise<MmtpAnswer | Buffer | string> | MmtpAnswer | Buffer | string
  /** Calls at once on one connection; 4,096 unless given. */
  readonly maxStreams?: number
  /** Longest body of a call, in bytes; 64 MiB unless given. */
  readonly maxBodyBytes?: number
}

/** A server that listens. */
export interface MmtpListener {
  /** Where it listens, with the real port. */
  readonly address: string
  /** Open connections. */
  readonly connections: number
  /** Lets running calls finish, five seconds at most, then closes every connection. */
  close(): Promise<void>
}

/** Listens on `options.address` and answers calls. Rejects when it cannot listen. */
export async function serveMmtp(options: MmtpServeOptions): Promise<MmtpListener> {
  const server = new Server(options)
  await server.acceptor.listen()
  return server
}

/** What is kept of a call while it runs. */
class Running {
  readonly startMs: number
  chunks: Buffer[] = []
  controller: AbortController | null = null
  isGone = false

  constructor(startMs: number) {
    this.startMs = startMs
  }
}

class Call implements IncomingCall {
  readonly operation: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly budgetMs: number
  readonly shard: number
  readonly isIdempotent: boolean
  readonly isOneWay: boolean
  readonly peer: PeerInfo
  readonly #running: Running

  constructor(exchange: Exchange, running: Running, body: Buffer) {
    const request = exchange.request as MmtpRequest
    this.operation = request.operation
    this.headers = plainHeaders(request.headers)
    this.body = body
    this.budgetMs = request.budgetMs
    this.shard = request.shard
    this.isIdempotent = request.isIdempotent
    this.isOneWay = request.isOneWay
    this.peer = exchange.peer
    this.#running = running
  }

  get signal(): AbortSignal {
    const running = this.#running
    running.controller ??= new AbortController()
    if (running.isGone) running.controller.abort()
    return running.controller.signal
  }
}

class Server implements MmtpListener, DownstreamHandler {
  readonly acceptor: Acceptor
  readonly #options: MmtpServeOptions
  readonly #codecOptions: ServerCodecOptions

  constructor(options: MmtpServeOptions) {
    this.#options = options
    this.#codecOptions = {
      maxHeadBytes: 0,
      maxHeaders: 0,
      maxUriBytes: 0,
      maxBodyBytes: options.maxBodyBytes ?? MAX_BODY_BYTES,
      maxFrameBytes: 0,
      headerTimeoutMs: 0,
      idleTimeoutMs: IDLE_MS,
      forwarded: 'off',
      operationPath: '',
      trusted: true,
      maxStreams: options.maxStreams ?? MAX_STREAMS,
      cell: '',
      boltGoAway: false,
    }
    const owner = {
      createCodec: (connection: Connection) => this.#createCodec(connection),
      onRefused: () => undefined,
      onAcceptError: () => undefined,
    }
    const limits = { maxConnections: MAX_CONNECTIONS, proxyProtocol: 'off' as const, headerTimeoutMs: 0 }
    this.acceptor = new Acceptor(
      { address: parseAddress(options.address), ...limits },
      owner,
      sharedContext(),
    )
  }

  get address(): string {
    return this.acceptor.address
  }

  get connections(): number {
    return this.acceptor.connections.size
  }

  async close(): Promise<void> {
    this.acceptor.stop()
    const deadline = Date.now() + CLOSE_GRACE_MS
    for (const { codec } of this.acceptor.connections) (codec as MmtpServer | null)?.drain(CLOSE_GRACE_MS)
    while (this.connections > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5))
    for (const connection of this.acceptor.connections) connection.destroy()
  }

  #createCodec(connection: Connection): MmtpServer {
    const settings = serverSettings(this.#codecOptions)
    settings.role = Role.Business
    settings.encodings = DECODABLE
    const context = { listener: LISTENER, timeouts: TIMEOUTS }
    return new MmtpServer(connection, this.#codecOptions, this, context, settings)
  }

  onRequest(exchange: Exchange, last: boolean): void {
    exchange.drive = new Running(performance.now())
    if (last) void this.#answer(exchange)
  }

  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    ;(exchange.drive as Running).chunks.push(Buffer.from(bytes.subarray(offset, end)))
    if (last) void this.#answer(exchange)
  }

  async #answer(exchange: Exchange): Promise<void> {
    const running = exchange.drive as Running
    const { headers } = exchange.request as MmtpRequest
    let body = running.chunks.length === 1 ? (running.chunks[0] as Buffer) : Buffer.concat(running.chunks)
    running.chunks = []
    let reply: OutgoingResponse
    try {
      if (headers.encoding !== 0) {
        body = await decodeBody(headers.encoding, body, this.#codecOptions.maxBodyBytes)
        headers.remove('content-encoding')
      }
      reply = await this.#call(new Call(exchange, running, body))
    } catch (error) {
      reply = failure(MALFORMED, error)
    }
    if (exchange.state === ExchangeState.Finished) return
    reply.origin = Origin.Business
    reply.costMs = performance.now() - running.startMs
    exchange.downstream.sendResponse(reply, reply.body.length === 0)
    if (reply.body.length > 0) exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
    this.#finish(exchange)
  }

  async #call(call: Call): Promise<OutgoingResponse> {
    try {
      return replyOf(await this.#options.handler(call))
    } catch (error) {
      return failure(BUSINESS_EXCEPTION, error)
    }
  }

  onDownstreamFailed(exchange: Exchange, error: GatewayError, canReply: boolean): void {
    if (exchange.state === ExchangeState.Finished) return
    const running = exchange.drive as Running
    running.isGone = true
    running.controller?.abort(error)
    if (canReply) exchange.downstream.sendResponse(exchange.downstream.errorReply(error), true)
    this.#finish(exchange)
  }

  #finish(exchange: Exchange): void {
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    exchange.downstream.finish()
  }

  onRequestTrailers(): void {}
  /** The codec queues answers; nobody waits for room. */
  onDownstreamDrain(): void {}
  onProtocolError(): void {}
}

function replyOf(answer: MmtpAnswer | Buffer | string): OutgoingResponse {
  if (typeof answer === 'string' || Buffer.isBuffer(answer))
    return new OutgoingResponse(SUCCESS, Buffer.from(answer))
  const reply = new OutgoingResponse(answer.status ?? SUCCESS, Buffer.from(answer.body ?? ''))
  for (const name in answer.headers) reply.headers.set(name, answer.headers[name] as string)
  reply.retryAfterMs = answer.retryAfterMs ?? 0
  return reply
}

function failure(status: number, error: unknown): OutgoingResponse {
  const reply = new OutgoingResponse(status, Buffer.alloc(0))
  const text = error instanceof Error ? error.message : String(error)
  const memo = encodeURIComponent(text.toWellFormed().slice(0, MAX_MEMO_BYTES)).slice(0, MAX_MEMO_BYTES)
  reply.headers.set('result-memo', memo.replace(/%[0-9A-F]?$/, ''))
  return reply
}
