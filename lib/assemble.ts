/** Turns the parts of an accepted configuration into the options of the objects that serve it. */
import path from 'node:path'
import type { ClusterConfig, Config, ListenerConfig, RouteConfig, TargetConfig } from './config/config.ts'
import type { ClientCodecOptions, ServerCodecOptions } from './core/codec.ts'
import type { Exchange } from './core/exchange.ts'
import type { ProtocolName } from './core/message.ts'
import type { Call, CallTarget, Destination, Route, TypeDescriptions } from './core/route.ts'
import type { ScopeStats } from './core/services.ts'
import { compileField, type FieldContext } from './filters/fields.ts'
import { parseAddress } from './net/address.ts'
import { protocolNamed, serverProtocolNamed } from './protocols/index.ts'
import { compileRedirect } from './router/redirect.ts'
import { compilePathRewrite } from './router/rewrite.ts'
import { WeightedChoice } from './router/weights.ts'
import type { ListenerOptions } from './server/listener.ts'
import type { ClusterOptions } from './upstream/cluster.ts'

/** What a listener's configuration means. */
export function listenerOptions(config: ListenerConfig, cell: string): ListenerOptions {
  const codec: ServerCodecOptions = {
    maxHeadBytes: config.limits.head,
    maxHeaders: config.limits.headers,
    maxUriBytes: config.limits.uri,
    maxBodyBytes: config.limits.body,
    maxFrameBytes: config.limits.frame,
    headerTimeoutMs: config.timeouts.header,
    idleTimeoutMs: config.timeouts.idle,
    forwarded: config.forwarded,
    operationPath: config.operationPath,
    trusted: config.trusted,
    maxStreams: config.maxStreams,
    cell,
    boltGoAway: config.boltGoAway,
  }
  return {
    name: config.name,
    protocol: serverProtocolNamed(config.protocol),
    acceptor: {
      address: parseAddress(config.address),
      maxConnections: config.maxConnections,
      proxyProtocol: config.proxyProtocol,
      headerTimeoutMs: config.timeouts.header,
    },
    codec,
  }
}

/** What a cluster's configuration means. */
export function clusterOptions(config: ClusterConfig, { app, cell }: Config['node']): ClusterOptions {
  const codec: ClientCodecOptions = {
    maxHeadBytes: config.limits.head,
    maxHeaders: config.limits.headers,
    maxBodyBytes: config.limits.body,
    maxFrameBytes: config.limits.frame,
    idleTimeoutMs: config.timeouts.idle,
    maxStreams: config.maxStreams,
    maxRequests: config.maxRequestsPerConnection,
    cell,
    heartbeatMs: config.heartbeat,
    app,
  }
  return {
    name: config.name,
    protocol: protocolNamed(config.protocol),
    endpoints: config.endpoints.map(({ address, weight }) => ({ address: parseAddress(address), weight })),
    balancer: config.balancer,
    codec,
    connectTimeoutMs: config.timeouts.connect,
    queueTimeoutMs: config.limits.queueTimeout,
    maxConnections: config.limits.connections,
    sharedConnections: config.connectionsPerEndpoint,
    sharing: config.sharing,
    maxPending: config.limits.pending,
    dnsRefreshMs: config.dns.refresh,
  }
}

/** What the routes need beside their configuration. */
export interface RouteParts {
  readonly index: number
  /** Compiled filters, opaque. */
  readonly chain: unknown
  readonly fields: FieldContext
  readonly types: TypeDescriptions
  cluster(name: string): Destination
  /** What a configured cluster speaks. */
  protocol(cluster: string): ProtocolName
  /** Finds or makes the stats of a route by its name. */
  stats(name: string): ScopeStats
  /** The stats of a route that had a request under an earlier configuration, else null. */
  readonly usedStats?: (name: string) => ScopeStats | null
}

/**
 * A route ready to serve. Its stats are made by the first exchange, so that thousands of routes cost nothing; those that are there
 * are taken at once. Routes share their `pick` functions. Both are for the first exchange after a swap: a function that it has
 * not met, or code that never ran, would throw away the optimised code of the whole request path.
 */
class CompiledRoute implements Route {
  readonly name: string
  readonly index: number
  readonly pick: Route['pick']
  readonly redirect: Route['redirect']
  readonly timeoutMs: number
  readonly perTryTimeoutMs: number
  readonly rewritePath: Route['rewritePath']
  readonly rewriteAuthority: string | null
  readonly translation: Route['translation']
  readonly hashKey: Route['hashKey']
  readonly chain: unknown
  readonly #destinations: Destinations
  readonly #makeStats: (name: string) => ScopeStats
  #stats: ScopeStats | null

  constructor(name: string, config: RouteConfig, parts: RouteParts) {
    const { to, rewrite } = config
    this.name = name
    this.index = parts.index
    this.#destinations = destinationsOf(to, parts)
    const pick = this.#destinations.only === null ? CompiledRoute.#weighted : CompiledRoute.#only
    this.pick = to.redirect === null ? pick : null
    this.redirect = to.redirect === null ? null : compileRedirect(to.redirect, config.match.path)
    this.timeoutMs = config.timeout
    this.perTryTimeoutMs = config.perTryTimeout
    this.rewritePath =
      rewrite !== undefined && hasPathRewrite(rewrite) ? compilePathRewrite(rewrite, config.match.path) : null
    this.rewriteAuthority = rewrite?.host ?? null
    this.translation = translationOf(to, parts)
    this.hashKey = config.hashKey === undefined ? null : hashKeyReader(config.hashKey, parts.fields)
    this.chain = parts.chain
    this.#makeStats = parts.stats
    this.#stats = parts.usedStats?.(name) ?? null
  }

  get stats(): ScopeStats {
    this.#stats ??= this.#makeStats(this.name)
    return this.#stats
  }

  static readonly #only = function (this: CompiledRoute): Destination {
    return this.#destinations.only as Destination
  }

  static readonly #weighted = function (this: CompiledRoute): Destination {
    return (this.#destinations.weighted as WeightedChoice<Destination>).pick()
  }
}

/** Makes the route that `config` describes. Throws an `Error` for a rewrite, redirect or call that cannot be compiled. */
export function createRoute(name: string, config: RouteConfig, parts: RouteParts): Route {
  return new CompiledRoute(name, config, parts)
}

/** Whether a rewrite changes the path. */
export function hasPathRewrite(rewrite: NonNullable<RouteConfig['rewrite']>): boolean {
  return (rewrite.path ?? rewrite.prefix ?? rewrite.regex) !== undefined
}

function translationOf(
  { translation, clusters, call }: TargetConfig,
  parts: RouteParts,
): Route['translation'] {
  const target = clusters[0]
  if (translation === null || target === undefined) return null
  if (call === null) return { ...translation, call: null }
  return { ...translation, call: compileCall(call, parts.protocol(target.cluster), parts.types) }
}

/** What a route says about a call, compiled by the protocol that makes it. Throws an `Error` that says what is wrong. */
export function compileCall(target: CallTarget, protocol: ProtocolName, types: TypeDescriptions): Call {
  const { compileCall: compile } = protocolNamed(protocol)
  if (compile === null) throw new Error(`a cluster that speaks ${protocol} takes no calls`)
  return compile(target, types)
}

/** Where a route leads: to one cluster or by weight; both are null for a redirect. */
interface Destinations {
  readonly only: Destination | null
  readonly weighted: WeightedChoice<Destination> | null
}

function destinationsOf({ clusters, redirect }: TargetConfig, parts: RouteParts): Destinations {
  if (redirect !== null) return { only: null, weighted: null }
  const choices = clusters.map(({ cluster, weight }) => ({ weight, target: parts.cluster(cluster) }))
  const [first] = choices
  if (choices.length === 1 && first !== undefined) return { only: first.target, weighted: null }
  return { only: null, weighted: new WeightedChoice(choices) }
}

function hashKeyReader(field: string, context: FieldContext): (exchange: Exchange) => string {
  const read = compileField(field, context)
  return (exchange) => read(exchange) ?? ''
}

/** Resolves a path of a configuration against its file's folder. */
export function pathResolver(configFile: string): (file: string) => string {
  const folder = path.dirname(path.resolve(configFile))
  return (file) => path.resolve(folder, file)
}

/** Whether a running listener can take over another configuration: what is bound may not change. */
export function isSameListener(a: ListenerConfig, b: ListenerConfig): boolean {
  return a.name === b.name && a.address === b.address && a.protocol === b.protocol
}
