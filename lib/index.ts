/**
 * The public contract for those who write filters. Import it with `import type` and a filter's module needs no
 * package at run time: hooks return what `exchange.reply` and `exchange.refuse` give them.
 */
export type { PeerInfo } from './core/codec.ts'
export {
  ERROR_CODES,
  ERRORS,
  type ErrorCode,
  type ErrorSide,
  GatewayError,
  type RetryClass,
} from './core/errors.ts'
export type { Exchange, ListenerInfo, Refusal, RefusalOptions, Slot } from './core/exchange.ts'
export { ExchangeState } from './core/exchange.ts'
export type {
  Filter,
  FilterDefinition,
  FilterFactory,
  FilterServices,
  FilterStats,
  HookResult,
  RefusalCode,
} from './core/filter.ts'
export type { Headers, ProtocolName, Reply, RequestHead, ResponseHead, StatusKind } from './core/message.ts'
export type { Destination, Route } from './core/route.ts'
export type {
  Clock,
  Counter,
  Histogram,
  Logger,
  LogSink,
  Metrics,
  TimerEntry,
  Timers,
} from './core/services.ts'
export { Verdict } from './core/verdict.ts'
