/**
 * What stands between sockets and messages. A codec never sees a socket (it gets a {@link Wire}) and the
 * transport never parses a byte (it has a {@link Codec}).
 *
 * All byte ranges are `(bytes, offset, end)`. Unless said otherwise bytes handed to a callback are valid
 * during that call only: what must live longer is copied.
 */
import type { GatewayError } from './errors.ts'
import type { Exchange, ExchangeTimeouts, ListenerInfo } from './exchange.ts'
import type { Headers, ProtocolName, RequestHead, ResponseHead } from './message.ts'
import type { Call, CallTarget, TypeDescriptions } from './route.ts'

/** Addresses of one connection, after the PROXY protocol had its say. */
export interface PeerInfo {
  /** IP address, or `''` on a Unix socket. */
  readonly remoteAddress: string
  /** Port, or 0 on a Unix socket. */
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
}

/** What a codec may do with its connection. Output is gathered and written once per loop turn. */
export interface Wire {
  /** Position of the next output byte in the buffer that {@link Wire.reserve} returned; the codec moves it on as it writes. */
  position: number
  readonly peer: PeerInfo
  /** False while more output is queued than the high watermark. The codec is told by `onDrain` when it is true again. */
  readonly isWritable: boolean
  /** Bytes handed over and not yet taken by the kernel. */
  readonly queuedBytes: number
  /** Makes room for `length` contiguous output bytes and returns the buffer to write them into, from `position` on. The buffer must not be kept beyond the next call on this wire. */
  reserve(length: number): Buffer
  /** Queues a copy of a range. */
  write(bytes: Buffer, offset: number, end: number): void
  /** Queues a range without copying it where that is possible: bytes that some `onBytes` call is handing over right now stay leased until they are out. Worth it from about 16 KiB on; copies when it cannot retain. */
  lend(bytes: Buffer, offset: number, end: number): void
  /** Stops reading: no `onBytes` until {@link Wire.resumeRead}, not even for bytes that are already here. */
  pauseRead(): void
  resumeRead(): void
  /** Sends what is queued, then FIN. */
  end(): void
  /** Sends what is queued, then closes both directions; input is dropped. A peer that takes nothing of it for ten seconds is reset. */
  close(): void
  /** Closes at once and drops what is queued. */
  destroy(): void
  /** Calls `codec.onTimer()` after about `delayMs` (coarse; one timer a wire, a second call moves it); 0 switches it off. */
  setTimer(delayMs: number): void
  /** Milliseconds on a monotonic clock, read once per loop turn. */
  now(): number
}

/** The protocol state of one connection, driven by the transport. No method may throw for bad input: the codec answers or closes. */
export interface Codec {
  /** Bytes arrived; all of `offset…end` must be consumed or copied. */
  onBytes(bytes: Buffer, offset: number, end: number): void
  /** The peer sent FIN; the other direction is still open. */
  onEnd(): void
  /** The output queue fell below the low watermark. */
  onDrain(): void
  /** The timer of {@link Wire.setTimer} went off. */
  onTimer(): void
  /** The connection is gone. Called exactly once, last. `error` is null after an orderly close. */
  onClose(error: Error | null): void
}

/** The caller's half of one exchange: where its response goes. Owned by the downstream codec. */
export interface DownstreamStream {
  /** False while the caller reads slower than we write: pause the source. `onDownstreamDrain` follows. */
  readonly isWritable: boolean
  /** Sends a 1xx response; protocols without one ignore it. */
  sendInformational(response: ResponseHead): void
  /** Sends the head; `last` when no body follows. When `exchange.responseBody` is not null, its length is the body's. */
  sendResponse(response: ResponseHead, last: boolean): void
  /** Sends a piece of the body. */
  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void
  /** Ends the response with trailers. */
  sendTrailers(trailers: Headers): void
  /** The response this protocol gives for a failure, not yet sent. Its body is `LocalReply.body`. */
  errorReply(error: GatewayError): LocalReply
  /** The response this protocol gives for what a filter or route answers, not yet sent. */
  localReply(status: number, resultCode: number, body: Buffer): LocalReply
  /** Cuts off a response that has begun and cannot be completed. */
  reset(error: GatewayError): void
  /** Holds back the request's body. */
  pause(): void
  resume(): void
  /** The exchange is over and its request may still be arriving: what follows is dropped or the connection closed. Last call on this object. */
  finish(): void
}

/** A response that meshgate itself makes. */
export interface LocalReply extends ResponseHead {
  readonly body: Buffer
}

/** The business process's half of one exchange: where its request goes. Owned by the upstream codec. */
export interface UpstreamStream {
  /** False while the business process reads slower than we write. `onUpstreamDrain` follows. */
  readonly isWritable: boolean
  /** True when the connection had carried an exchange before, so that its death may only mean that it was stale. */
  readonly isReused: boolean
  /** Sends the head; `last` when no body follows. When `exchange.requestBody` is not null, its length is the body's. */
  sendRequest(request: RequestHead, last: boolean): void
  sendBody(bytes: Buffer, offset: number, end: number, last: boolean): void
  sendTrailers(trailers: Headers): void
  /** Gives up this stream: its work is cancelled as well as the protocol can, and no more events come from it. */
  cancel(): void
  /** Holds back the response's body. */
  pause(): void
  resume(): void
}

/**
 * What downstream codecs report. Implemented by the dispatcher. A codec that ends its `onBytes` while an exchange it
 * reported is not `Finished` has the request's head retained by then (`request.retain()`); the dispatcher releases it.
 */
export interface DownstreamHandler {
  /** A request head arrived. `last` when no body follows. */
  onRequest(exchange: Exchange, last: boolean): void
  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void
  /** Trailers ended the request. */
  onRequestTrailers(exchange: Exchange, trailers: Headers): void
  /** The caller takes output again. */
  onDownstreamDrain(exchange: Exchange): void
  /** The caller cancelled, vanished or broke its own request. Nothing may be sent any more unless `canReply`. */
  onDownstreamFailed(exchange: Exchange, error: GatewayError, canReply: boolean): void
  /** A connection was refused or closed for a reason that concerns no exchange, e.g. a head that could not be parsed. Counted and logged. `status` is what the peer was told, 0 when nothing. */
  onProtocolError(error: GatewayError, peer: PeerInfo, status: number): void
}

/**
 * What upstream codecs report. Implemented by the dispatcher. A codec that ends its `onBytes` while an exchange whose
 * response it reported is not `Finished` calls `response.retain()`; the dispatcher releases it.
 */
export interface UpstreamHandler {
  /** An upstream stream is there for an exchange that had to wait for one. */
  onUpstreamReady(exchange: Exchange, stream: UpstreamStream): void
  onInformational(exchange: Exchange, response: ResponseHead): void
  /** The response head arrived. `last` when no body follows. */
  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void
  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void
  onResponseTrailers(exchange: Exchange, trailers: Headers): void
  /** The business process takes output again. */
  onUpstreamDrain(exchange: Exchange): void
  /** The stream is dead; no more events come from it. */
  onUpstreamFailed(exchange: Exchange, error: GatewayError): void
}

/** The codec of an accepted connection. */
export interface ServerCodec extends Codec {
  /** Exchanges that are running on this connection. */
  readonly activeExchanges: number
  /** Asks the peer to go elsewhere (GOAWAY, `Connection: close`) and closes when the running exchanges are over. */
  drain(graceMs: number): void
}

/** Who owns an upstream connection: told when its room for streams changes. */
export interface ClientOwner {
  /** A stream ended, the peer's settings arrived or a drain began: look at `capacity` and `isReusable` again. */
  onCapacity(codec: ClientCodec): void
}

/** The codec of a dialled connection. */
export interface ClientCodec extends Codec {
  /** Streams that may be opened now. */
  readonly capacity: number
  /** False when no further stream may ever be opened: the connection only finishes what runs. */
  readonly isReusable: boolean
  readonly activeStreams: number
  /** Opens a stream for an exchange; only when `capacity > 0`. Nothing is sent before `sendRequest`. */
  open(exchange: Exchange): UpstreamStream
  /** Opens no more streams and closes when the running ones are over. */
  drain(): void
}

/** Limits and options that a listener gives to its codec. Sizes in bytes, times in milliseconds. */
export interface ServerCodecOptions {
  readonly maxHeadBytes: number
  readonly maxHeaders: number
  readonly maxUriBytes: number
  /** Largest body that is streamed or gathered; 0 is no limit. */
  readonly maxBodyBytes: number
  /** Largest frame of an RPC protocol, header included; these arrive whole. */
  readonly maxFrameBytes: number
  readonly headerTimeoutMs: number
  readonly idleTimeoutMs: number
  /** What to do with `Forwarded` and `X-Forwarded-*`. */
  readonly forwarded: 'append' | 'replace' | 'off'
  /** Paths on which an `Operation-Type` header makes a request an operation. */
  readonly operationPath: string
  /** False at the edge: names that only the access layer may set are stripped, repeated ones refused. */
  readonly trusted: boolean
  readonly maxStreams: number
  /** Own cell, sent to Mmtp peers. */
  readonly cell: string
  /** Whether a drain sends GoAway to Bolt peers; only meshes know it, a Java peer closes the connection. */
  readonly boltGoAway: boolean
}

/** Limits and options that a cluster gives to its codec. Sizes in bytes, times in milliseconds. */
export interface ClientCodecOptions {
  readonly maxHeadBytes: number
  readonly maxHeaders: number
  readonly maxBodyBytes: number
  /** As in {@link ServerCodecOptions}. */
  readonly maxFrameBytes: number
  readonly idleTimeoutMs: number
  readonly maxStreams: number
  /** Exchanges after which the connection is replaced; 0 is never. */
  readonly maxRequests: number
  readonly cell: string
  /** Idle time after which an RPC peer is sent a heartbeat; 0 is never. */
  readonly heartbeatMs: number
  /** Own application, told to RPC peers as the caller of translated operations. */
  readonly app: string
}

/** What every exchange of one accepted connection shares; codecs pass it to the `Exchange` they make. */
export interface ServerContext {
  readonly listener: ListenerInfo
  readonly timeouts: ExchangeTimeouts
}

/** One row of the table of protocols. */
export interface Protocol {
  readonly name: ProtocolName
  /** True when one connection carries many exchanges at once. */
  readonly isMultiplexed: boolean
  createServer(
    wire: Wire,
    options: ServerCodecOptions,
    handler: DownstreamHandler,
    context: ServerContext,
  ): ServerCodec
  createClient(
    wire: Wire,
    options: ClientCodecOptions,
    handler: UpstreamHandler,
    owner: ClientOwner,
  ): ClientCodec
  /**
   * Compiles what a route says about a call; null where a protocol takes no calls. Throws an `Error` that says which
   * part of the target is wrong and what would be right.
   */
  readonly compileCall: ((target: CallTarget, types: TypeDescriptions) => Call) | null
}
