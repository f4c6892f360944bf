/** One request and its response, from the first byte of its head to the last byte of its answer. */
import type { DownstreamStream, PeerInfo, UpstreamStream } from './codec.ts'
import type { ErrorCode, GatewayError } from './errors.ts'
import type { Reply, RequestHead, ResponseHead } from './message.ts'
import type { Destination, Route, Translation } from './route.ts'
import type { ScopeStats, TimerEntry } from './services.ts'
import { Verdict } from './verdict.ts'

/**
 * Where an exchange stands:
 * - `Filtering`: hooks of the request side run or are suspended, and the route is found;
 * - `Connecting`: waits for an upstream stream;
 * - `Awaiting`: the request is on its way, no response head yet;
 * - `Answering`: a response head is known and its hooks run or are suspended;
 * - `Responding`: the head went to the caller, the body follows;
 * - `Finished`: over; every reference to it is stale.
 */
export const ExchangeState = {
  Filtering: 0,
  Connecting: 1,
  Awaiting: 2,
  Answering: 3,
  Responding: 4,
  Finished: 5,
} as const
export type ExchangeState = (typeof ExchangeState)[keyof typeof ExchangeState]

/** The listener an exchange came through, as filters see it. */
export interface ListenerInfo {
  readonly name: string
  readonly stats: ScopeStats
  /** False at the edge: what callers claim about themselves is not believed. */
  readonly trusted: boolean
}

/** A typed place for a filter's own state on an exchange; made once by `services.slot`. */
export interface Slot<T> {
  readonly index: number
  readonly name: string
  /** Holds the type only. */
  readonly type?: T
}

/** Implemented by the dispatcher: told when an exchange's timer goes off. */
export interface ExchangeTimeouts {
  onExchangeTimer(exchange: Exchange): void
}

/** What a refusal may say beside its code. */
export interface RefusalOptions {
  /** When the caller may try again, in milliseconds. */
  readonly retryAfterMs?: number
  /** Text for the caller in place of the table's. */
  readonly message?: string
}

/** An expected refusal: rendered by the caller's protocol from the error table, without an `Error`. */
export interface Refusal {
  readonly code: ErrorCode
  readonly retryAfterMs: number
  readonly message: string | null
}

/**
 * One fixed-shape object per exchange. Every field is written before the constructor returns, always in the same order, and none is
 * deleted. Filters read it and use its methods; fields marked *dispatcher* are written by the dispatcher only. It is not pooled, so a
 * stale reference is harmless; the buffers below it are.
 *
 * Here and in the other objects that every exchange needs anew, fields that the constructor assigns are only *declared*: a plain field
 * would be set to undefined first, 1 to 4 % of an Mmtp request (perf/micro/mmtp-path.ts).
 */
export class Exchange implements TimerEntry {
  declare readonly request: RequestHead
  declare readonly downstream: DownstreamStream
  declare readonly peer: PeerInfo
  declare readonly listener: ListenerInfo
  /** Monotonic milliseconds at which the request's head was complete. */
  declare readonly startMs: number

  /** *dispatcher* */
  state: ExchangeState = ExchangeState.Filtering
  /** The response head, once one is known. *dispatcher* */
  response: ResponseHead | null = null
  /** *dispatcher* */
  upstream: UpstreamStream | null = null
  /** *dispatcher* */
  route: Route | null = null
  /** What the request becomes at its destination, from the route; null when the route says nothing. *dispatcher* */
  translation: Translation | null = null
  /** A cluster in place of the route's, `''` for the route's own. Written by filters in `onRoute`; what the route rewrites and translates is left to whoever serves there. */
  clusterOverride = ''
  /** The cluster that the route chose. *dispatcher* */
  destination: Destination | null = null
  /** Address of the endpoint that serves, `''` before one was picked. Written by the cluster. */
  endpoint = ''
  /** Attempts made so far. *dispatcher* */
  attempts = 0
  /** The failure that ended the exchange or made its answer. *dispatcher* */
  error: GatewayError | null = null
  /** What a filter answered in place of the business process. Set by {@link Exchange.reply}. */
  localReply: Reply | null = null
  /** What a filter refused. Set by {@link Exchange.refuse}. */
  refusal: Refusal | null = null
  /** Response flag for the access log where no error and no refusal gives one, e.g. `FI`. Written by filters. */
  flag = ''
  /** Monotonic milliseconds at which the exchange must be over; 0 is never. *dispatcher* */
  deadlineMs = 0
  /** Monotonic milliseconds at which the upstream's response head arrived; 0 before. *dispatcher* */
  responseMs = 0
  /** Monotonic milliseconds at which it was over; 0 before. *dispatcher* */
  endMs = 0
  requestBytes = 0
  responseBytes = 0
  /** True once the last byte of the request arrived. *dispatcher* */
  requestEnded = false
  /** The whole request body, when a filter asked for it (`needsBody`). A filter may assign another one. */
  requestBody: Buffer | null = null
  /** The whole response body, when a filter asked for it (`needsBody`). A filter may assign another one. */
  responseBody: Buffer | null = null
  /** A number is the place among the request's headers of an id that nobody has read yet. */
  #traceId: string | number = ''
  #rpcId: string | number = ''
  /** The span that meshgate logs under, 16 hex digits, `''` when unknown. */
  spanId = ''
  /** The user that a session or token proves; `''` while nobody is proven. The only user id that filters may trust. */
  userId = ''
  /** What an authoriser or a token says about the user, `null` when nothing does. */
  principal: Readonly<Record<string, string>> | null = null
  /** The key that picks an endpoint on a hash ring, `''` when the route gives none. */
  hashKey = ''
  /** *dispatcher*: scratch of the driver, opaque to everybody else. */
  drive: unknown = null

  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  #slots: unknown[] | null = null
  #timeouts: ExchangeTimeouts

  /** Made by a downstream codec when a request head is complete. */
  constructor(
    request: RequestHead,
    downstream: DownstreamStream,
    peer: PeerInfo,
    listener: ListenerInfo,
    startMs: number,
    timeouts: ExchangeTimeouts,
  ) {
    this.request = request
    this.downstream = downstream
    this.peer = peer
    this.listener = listener
    this.startMs = startMs
    this.#timeouts = timeouts
  }

  /** 32 hex digits (W3C) or a SOFATracer id; `''` until the trace-context filter ran. */
  get traceId(): string {
    if (typeof this.#traceId === 'number') this.#traceId = this.#textAt(this.#traceId)
    return this.#traceId
  }

  set traceId(id: string) {
    this.#traceId = id
  }

  /** SOFATracer's rpcId, `''` when unknown. */
  get rpcId(): string {
    if (typeof this.#rpcId === 'number') this.#rpcId = this.#textAt(this.#rpcId)
    return this.#rpcId
  }

  set rpcId(id: string) {
    this.#rpcId = id
  }

  /** Sets {@link Exchange.traceId} to the id at a place that the request's `placeOfId` gave. It is decoded when somebody reads it: most exchanges end before. */
  leaveTraceIdAt(place: number): void {
    this.#traceId = place
  }

  /** As {@link Exchange.leaveTraceIdAt} for {@link Exchange.rpcId}. */
  leaveRpcIdAt(place: number): void {
    this.#rpcId = place
  }

  #textAt(place: number): string {
    return this.request.headers.textAt?.(place) ?? ''
  }

  /**
   * Answers in place of the business process; return the result from the hook. `status` is HTTP's; an Mmtp caller
   * or an operation gets `resultCode` (1000 when `status` is below 400, otherwise 1001).
   */
  reply(
    status: number,
    body: Buffer | string = '',
    headers: Readonly<Record<string, string>> | null = null,
    resultCode: number = status < 400 ? 1000 : 1001,
  ): Verdict {
    this.refusal = null
    this.localReply = {
      status,
      resultCode,
      headers: headers === null ? [] : Object.entries(headers),
      body: typeof body === 'string' ? Buffer.from(body) : body,
    }
    return Verdict.Reply
  }

  /** Refuses with a row of the error table; every protocol gives its own status. Return the result from the hook. */
  refuse(code: ErrorCode, options: RefusalOptions | null = null): Verdict {
    this.localReply = null
    this.refusal = {
      code,
      retryAfterMs: options?.retryAfterMs ?? 0,
      message: options?.message ?? null,
    }
    return Verdict.Reply
  }

  /** The filter's own value for this exchange, undefined before it was set. */
  get<T>(slot: Slot<T>): T | undefined {
    return this.#slots === null ? undefined : (this.#slots[slot.index] as T | undefined)
  }

  /** Keeps a value for this exchange. */
  set<T>(slot: Slot<T>, value: T): void {
    this.#slots ??= []
    this.#slots[slot.index] = value
  }

  /** Called by the timer wheel. */
  onTimer(): void {
    this.#timeouts.onExchangeTimer(this)
  }
}
