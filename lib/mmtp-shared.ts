/** What the Mmtp client and server modules share when they run outside a gateway. */
import type { Exchange, ListenerInfo } from './core/exchange.ts'
import type { Logger, ScopeStats } from './core/services.ts'
import type { NetContext } from './net/connection.ts'
import { Loop } from './net/loop.ts'

const quiet = (): void => undefined

/** Tells nothing but defects. */
const log: Logger = {
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: (fields, message) => console.error(message, fields),
  isLevelEnabled: (level) => level === 'error' || level === 'fatal',
}

let context: NetContext | null = null

/** One event loop for all clients and servers of this kind in the process. */
export function sharedContext(): NetContext {
  context ??= { loop: new Loop(), log }
  return context
}

const stats: ScopeStats = {
  requests: 0,
  active: 0,
  responses: [],
  errors: 0,
  bytesIn: 0,
  bytesOut: 0,
  duration: { record: quiet },
}

/** Stands for the listener that a gateway would have. */
export const LISTENER: ListenerInfo = { name: 'mmtp', stats, trusted: true }

/** Exchanges outside a gateway have no timers. */
export const TIMEOUTS = { onExchangeTimer: (_exchange: Exchange): void => undefined }

/** Headers as an object without a prototype, so that no name is special. */
export function plainHeaders(headers: {
  forEach(visit: (name: string, value: string) => void): void
}): Record<string, string> {
  const result: Record<string, string> = Object.create(null)
  headers.forEach((name, value) => {
    result[name] = value
  })
  return result
}
