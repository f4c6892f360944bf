/** The time that is told to the peer of a call. */
import type { Exchange } from '../../core/exchange.ts'

/** Peers read it as a Java `int`. */
const MAX_TIME_MS = 0x7fffffff

/**
 * Milliseconds that are left of the caller's budget and of our own deadline, whichever is nearer: a whole number, 1 at
 * least, as a peer takes 0 for no limit. 0 when there is neither.
 */
export function timeLeftMs(exchange: Exchange, nowMs: number): number {
  const { budgetMs } = exchange.request
  let left = budgetMs > 0 ? budgetMs - (nowMs - exchange.startMs) : Infinity
  if (exchange.deadlineMs > 0) left = Math.min(left, exchange.deadlineMs - nowMs)
  return left === Infinity ? 0 : Math.min(MAX_TIME_MS, Math.max(1, Math.floor(left)))
}
