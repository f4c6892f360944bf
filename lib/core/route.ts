/** What the router is given and what it finds. */
import type { UpstreamStream } from './codec.ts'
import type { GatewayError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { ScopeStats } from './services.ts'

/** One condition on a value that may be absent. Exactly one of the fields is given. */
export interface ValueRule {
  readonly exact?: string
  readonly prefix?: string
  /** ECMAScript regular expression that must match the whole value. */
  readonly regex?: string
  /** True: must be there; false: must not. */
  readonly present?: boolean
  /** A decimal integer within `[from, to)`. */
  readonly range?: readonly [from: number, to: number]
}

/** The conditions of one route; all that are given must hold. */
export interface MatchRule {
  /** `/a/` (ends in a slash) is a prefix, `~regex` a regular expression over the whole path, anything else exact. */
  readonly path?: string
  /** One method or several. */
  readonly method?: string | readonly string[]
  /** `api.example.com`, `*.example.com`, `*`; a port is ignored unless the rule names one. */
  readonly host?: string | readonly string[]
  /** `a.b.c` exact, `a.b.*` everything below. */
  readonly operation?: string
  /** Interface of an RPC: `a.b.C` exact, `a.b.*` everything below. `method` is then the RPC's method. */
  readonly service?: string
  /** Version of the RPC's interface. */
  readonly version?: string
  /** Dubbo's group or SOFARPC's uniqueId. */
  readonly group?: string
  /** Calling application, one or several. */
  readonly app?: string | readonly string[]
  /** A plain string is an exact value. */
  readonly headers?: Readonly<Record<string, string | ValueRule>>
  readonly query?: Readonly<Record<string, string | ValueRule>>
  readonly cookies?: Readonly<Record<string, string | ValueRule>>
}

/** Where a route sends an exchange: one cluster, as the dispatcher sees it. Implemented by `upstream/cluster`. */
export interface Destination {
  readonly name: string
  readonly stats: ScopeStats
  /**
   * Picks an endpoint and opens a stream. Returns the stream; null when the exchange has to wait for a connection
   * (then `onUpstreamReady` or `onUpstreamFailed` follows); or the error that says why there is none.
   */
  open(exchange: Exchange): UpstreamStream | GatewayError | null
  /** Takes a waiting exchange out of the queue. */
  abandon(exchange: Exchange): void
}

/** A fixed answer of a route. */
export interface RedirectAction {
  readonly status: 301 | 302 | 303 | 307 | 308
  /** Builds the `Location` from the request. */
  location(exchange: Exchange): string
}

/** A compiled route. */
export interface Route {
  /** Name from the configuration, or one made from its match. Label of metrics and logs. */
  readonly name: string
  /** Position in the configuration, from 0. */
  readonly index: number
  /** Picks the destination; null for a redirect. */
  readonly pick: ((exchange: Exchange) => Destination) | null
  readonly redirect: RedirectAction | null
  /** Milliseconds from the request's head to the end of the response head; 0 is no limit. */
  readonly timeoutMs: number
  /** Milliseconds for one attempt's response head; 0 is no limit. */
  readonly perTryTimeoutMs: number
  /** Replaces the path, null to keep it. */
  readonly rewritePath: ((path: string) => string) | null
  /** Replaces the authority, null to keep it. */
  readonly rewriteAuthority: string | null
  /** Operation or path that a request of another protocol is translated to. */
  readonly translation: Translation | null
  /** The value that picks an endpoint on a hash ring, null when the route gives none. */
  readonly hashKey: ((exchange: Exchange) => string) | null
  /** Created on first use, so that thousands of routes cost nothing. */
  readonly stats: ScopeStats
  /** The filters for exchanges of this route, opaque to all but the chain. */
  readonly chain: unknown
}

/**
 * How the JSON of an operation becomes the arguments of one RPC method, and its result JSON again. Made by
 * `Protocol.compileCall` when a configuration is loaded; opaque to all but the codecs of RPC protocols.
 */
export interface Call {
  /** The method's name. */
  readonly method: string
}

/** How a request crosses from one protocol to another, or to another service, from the route's `to`. */
export interface Translation {
  /** Operation for an Mmtp destination; `''` keeps the request's own. */
  readonly operation: string
  /** Method for an HTTP destination; `''` means POST. */
  readonly method: string
  /** Path for an HTTP destination; `''` means `/` followed by the operation. */
  readonly path: string
  /** Interface for an RPC destination; `''` keeps the request's own. */
  readonly service: string
  /** Version of that interface; `''` keeps the request's own. */
  readonly version: string
  /** Dubbo's group or SOFARPC's uniqueId; `''` keeps the request's own. */
  readonly group: string
  /** For requests that are no RPC: the call they become. Null when the route leads to none. */
  readonly call: Call | null
}

/** What a route says about the call that its operations become. Java names throughout. */
export interface CallTarget {
  readonly service: string
  readonly version: string
  readonly group: string
  readonly method: string
  /** Types of the parameters, generics allowed: `int`, `com.example.Order`, `java.util.List<com.example.Item>`. */
  readonly parameters: readonly string[]
  /** Names of the parameters, for a JSON object in place of an array of arguments; empty when there are none. */
  readonly parameterNames: readonly string[]
  readonly json: JsonRules
}

/** How Java values look in JSON. */
export interface JsonRules {
  /** 64-bit integers beyond 2^53: as strings, or as numbers that lose digits. */
  readonly longs: 'string' | 'number'
  readonly dates: 'iso' | 'epoch'
  /** What a caller is told about an exception of the service. */
  readonly exceptions: 'hidden' | 'message' | 'class-and-message'
  /** Keep the `class` entry of objects. */
  readonly classes: boolean
}

/** Descriptions of Java types by class name. */
export type TypeDescriptions = Readonly<Record<string, TypeDescription>>

/** A class with fields, or an enum. Exactly one of `fields` and `enum` is given. */
export interface TypeDescription {
  /** Name → type, in the order they are written. */
  readonly fields?: Readonly<Record<string, string>>
  readonly enum?: readonly string[]
  /** Superclass, whose fields come too. */
  readonly extends?: string
}
