/** The contract of a filter: a factory that validates once and returns a plain object with the hooks it needs. */
import type { ErrorCode } from './errors.ts'
import type { Exchange, Slot } from './exchange.ts'
import type { Clock, Logger, LogSink, Metrics, Timers } from './services.ts'
import type { Verdict } from './verdict.ts'

/** A verdict, or a promise of one when the hook really has to wait; the exchange is suspended meanwhile. */
export type HookResult = Verdict | undefined | void | Promise<Verdict | undefined | void>

/**
 * One filter of a chain. Hooks are called with the filter as `this`, in this order:
 * - `onRequest` once a request head is complete, before a route is known, in configured order;
 * - `onRoute` once the route is known, in configured order; options given on the route hold from here on;
 * - `onResponse` for every response, whether the business process, a filter or an error made it, in reverse order;
 * - `onEnd` exactly once for every exchange whose `onRequest` hooks began, in configured order; it cannot wait.
 *
 * A hook that throws fails its own exchange with `FILTER_FAILED`, nothing else.
 */
export interface Filter {
  readonly name: string
  /** Demands an end of the chain; checked when the configuration is loaded. */
  readonly place?: 'first' | 'last'
  /** Gathers the whole body, within the limit `gather_limit`, before `onRoute` (request) or `onResponse` (response) runs. */
  readonly needsBody?: 'request' | 'response' | 'both'
  onRequest?(exchange: Exchange): HookResult
  onRoute?(exchange: Exchange): HookResult
  onResponse?(exchange: Exchange): HookResult
  onEnd?(exchange: Exchange): void
  /** The chain was replaced and no exchange runs through this filter any more: files and timers are closed. */
  close?(): void
}

/** What a filter gets beside its options. */
export interface FilterServices {
  /** The name this filter has in the configuration. */
  readonly name: string
  readonly log: Logger
  readonly metrics: Metrics
  readonly clock: Clock
  readonly timers: Timers
  readonly node: {
    readonly app: string
    readonly cell: string
    readonly labels: Readonly<Record<string, string>>
  }
  /** Makes a typed place on every exchange for this filter's own state. Call it once, in the factory. */
  slot<T>(name: string): Slot<T>
  /** Resolves a path of the options against the configuration file's folder. */
  resolvePath(path: string): string
  /** Opens a log of lines at a resolved path, stdout for null. The filter closes it in `close`. */
  openLog(path: string | null): LogSink
}

/** Makes a filter from its validated options. Throws an `Error` with a clear message for what a schema cannot say. */
export type FilterFactory<Options = never> = (options: Options, services: FilterServices) => Filter

/** What a filter's module offers. A user's module exports this, or just the factory, as `default`. */
export interface FilterDefinition<Options = never> {
  /** JSON Schema of the options; null accepts any mapping. Unknown keys are refused when the schema says `additionalProperties: false`. */
  readonly schema: object | null
  /**
   * Whether a route may give options of its own. Left out, it may unless the filter has an `onRequest` hook, which runs
   * before the route is known. A filter that says true has its `onRequest` run with the chain's options, all else with the route's.
   */
  readonly perRoute?: boolean
  readonly create: FilterFactory<Options>
}

/** Counts of one filter, as the chain writes them. */
export interface FilterStats {
  readonly name: string
  /** Exchanges it answered. */
  replies: number
  /** Hooks that threw, by nothing else but this filter. */
  failures: number
  /** Hooks that waited. */
  suspensions: number
}

/** Codes that a filter may name in its options, e.g. `refuse: RATE_LIMITED`. */
export type RefusalCode = ErrorCode
