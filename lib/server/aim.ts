/** What a route changes about a request before it is forwarded. */
import type { Exchange } from '../core/exchange.ts'
import type { Destination, Route } from '../core/route.ts'

/** Rewrites the request as the route says and picks its destination. Throws what a route's own rule throws. */
export function aim(exchange: Exchange, route: Route): void {
  const { request } = exchange
  if (route.rewritePath !== null) request.path = route.rewritePath(request.path)
  if (route.rewriteAuthority !== null) request.authority = route.rewriteAuthority
  if (route.hashKey !== null) exchange.hashKey = route.hashKey(exchange)
  const destination = (route.pick as (exchange: Exchange) => Destination)(exchange)
  exchange.destination = destination
  destination.stats.requests++
  destination.stats.active++
}
