/** What the dispatcher takes from the gateway. */
import type { PeerInfo } from '../core/codec.ts'
import type { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Timers } from '../core/services.ts'

/** See the file's head. */
export interface DispatcherServices {
  readonly timers: Timers
  now(): number
  /** Called once for each exchange that meshgate itself failed, when it ends. */
  onFailed(exchange: Exchange, error: GatewayError): void
  /** Called once for each exchange whose business process failed with more to say than the caller was told. */
  onServiceFailed(exchange: Exchange, detail: string): void
  /** A connection was refused or closed without an exchange. */
  onProtocolError(error: GatewayError, peer: PeerInfo, status: number): void
}
