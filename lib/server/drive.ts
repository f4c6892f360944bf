/** The dispatcher's own state of one exchange, kept in `exchange.drive`. */
import type { Exchange } from '../core/exchange.ts'
import type { Chain } from '../filters/chain.ts'
import type { Hold } from './hold.ts'
import type { Runtime } from './runtime.ts'

/** One per exchange; fixed shape. */
export class Drive {
  declare readonly runtime: Runtime
  /** The base chain, then the route's. */
  declare chain: Chain
  /** Request body that cannot be sent yet. */
  requestHold: Hold | null = null
  /** Response body that cannot be sent yet. */
  responseHold: Hold | null = null
  /** The request body is gathered for a filter. */
  gathersRequest = false
  /** The response body is gathered for a filter. */
  gathersResponse = false
  /** The upstream sent the last byte of its response. */
  responseEnded = false
  /** Bytes of the request went to the upstream of the running attempt. */
  requestSent = false
  isRequestPaused = false
  isResponsePaused = false
  /** Both directions carry raw bytes. */
  isTunnel = false
  /** A hook of the response side is suspended. */
  responseHookWaits = false
  /** The response is meshgate's own. */
  isLocal = false
  /** `responseBytes + requestBytes` when the idle timer looked last; -1 before it did. */
  progress = -1

  constructor(runtime: Runtime) {
    this.runtime = runtime
    this.chain = runtime.chain
  }
}

/** The drive of an exchange that the dispatcher has opened. */
export function driveOf(exchange: Exchange): Drive {
  return exchange.drive as Drive
}
