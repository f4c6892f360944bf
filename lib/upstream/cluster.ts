/** A named set of endpoints that serve the same thing. */
import type {
  ClientCodecOptions,
  ClientOwner,
  Protocol,
  UpstreamHandler,
  UpstreamStream,
} from '../core/codec.ts'
import { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { EndpointReport } from '../core/inspect.ts'
import type { ProtocolName } from '../core/message.ts'
import type { Destination } from '../core/route.ts'
import type { ScopeStats } from '../core/services.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { Connection, NetContext } from '../net/connection.ts'
import { type Balancer, type BalancerName, createBalancer } from './balancer.ts'
import { Host } from './host.ts'
import { LanedHost, type LanedHostContext } from './laned-host.ts'
import { type Lookup, literalAddress, needsResolver, Resolver } from './resolver.ts'

/** One endpoint as configured. */
export interface EndpointOptions {
  readonly address: Address
  readonly weight: number
}

/** What a cluster is made of. Times in milliseconds. */
export interface ClusterOptions {
  readonly name: string
  readonly protocol: Protocol
  readonly endpoints: readonly EndpointOptions[]
  readonly balancer: BalancerName
  readonly codec: ClientCodecOptions
  readonly connectTimeoutMs: number
  readonly queueTimeoutMs: number
  /** Connections to one address at most. */
  readonly maxConnections: number
  /** Connections that a multiplexed protocol opens to one address. */
  readonly sharedConnections: number
  /** Whose streams share a connection: everybody's, or those of one caller's connection. */
  readonly sharing: 'all' | 'caller'
  /** Exchanges that may wait for a connection, over all endpoints. */
  readonly maxPending: number
  readonly dnsRefreshMs: number
}

/** What a cluster takes from the gateway. */
export interface ClusterServices {
  readonly net: NetContext
  readonly handler: UpstreamHandler
  readonly stats: ScopeStats
  readonly lookup: Lookup
}

/** One resolved address. */
type AnyHost = Host | LanedHost

/** A configured endpoint and the hosts its name stands for. */
interface Endpoint {
  readonly options: EndpointOptions
  readonly resolver: Resolver | null
  hosts: AnyHost[]
}

/** See the file's head. Lives on when a new configuration describes it alike. */
export class Cluster implements Destination, LanedHostContext {
  readonly name: string
  readonly stats: ScopeStats
  readonly options: ClusterOptions
  readonly net: NetContext
  readonly handler: UpstreamHandler
  /** Exchanges that wait for a connection. */
  queued = 0
  readonly #endpoints: Endpoint[]
  /** Hosts whose address is gone and whose last exchanges run. */
  readonly #leaving = new Set<AnyHost>()
  #balancer: Balancer<AnyHost>

  constructor(options: ClusterOptions, services: ClusterServices) {
    this.name = options.name
    this.options = options
    this.stats = services.stats
    this.net = services.net
    this.handler = services.handler
    this.#endpoints = options.endpoints.map((endpoint) => this.#createEndpoint(endpoint, services))
    this.#balancer = createBalancer(options.balancer, this.hosts())
  }

  get protocolName(): ProtocolName {
    return this.options.protocol.name
  }

  get isMultiplexed(): boolean {
    return this.options.protocol.isMultiplexed
  }

  get connectTimeoutMs(): number {
    return this.options.connectTimeoutMs
  }

  get queueTimeoutMs(): number {
    return this.options.queueTimeoutMs
  }

  get maxConnections(): number {
    return this.options.maxConnections
  }

  get sharedConnections(): number {
    return this.options.sharedConnections
  }

  /** Settles when every name has been looked up once. */
  async start(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.resolver?.start()))
  }

  open(exchange: Exchange): UpstreamStream | GatewayError | null {
    const { protocol } = exchange.request
    // The arguments of an RPC are in a language of their own, which no other protocol's process could read.
    if (protocol !== this.options.protocol.name && (protocol === 'bolt' || protocol === 'dubbo'))
      return new GatewayError('FEATURE_UNSUPPORTED', `cluster ${this.name} speaks no ${protocol}`)
    const host = this.#balancer.pick(exchange.hashKey)
    if (host === null) return new GatewayError('NO_ENDPOINT', `cluster ${this.name}`)
    const wasTried = exchange.attempts > 1 && host.name === exchange.endpoint
    // A key keeps its host as long as that is usable.
    if (!wasTried || (this.options.balancer === 'ring-hash' && host.isUsable)) return host.open(exchange)
    return this.#otherThan(host).open(exchange)
  }

  /** A second attempt goes elsewhere when there is an elsewhere. */
  #otherThan(tried: AnyHost): AnyHost {
    const others = this.hosts().filter((host) => host !== tried && host.weight > 0)
    const usable = others.filter((host) => host.isUsable)
    const choice = usable.length > 0 ? usable : others
    return choice[Math.floor(Math.random() * choice.length)] ?? tried
  }

  abandon(exchange: Exchange): void {
    for (const host of this.hosts()) if (host.abandon(exchange)) return
  }

  /** Every host of every endpoint. */
  hosts(): AnyHost[] {
    return this.#endpoints.flatMap((endpoint) => endpoint.hosts)
  }

  /** Opens no more connections; running exchanges finish. */
  close(): void {
    for (const endpoint of this.#endpoints) {
      endpoint.resolver?.close()
      for (const host of endpoint.hosts) host.close()
    }
  }

  /** Closes every connection now. */
  destroy(): void {
    this.close()
    for (const host of [...this.hosts(), ...this.#leaving]) host.destroy()
  }

  /** What the admin port shows. */
  report(): EndpointReport[] {
    return this.#endpoints.map(({ options, hosts }) => ({
      address: formatAddress(options.address),
      resolved: hosts.map((host) => host.name),
      weight: options.weight,
      active: sum(hosts, (host) => host.active),
      connections: sum(hosts, (host) => host.connections.size),
      connectFailures: sum(hosts, (host) => host.connectFailures),
      isUsable: hosts.some((host) => host.isUsable),
    }))
  }

  createCodec(connection: Connection, owner: ClientOwner): ReturnType<Protocol['createClient']> {
    return this.options.protocol.createClient(connection, this.options.codec, this.handler, owner)
  }

  mayQueue(): boolean {
    return this.queued < this.options.maxPending
  }

  onQueued(change: number): void {
    this.queued += change
  }

  #createHost(address: Address, weight: number): AnyHost {
    const isShared = this.options.sharing === 'all'
    return isShared ? new Host(address, weight, this) : new LanedHost(address, weight, this)
  }

  #createEndpoint(options: EndpointOptions, services: ClusterServices): Endpoint {
    if (!needsResolver(options.address)) {
      return {
        options,
        resolver: null,
        hosts: [this.#createHost(literalAddress(options.address), options.weight)],
      }
    }
    const { loop, log } = services.net
    const resolver = new Resolver(
      options.address,
      this.options.dnsRefreshMs,
      { timers: loop, log, lookup: services.lookup },
      () => this.#onResolved(endpoint),
    )
    const endpoint: Endpoint = { options, resolver, hosts: [] }
    return endpoint
  }

  /** Keeps the hosts whose address is still there, with their connections; drains the others. */
  #onResolved(endpoint: Endpoint): void {
    const known = new Map(endpoint.hosts.map((host) => [host.name, host]))
    endpoint.hosts = (endpoint.resolver as Resolver).addresses.map((address) => {
      const host = known.get(formatAddress(address))
      known.delete(formatAddress(address))
      return host ?? this.#createHost(address, endpoint.options.weight)
    })
    this.#balancer = createBalancer(this.options.balancer, this.hosts())
    for (const host of this.#leaving) if (host.connections.size === 0) this.#leaving.delete(host)
    for (const gone of known.values()) {
      this.#leaving.add(gone)
      gone.close()
    }
  }
}

function sum(hosts: readonly AnyHost[], read: (host: AnyHost) => number): number {
  return hosts.reduce((total, host) => total + read(host), 0)
}
