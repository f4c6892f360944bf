/** What a route changes about a request before it is forwarded, and where it goes. */
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Destination, Route } from '../core/route.ts'

/** Finds the cluster of a name; null when the configuration has none. */
export type ClusterFinder = (name: string) => Destination | null

/**
 * Rewrites the request as the route says and picks its destination, or that of a filter's override. Throws what a route's own rule
 * throws, and `NO_ENDPOINT` for an override that names no cluster.
 */
export function aim(exchange: Exchange, route: Route, findCluster: ClusterFinder): void {
  const isOverridden = exchange.clusterOverride !== ''
  if (!isOverridden) change(exchange, route)
  if (route.hashKey !== null) exchange.hashKey = route.hashKey(exchange)
  const destination = isOverridden
    ? overridden(exchange, findCluster)
    : (route.pick as (exchange: Exchange) => Destination)(exchange)
  exchange.destination = destination
  destination.stats.requests++
  destination.stats.active++
}

function change(exchange: Exchange, route: Route): void {
  const { request } = exchange
  if (route.rewritePath !== null) request.path = route.rewritePath(request.path)
  if (route.rewriteAuthority !== null) request.authority = route.rewriteAuthority
  exchange.translation = route.translation
}

function overridden({ clusterOverride }: Exchange, findCluster: ClusterFinder): Destination {
  const destination = findCluster(clusterOverride)
  if (destination === null)
    throw new GatewayError('NO_ENDPOINT', `there is no cluster ${clusterOverride}, which a filter chose`)
  return destination
}
