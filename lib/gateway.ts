/**
 * The composition root: how everything is wired, from one configuration file to a serving gateway, and how a new
 * configuration takes its place.
 */
import {
  cellOf,
  clusterOptions,
  isSameBinding,
  isSameCluster,
  listenerOptions,
  pathResolver,
} from './assemble.ts'
import { compileRuntime } from './compile.ts'
import type { ClusterConfig, Config, FilterCatalog, ListenerConfig } from './config/config.ts'
import { locateFindings } from './config/load.ts'
import { type FileResult, loadFile, loadInWorker } from './config/load-file.ts'
import { describeProblem, type Problem } from './config/problem.ts'
import { type ConfigWatch, watchConfig } from './config/watch.ts'
import type { PeerInfo } from './core/codec.ts'
import type { GatewayError } from './core/errors.ts'
import type { Exchange } from './core/exchange.ts'
import type { FilterServices } from './core/filter.ts'
import type { GatewayPhase } from './core/inspect.ts'
import type { LogSink } from './core/services.ts'
import { FILTERS } from './filters/index.ts'
import { makeServices, SlotRegistry } from './filters/services.ts'
import { Inspector } from './inspector.ts'
import { parseAddress } from './net/address.ts'
import type { NetContext } from './net/connection.ts'
import { Loop } from './net/loop.ts'
import { ScopeRegistry } from './scopes.ts'
import { Dispatcher } from './server/dispatcher.ts'
import { Listener } from './server/listener.ts'
import type { Runtime } from './server/runtime.ts'
import { registerGatewayMetrics } from './telemetry/gateway-metrics.ts'
import { createLogger, type GatewayLogger } from './telemetry/log.ts'
import { openLogSink } from './telemetry/log-sink.ts'
import { MetricsRegistry } from './telemetry/metrics.ts'
import { RecentErrors } from './telemetry/recent-errors.ts'
import { Cluster } from './upstream/cluster.ts'
import { systemLookup } from './upstream/resolver.ts'
import { UserFilters } from './user-filters.ts'
import { VERSION } from './version.ts'

/** A configuration was refused; `problems` has them all. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    super(`${file} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`)
    this.problems = problems
  }
}

/** What serves one accepted configuration. */
interface Serving {
  readonly config: Config
  readonly checksum: string
  readonly loadedAt: string
  readonly version: number
  readonly runtime: Runtime
}

/** The options' schemas of the built-in filters, for the loader. */
export const CATALOG: FilterCatalog = new Map([...FILTERS].map(([name, { schema }]) => [name, schema]))

/** A cluster or listener and the configuration that it runs with. */
interface Running<C, T> {
  readonly config: C
  readonly part: T
}

/** A cluster of the configuration that is about to serve. */
interface Planned extends Running<ClusterConfig, Cluster> {
  readonly isNew: boolean
}

/** How a gateway is started. */
export interface GatewayOptions {
  readonly file: string
  /** Follow changes of the file and of users' filters. */
  readonly isWatching: boolean
}

/** See the file's head. One per process, or several in tests. */
export class Gateway {
  readonly loop = new Loop()
  readonly log: GatewayLogger
  readonly metrics: MetricsRegistry
  readonly scopes = new ScopeRegistry()
  readonly recentErrors = new RecentErrors()
  readonly dispatcher: Dispatcher
  readonly clusters = new Map<string, Running<ClusterConfig, Cluster>>()
  readonly listeners = new Map<string, Running<ListenerConfig, Listener>>()
  readonly inspector: Inspector
  phase: GatewayPhase = 'starting'
  /** Why the newest change was refused; null when it serves. */
  refused: readonly string[] | null = null
  refusedCount = 0
  /** Called when a drain that the admin port began is over. */
  onStopped: (() => void) | null = null
  readonly file: string
  readonly #options: GatewayOptions
  readonly #net: NetContext
  readonly #slots = new SlotRegistry()
  readonly userFilters: UserFilters
  #serving: Serving | null = null
  #watch: ConfigWatch | null = null
  #admin: { readonly address: string; close(): Promise<void> } | null = null
  #reloading: Promise<void> = Promise.resolve()
  #draining: Promise<void> | null = null
  #onIdle: (() => void) | null = null

  constructor(options: GatewayOptions) {
    this.#options = options
    this.file = options.file
    this.log = createLogger()
    this.#net = { loop: this.loop, log: this.log }
    this.metrics = new MetricsRegistry({ version: VERSION, node: { app: '', cell: '' } })
    this.dispatcher = new Dispatcher(this, {
      timers: this.loop,
      now: () => this.loop.now(),
      onFailed: (exchange, error) => this.#onFailed(exchange, error),
      onProtocolError: (error, peer, status) => this.#onProtocolError(error, peer, status),
      onIdle: () => this.#onIdle?.(),
    })
    this.userFilters = new UserFilters(options.isWatching, () => this.#reloadLater('a filter module changed'))
    this.inspector = new Inspector(this)
  }

  /** The runtime for new exchanges. */
  get runtime(): Runtime {
    return this.serving.runtime
  }

  /** What serves; throws before the first configuration was accepted. */
  get serving(): Serving {
    if (this.#serving === null) throw new Error('no configuration is loaded')
    return this.#serving
  }

  /** Where the admin port listens, null when there is none. */
  get adminAddress(): string | null {
    return this.#admin?.address ?? null
  }

  /** Loads the file and serves. Rejects with {@link ConfigError}, or an `Error` that says what is in the way. */
  async start(): Promise<void> {
    const result = await loadFile(this.file, CATALOG)
    const config = accepted(this.file, result)
    this.log.setLevel(config.log.level)
    try {
      await this.#apply(config, result)
    } catch (error) {
      await this.destroy()
      throw error
    }
    this.phase = 'ready'
    if (config.admin !== undefined) await this.#startAdmin(config.admin.address)
    if (this.#options.isWatching)
      this.#watch = watchConfig(this.file, () => this.#reloadLater('the file changed'))
  }

  /** Loads the file anew. A change that is refused leaves everything as it is; why is in `refused`. */
  reload(): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reload())
    return this.#reloading
  }

  /** Finishes what runs, for at most the configured grace time, and stops. Calling it again gives the same promise. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  /** Stops at once. */
  async destroy(): Promise<void> {
    this.phase = 'stopped'
    this.#watch?.close()
    this.userFilters.close()
    for (const { part } of this.listeners.values()) part.destroy()
    for (const { part } of this.clusters.values()) part.destroy()
    this.#serving?.runtime.retire(() => undefined)
    await this.#admin?.close()
    this.inspector.close()
    this.log.flush()
  }

  async #startAdmin(address: string): Promise<void> {
    const { startAdmin } = await import('./admin/server.ts')
    registerGatewayMetrics(this.metrics, this.inspector)
    this.inspector.exportScopes()
    this.#admin = await startAdmin(adminTarget(address), this.inspector, this.log)
  }

  #reloadLater(why: string): void {
    this.log.info({ file: this.file }, `${why}, loading the configuration`)
    void this.reload()
  }

  async #reload(): Promise<void> {
    if (this.phase !== 'ready') return
    try {
      const result = await loadInWorker(this.file, CATALOG)
      const config = accepted(this.file, result)
      if (result.checksum === this.serving.checksum && !this.userFilters.hasChanged) {
        this.refused = null
        return
      }
      await this.#apply(config, result)
      const { version, checksum } = this.serving
      this.log.info({ version, checksum }, 'configuration accepted')
    } catch (error) {
      this.#refuse(error)
    }
  }

  #refuse(error: unknown): void {
    this.refusedCount++
    this.refused =
      error instanceof ConfigError
        ? error.problems.map((problem) => describeProblem(problem))
        : [error instanceof Error ? error.message : String(error)]
    this.log.error(
      { file: this.file, problems: this.refused },
      'configuration refused, the old one serves on',
    )
  }

  /** Builds everything that a configuration needs beside what serves, then swaps in one step. */
  async #apply(config: Config, { checksum, text }: FileResult): Promise<void> {
    const clusters = this.#planClusters(config)
    const opened: Listener[] = []
    try {
      const { runtime, findings, modules } = await compileRuntime(config, {
        file: this.file,
        owner: this.dispatcher,
        services: this.#filterServices(config),
        userFilters: this.userFilters,
        previous: this.#serving?.runtime.chain.set ?? null,
        cluster: (name) => (clusters.get(name) as Planned).part,
        routeStats: (name) => this.scopes.route(name),
      })
      if (runtime === null) throw new ConfigError(this.file, locateFindings(text, findings))
      await Promise.all([...clusters.values()].map(({ part, isNew }) => isNew && part.start()))
      const listeners = await this.#openListeners(config, opened)
      this.#swap({ config, checksum, runtime, modules }, clusters, listeners)
    } catch (error) {
      for (const listener of opened) listener.destroy()
      for (const { part, isNew } of clusters.values()) if (isNew) part.destroy()
      throw error
    }
  }

  #filterServices(config: Config): (name: string) => FilterServices {
    const shared = {
      log: this.log,
      metrics: this.metrics,
      clock: this.loop,
      timers: this.loop,
      node: config.node,
      resolvePath: pathResolver(this.file),
      openLog: (path: string | null) => this.#openLog(path),
    }
    return makeServices(shared, this.#slots)
  }

  #openLog(path: string | null): LogSink {
    const dropped = this.metrics.counter(
      'meshgate_log_lines_dropped_total',
      'Access log lines lost to a slow disk.',
    )
    const onDrop = (lines: number): void => {
      dropped.value += lines
    }
    return openLogSink(path, onDrop, (error) =>
      this.log.error({ path, err: error }, 'cannot write the access log'),
    )
  }

  #planClusters(config: Config): Map<string, Planned> {
    const plan = new Map<string, Planned>()
    const cell = cellOf(config)
    const isSameCell = this.#serving !== null && cellOf(this.#serving.config) === cell
    for (const cluster of config.clusters) {
      const running = this.clusters.get(cluster.name)
      if (running !== undefined && isSameCell && isSameCluster(running.config, cluster)) {
        plan.set(cluster.name, { ...running, isNew: false })
        continue
      }
      const services = {
        net: this.#net,
        handler: this.dispatcher,
        stats: this.scopes.cluster(cluster.name),
        lookup: systemLookup,
      }
      plan.set(cluster.name, {
        config: cluster,
        part: new Cluster(clusterOptions(cluster, cell), services),
        isNew: true,
      })
    }
    return plan
  }

  /** Binds what is new, so that a port in use refuses the change before anything is touched. */
  async #openListeners(
    config: Config,
    opened: Listener[],
  ): Promise<Map<string, Running<ListenerConfig, Listener>>> {
    const plan = new Map<string, Running<ListenerConfig, Listener>>()
    for (const listenerConfig of config.listeners) {
      const running = this.listeners.get(listenerConfig.name)
      if (running !== undefined && isSameBinding(running.config, listenerConfig)) {
        plan.set(listenerConfig.name, { config: listenerConfig, part: running.part })
        continue
      }
      const listener = new Listener(listenerOptions(listenerConfig, cellOf(config)), {
        net: this.#net,
        handler: this.dispatcher,
        stats: this.scopes.listener(listenerConfig.name),
        log: this.log,
      })
      await listener.listen()
      opened.push(listener)
      plan.set(listenerConfig.name, { config: listenerConfig, part: listener })
    }
    return plan
  }

  /** The one step in which a configuration takes the place of another. Synchronous: no exchange sees half of it. */
  #swap(
    next: Pick<Serving, 'config' | 'checksum' | 'runtime'> & { readonly modules: ReadonlySet<string> },
    clusters: ReadonlyMap<string, Planned>,
    listeners: ReadonlyMap<string, Running<ListenerConfig, Listener>>,
  ): void {
    const { config, checksum, runtime, modules } = next
    const before = this.#serving
    const oldClusters = new Map(this.clusters)
    const oldListeners = new Map(this.listeners)
    const version = (before?.version ?? 0) + 1
    this.#serving = { config, checksum, loadedAt: new Date().toISOString(), version, runtime }
    this.refused = null
    this.userFilters.accept(modules)
    replaceAll(this.clusters, clusters)
    replaceAll(this.listeners, listeners)
    for (const { config: listenerConfig, part } of listeners.values()) {
      part.update(listenerOptions(listenerConfig, cellOf(config)))
    }
    for (const [name, { part }] of oldListeners) {
      if (this.listeners.get(name)?.part === part) continue
      part.stop()
      part.drain(config.drain.grace)
    }
    before?.runtime.retire(() => {
      for (const [name, { part }] of oldClusters) if (this.clusters.get(name)?.part !== part) part.close()
    })
  }

  async #drain(): Promise<void> {
    this.phase = 'draining'
    this.#watch?.close()
    await this.#reloading
    const { grace, delay } = this.serving.config.drain
    const listeners = [...this.listeners.values()].map(({ part }) => part)
    for (const listener of listeners) listener.drain(grace)
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
    // One more turn of the loop, so that what the kernel had queued for us is accepted before the port closes.
    await new Promise((resolve) => setImmediate(resolve))
    for (const listener of listeners) listener.stop()
    await this.#connectionsGone(listeners, grace)
    await this.destroy()
    this.onStopped?.()
  }

  /** Resolves when every connection is closed, or after `graceMs`. */
  #connectionsGone(listeners: readonly Listener[], graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const startMs = performance.now()
      const check = (): void => {
        const open = listeners.reduce((count, listener) => count + listener.connections.size, 0)
        if (open > 0 && performance.now() - startMs < graceMs) return
        clearInterval(timer)
        resolve()
      }
      const timer = setInterval(check, 20)
      this.#onIdle = check
      check()
    })
  }

  #onFailed(exchange: Exchange, error: GatewayError): void {
    this.metrics.counter('meshgate_errors_total', 'Exchanges that meshgate failed or refused, by code.', {
      code: error.code,
    }).value++
    this.recentErrors.add({
      time: new Date(this.loop.wallNow()).toISOString(),
      code: error.code,
      message: error.message,
      listener: exchange.listener.name,
      route: exchange.route?.name ?? '',
      cluster: exchange.destination?.name ?? '',
      peer: exchange.peer.remoteAddress,
      traceId: exchange.traceId,
    })
    const isOurs = error.code === 'INTERNAL' || error.code === 'FILTER_FAILED'
    if (isOurs) this.log.error({ err: error, traceId: exchange.traceId }, 'exchange failed')
    else if (this.log.isLevelEnabled('debug'))
      this.log.debug({ err: error, traceId: exchange.traceId }, 'exchange failed')
  }

  #onProtocolError(error: GatewayError, peer: PeerInfo, status: number): void {
    this.metrics.counter('meshgate_errors_total', 'Exchanges that meshgate failed or refused, by code.', {
      code: error.code,
    }).value++
    this.recentErrors.add({
      time: new Date(this.loop.wallNow()).toISOString(),
      code: error.code,
      message: error.message,
      listener: '',
      route: '',
      cluster: '',
      peer: peer.remoteAddress,
      traceId: '',
    })
    if (this.log.isLevelEnabled('debug'))
      this.log.debug({ err: error, peer: peer.remoteAddress, status }, 'connection refused')
  }
}

/** The configuration of a file that was loaded; throws {@link ConfigError} when it has errors. */
function accepted(file: string, { config, problems }: FileResult): Config {
  if (config === null) throw new ConfigError(file, problems)
  return config
}

function replaceAll<V>(target: Map<string, V>, source: ReadonlyMap<string, V>): void {
  target.clear()
  for (const [name, value] of source) target.set(name, value)
}

/** Where the admin port listens. */
function adminTarget(address: string): { host: string; port: number } | { path: string } {
  const parsed = parseAddress(address)
  return parsed.kind === 'unix' ? { path: parsed.path } : { host: parsed.host, port: parsed.port }
}
