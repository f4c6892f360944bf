/**
 * The protocol-neutral view of a request and a response. A codec makes these from the bytes it received and
 * decodes a part only when somebody asks for it.
 */

/** The protocols of the data path. */
export type ProtocolName = 'http1' | 'mmtp' | 'bolt' | 'dubbo'

/**
 * The headers of one message: HTTP's and Mmtp's headers, Bolt's header pairs, Dubbo's attachments. Names are given and
 * returned in lower case, values without surrounding white space. In RPC protocols names keep their case (`add` and
 * `set` write them as they are given) and are compared without regard to it. Reading a header decodes it; a header
 * that nobody reads is forwarded as the bytes that came.
 */
export interface Headers {
  /** The value, or null when absent. Repeated HTTP headers are joined by `, ` (`cookie` by `; `); in Mmtp and RPC the last one wins. */
  get(name: string): string | null
  /** Every value in order of arrival; empty when absent. */
  getAll(name: string): string[]
  has(name: string): boolean
  /** Replaces every value of `name` by one. Throws `TypeError` when the name is no token or the value holds CR, LF or NUL. */
  set(name: string, value: string): void
  /** Adds one more value. Throws like {@link Headers.set}. */
  add(name: string, value: string): void
  /**
   * As {@link Headers.add} for a short ASCII value that its maker vouches for: nothing is checked. `bytes` spell it from `start` on, for
   * those who write bytes.
   */
  addMade?(name: string, value: string, bytes: Buffer, start: number): void
  /**
   * The place of `name` for {@link Headers.textAt}, when its value is as it came and is an id: 1 to 64 bytes for which `idBytes`, which has
   * 256 elements, holds 1. Negative for everything else; then {@link Headers.get} tells.
   */
  placeOfId?(name: string, idBytes: Uint8Array): number
  /** The value that came at a place, whatever was changed since; `''` once the message was released. */
  textAt?(place: number): string
  remove(name: string): void
  /** Calls `visit` for each header that is present, in order of arrival, added ones last. */
  forEach(visit: (name: string, value: string) => void): void
}

/** The head of a request: everything but its body. */
export interface RequestHead {
  readonly protocol: ProtocolName
  /** `GET`, `POST` …; an Mmtp request is a `POST`; of an RPC the name of its method. */
  readonly method: string
  /** The path as it came, percent-encoding untouched, no query; `*` for asterisk-form; `''` for an Mmtp operation and for an RPC. Assign to rewrite it. */
  path: string
  /** What followed `?`, without it; `''` when there was none. Assign to rewrite it. */
  query: string
  /** Host and port as the caller named them, in lower case; `''` when unknown. Assign to rewrite it. */
  authority: string
  /** The operationType of an operation request, `''` for a plain one. */
  readonly operation: string
  /** Interface of an RPC, such as `com.example.OrderService`; `''` for everything else. */
  readonly service: string
  /** Version of the RPC's interface, such as `1.0`; `''` when it names none. */
  readonly version: string
  /** Dubbo's group or SOFARPC's uniqueId; `''` when it names none. */
  readonly group: string
  /** The calling application by its own claim; `''` when it names none. */
  readonly app: string
  readonly headers: Headers
  /** Bytes of the body, 0 when there is none, -1 when only its end will tell. */
  readonly bodyLength: number
  /** True when the request may be sent again without harm by its protocol's own rules (GET, HEAD …; the idempotent mark). */
  readonly isIdempotent: boolean
  /** Milliseconds the caller gives us for the answer; 0 when it gave none. */
  readonly budgetMs: number
  /** Moves the head's bytes out of the read slab, because the exchange outlives the read callback. Calling it again does nothing. */
  retain(): void
  /** Gives back what {@link RequestHead.retain} leased. Called once, by `finish`. */
  release(): void
}

/** Which numbers {@link ResponseHead.status} uses: HTTP's, the gateway's result codes (1000 is success), Bolt's (0) or Dubbo's (20). */
export type StatusKind = 'http' | 'result' | 'bolt' | 'dubbo'

/** The head of a response: everything but its body. */
export interface ResponseHead {
  /** The status in the numbering of `statusKind`. Assign to change it. */
  status: number
  readonly statusKind: StatusKind
  /** True when it tells of a failure on the server's side: HTTP 5xx, a result code from 4000 on, an RPC's status other than success, an exception thrown by the service. */
  readonly isFailure: boolean
  /** What went wrong, in full: for the log, never for the caller. `''` when the response itself tells all. */
  readonly failureDetail: string
  readonly headers: Headers
  /** Bytes of the body, 0 when there is none, -1 when only its end will tell. */
  readonly bodyLength: number
  /** As {@link RequestHead.retain}. */
  retain(): void
  /** As {@link RequestHead.release}. */
  release(): void
}

/** What a filter, a route or an error answers in place of the business process. */
export interface Reply {
  /** HTTP status; Mmtp and operations get `resultCode`. */
  readonly status: number
  /** Result code (1000 is success). */
  readonly resultCode: number
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
}
