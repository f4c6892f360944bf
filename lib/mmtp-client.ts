/** A client for Mmtp: many calls at once over one connection. */
import { Queue } from './buffer/queue.ts'
import type {
  ClientCodec,
  ClientCodecOptions,
  ClientOwner,
  DownstreamStream,
  UpstreamHandler,
  UpstreamStream,
} from './core/codec.ts'
import { GatewayError } from './core/errors.ts'
import { Exchange, ExchangeState } from './core/exchange.ts'
import type { ResponseHead } from './core/message.ts'
import { LISTENER, plainHeaders, sharedContext, TIMEOUTS } from './mmtp-shared.ts'
import { parseAddress } from './net/address.ts'
import type { Connection, ConnectionOwner } from './net/connection.ts'
import { dial, isPooledDial } from './net/dial.ts'
import { DECODABLE, decodeBody } from './protocols/mmtp/body.ts'
import { clientSettings, MmtpClient } from './protocols/mmtp/client.ts'
import { RequestMark, SHARD_UNKNOWN } from './protocols/mmtp/constants.ts'
import { OutgoingRequest } from './protocols/mmtp/request.ts'
import { MmtpResponse } from './protocols/mmtp/response.ts'
import { Role } from './protocols/mmtp/settings.ts'

const CONNECT_TIMEOUT_MS = 5_000
const IDLE_MS = 30_000
const MAX_BODY_BYTES = 64 * 1024 * 1024
const MAX_STREAMS = 4096
const CLOSE_GRACE_MS = 1_000
const NO_BODY = Buffer.alloc(0)

/** How to connect. */
export interface MmtpConnectOptions {
  /** Milliseconds for the connection; 5,000 unless given. */
  readonly connectTimeoutMs?: number
  /** Milliseconds for a call that names none itself; 0 (the default) waits for ever. */
  readonly timeoutMs?: number
  /** Longest body of an answer, in bytes; 64 MiB unless given. */
  readonly maxBodyBytes?: number
}

/** What a call may say beside its operation and body. */
export interface MmtpCallOptions {
  /** Names are `[a-z0-9._-]`, at most 64 bytes. */
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds for the answer. The server is told, and the call is cancelled when they are over. */
  readonly timeoutMs?: number
  /** Wants no answer: resolves once the request is on its way, with status 1000 and origin 0. */
  readonly oneway?: boolean
  /** The call may be repeated without harm. */
  readonly idempotent?: boolean
  /** User shard 0–99. */
  readonly shard?: number
  /** Cancels the call; the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal
}

/** An answer. A `status` other than 1000 is one too: it does not reject the promise. */
export interface MmtpResult {
  readonly status: number
  /** Who made the answer: 0 unknown, 1 business, 2 sidecar, 3 access layer, 4 central gateway. */
  readonly origin: number
  readonly headers: Readonly<Record<string, string>>
  /** Decoded when it came with a body encoding. */
  readonly body: Buffer
  /** Milliseconds that the business process took, as the answer says. */
  readonly costMs: number
  /** Milliseconds to wait before trying again, 0 when the answer says nothing. */
  readonly retryAfterMs: number
}

/** A call that waits for its answer. */
class Call {
  readonly exchange: Exchange
  readonly body: Buffer
  readonly resolve: (result: MmtpResult) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal | null
  stream: UpstreamStream | null = null
  head: MmtpResponse | null = null
  headers: Record<string, string> = {}
  chunks: Buffer[] = []
  timer: NodeJS.Timeout | null = null
  onAbort: (() => void) | null = null

  constructor(
    exchange: Exchange,
    body: Buffer,
    signal: AbortSignal | null,
    resolve: (result: MmtpResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.exchange = exchange
    this.body = body
    this.signal = signal
    this.resolve = resolve
    this.reject = reject
  }
}

/**
 * Connects to `host:port` or `unix:/path` and waits for the server's greeting, which tells how many calls it takes at
 * once. Rejects with an `Error` that names the address.
 */
export function connectMmtp(address: string, options: MmtpConnectOptions = {}): Promise<MmtpCaller> {
  const target = parseAddress(address)
  return new Promise((resolve, reject) => {
    const owner = new Owner()
    const dialler = {
      onDialled: (connection: Connection) => {
        const caller = new MmtpCaller(connection, address, options)
        owner.caller = caller
        caller.whenGreeted.then(() => resolve(caller), reject)
      },
      onDialFailed: (_reason: string, error: Error) =>
        reject(new GatewayError('UPSTREAM_CONNECT_FAILED', `${address}: ${error.message}`, error)),
    }
    dial(target, options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, sharedContext(), dialler, owner)
  })
}

/** Tells a caller that its connection is gone. */
class Owner implements ConnectionOwner {
  caller: MmtpCaller | null = null

  onConnectionClosed(): void {
    this.caller?.onConnectionClosed()
  }
}

/** A connected client; made by {@link connectMmtp}. */
export class MmtpCaller implements UpstreamHandler, ClientOwner {
  readonly address: string
  readonly #connection: Connection
  readonly #codec: MmtpClient
  readonly #options: MmtpConnectOptions
  readonly #maxBodyBytes: number
  readonly #calls = new Set<Call>()
  /** Calls that wait for a free stream. */
  readonly #waiting = new Queue<Call>()
  /** Settled by the server's greeting. */
  readonly whenGreeted: Promise<void>
  readonly #closed: Promise<void>
  #onGreeted: () => void = () => undefined
  #onNotGreeted: (error: GatewayError) => void = () => undefined
  #onClosed: () => void = () => undefined

  constructor(connection: Connection, address: string, options: MmtpConnectOptions) {
    this.address = address
    this.#connection = connection
    this.#options = options
    this.#maxBodyBytes = options.maxBodyBytes ?? MAX_BODY_BYTES
    this.#closed = new Promise((resolve) => {
      this.#onClosed = resolve
    })
    this.whenGreeted = new Promise((resolve, reject) => {
      this.#onGreeted = resolve
      this.#onNotGreeted = reject
    })
    const codecOptions: ClientCodecOptions = {
      maxHeadBytes: 0,
      maxHeaders: 0,
      maxBodyBytes: this.#maxBodyBytes,
      maxFrameBytes: 0,
      idleTimeoutMs: IDLE_MS,
      maxStreams: MAX_STREAMS,
      maxRequests: 0,
      cell: '',
      heartbeatMs: 0,
      app: '',
    }
    const settings = clientSettings(codecOptions)
    settings.role = Role.Client
    settings.encodings = DECODABLE
    this.#codec = new MmtpClient(connection, codecOptions, this, this, settings)
    connection.start(this.#codec, isPooledDial)
  }

  /** Calls that have no answer yet. */
  get pending(): number {
    return this.#calls.size
  }

  /** False once no further call can be made on this connection. */
  get isUsable(): boolean {
    return this.#codec.isReusable
  }

  /**
   * Calls an operation. Resolves with whatever answer came; rejects with a `GatewayError` when none did
   * (`UPSTREAM_TIMEOUT`, `UPSTREAM_RESET`, `UPSTREAM_REFUSED` …). Calls beyond what the server takes at once wait.
   */
  call(
    operation: string,
    body: Buffer | string = NO_BODY,
    options: MmtpCallOptions = {},
  ): Promise<MmtpResult> {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? 0
    const request = new OutgoingRequest(operation, bytes.length, timeoutMs)
    request.shard = options.shard ?? SHARD_UNKNOWN
    if (options.idempotent === true) request.marks |= RequestMark.Idempotent
    request.isOneWay = options.oneway === true
    for (const name in options.headers) request.headers.set(name, options.headers[name] as string)
    return new Promise((resolve, reject) => {
      const now = this.#connection.now()
      const { peer } = this.#connection
      const exchange = new Exchange(request, NO_DOWNSTREAM, peer, LISTENER, now, TIMEOUTS)
      const call = new Call(exchange, bytes, options.signal ?? null, resolve, reject)
      exchange.drive = call
      this.#begin(call, timeoutMs)
    })
  }

  /** Makes no more calls, waits for those that run (a second at most without any), and closes. */
  async close(): Promise<void> {
    const timer = this.#calls.size === 0 ? setTimeout(() => this.#connection.destroy(), CLOSE_GRACE_MS) : null
    this.#codec.drain()
    await this.#closed
    if (timer !== null) clearTimeout(timer)
  }

  /** Closes at once; running calls are rejected. */
  destroy(): void {
    this.#connection.destroy()
  }

  #begin(call: Call, timeoutMs: number): void {
    const { signal } = call
    if (signal?.aborted === true) {
      call.reject(signal.reason)
      return
    }
    if (!this.#codec.isReusable) {
      call.reject(new GatewayError('UPSTREAM_REFUSED', `the connection to ${this.address} is closing`))
      return
    }
    this.#calls.add(call)
    if (timeoutMs > 0) {
      const timeout = (): void =>
        this.#fail(call, new GatewayError('UPSTREAM_TIMEOUT', `no answer within ${timeoutMs} ms`))
      call.timer = setTimeout(timeout, timeoutMs)
    }
    if (signal !== null) {
      call.onAbort = () => this.#fail(call, signal.reason)
      signal.addEventListener('abort', call.onAbort)
    }
    if (this.#codec.capacity > 0 && this.#waiting.length === 0) this.#send(call)
    else this.#waiting.push(call)
  }

  #send(call: Call): void {
    const { exchange, body } = call
    exchange.state = ExchangeState.Awaiting
    const stream = this.#codec.open(exchange)
    call.stream = stream
    stream.sendRequest(exchange.request, body.length === 0)
    if (body.length > 0) stream.sendBody(body, 0, body.length, true)
  }

  /** Takes the call off the books. False when it was over already. */
  #settle(call: Call): boolean {
    if (!this.#calls.delete(call)) return false
    call.exchange.state = ExchangeState.Finished
    if (call.timer !== null) clearTimeout(call.timer)
    if (call.onAbort !== null) call.signal?.removeEventListener('abort', call.onAbort)
    return true
  }

  #fail(call: Call, error: unknown): void {
    if (!this.#settle(call)) return
    if (call.stream === null) this.#waiting.remove((waiting) => waiting === call)
    else call.stream.cancel()
    call.head?.release()
    call.reject(error)
  }

  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void {
    const call = exchange.drive as Call
    call.headers = plainHeaders(response.headers)
    if (response instanceof MmtpResponse) {
      call.head = response
      delete call.headers['content-encoding']
    }
    if (last) this.#complete(call)
  }

  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    const call = exchange.drive as Call
    call.chunks.push(Buffer.from(bytes.subarray(offset, end)))
    if (last) this.#complete(call)
  }

  #complete(call: Call): void {
    if (!this.#settle(call)) return
    const { head, headers, chunks } = call
    const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
    const result = {
      status: head?.status ?? 1000,
      origin: head?.origin ?? 0,
      headers,
      costMs: head?.costMs ?? 0,
      retryAfterMs: head?.retryAfterMs ?? 0,
    }
    const encoding = head?.headers.encoding ?? 0
    head?.release()
    if (encoding === 0) {
      call.resolve({ ...result, body })
      return
    }
    decodeBody(encoding, body, this.#maxBodyBytes).then(
      (decoded) => call.resolve({ ...result, body: decoded }),
      (error) => call.reject(new GatewayError('UPSTREAM_PROTOCOL', 'the body cannot be decoded', error)),
    )
  }

  onUpstreamFailed(exchange: Exchange, error: GatewayError): void {
    const call = exchange.drive as Call
    if (!this.#settle(call)) return
    call.head?.release()
    call.reject(error)
  }

  onCapacity(codec: ClientCodec): void {
    if (this.#codec.isGreeted) this.#onGreeted()
    while (codec.capacity > 0 && this.#waiting.length > 0) this.#send(this.#waiting.shift() as Call)
    if (!codec.isReusable) this.#failWaiting()
  }

  /** The connection is gone. */
  onConnectionClosed(): void {
    this.#failWaiting()
    this.#onNotGreeted(
      new GatewayError('UPSTREAM_CONNECT_FAILED', `${this.address} closed without an Mmtp greeting`),
    )
    this.#onClosed()
  }

  #failWaiting(): void {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      if (this.#settle(call))
        call.reject(new GatewayError('UPSTREAM_REFUSED', `the connection to ${this.address} closed`))
    }
  }

  onUpstreamReady(): void {}
  onInformational(): void {}
  onResponseTrailers(): void {}
  /** The codec queues bodies of calls; nobody waits for room. */
  onUpstreamDrain(): void {}
}

/** An exchange without a caller behind it. */
const NO_DOWNSTREAM: DownstreamStream = {
  isWritable: true,
  sendInformational: () => undefined,
  sendResponse: () => undefined,
  sendBody: () => undefined,
  sendTrailers: () => undefined,
  errorReply: (error) => {
    throw error
  },
  localReply: () => {
    throw new Error('a client makes no replies')
  },
  reset: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
  finish: () => undefined,
}
