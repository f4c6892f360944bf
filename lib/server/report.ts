/** Who is told of an exchange that went wrong, once its caller has been. */
import type { Exchange } from '../core/exchange.ts'
import type { DispatcherServices } from './dispatcher-services.ts'

/** Tells of an error of ours, or of a failure of the business process that has more to say than its caller heard. */
export function reportFailure(exchange: Exchange, services: DispatcherServices): void {
  const { error, response } = exchange
  if (error !== null) services.onFailed(exchange, error)
  else if (response?.isFailure && response.failureDetail !== '')
    services.onServiceFailed(exchange, response.failureDetail)
}
