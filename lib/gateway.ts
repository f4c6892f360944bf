/**
 * The composition root: how everything is wired, from one configuration file to a serving gateway, and how a new
 * configuration takes its place.
 */
import { AdminDoor } from './admin-door.ts'
import { type Compiled, compileRuntime } from './compile.ts'
import type { Config } from './config/config.ts'
import { checksumOf, locateFindings } from './config/load.ts'
import { type FileResult, loadFile, loadInWorker, readConfigFile } from './config/load-file.ts'
import { type KnownConfig, loadInSteps } from './config/load-steps.ts'
import { ConfigError, comparePlaces, describeProblem } from './config/problem.ts'
import { createTurns, NO_TURNS } from './config/turns.ts'
import { type ConfigWatch, watchConfig } from './config/watch.ts'
import type { GatewayPhase } from './core/inspect.ts'
import { FailureLog } from './failure-log.ts'
import { filterServices } from './filter-services.ts'
import { CATALOG } from './filter-specs.ts'
import { SlotRegistry } from './filters/services.ts'
import type { NetContext } from './net/connection.ts'
import { Loop } from './net/loop.ts'
import { loadProtocols } from './protocols/index.ts'
import { type ClusterPlan, type RunningCluster, RunningClusters } from './running-clusters.ts'
import { type ListenerPlan, type RunningListener, RunningListeners } from './running-listeners.ts'
import { ScopeRegistry } from './scopes.ts'
import { Dispatcher } from './server/dispatcher.ts'
import type { Runtime } from './server/runtime.ts'
import { gatewayCounter } from './telemetry/gateway-counters.ts'
import { createLogger, type GatewayLogger } from './telemetry/log.ts'
import { MetricsRegistry } from './telemetry/metrics.ts'
import { RecentErrors } from './telemetry/recent-errors.ts'
import { systemLookup } from './upstream/resolver.ts'
import { UserFilters } from './user-filters.ts'
import { VERSION } from './version.ts'

/** What serves one accepted configuration. */
export interface Serving {
  readonly config: Config
  readonly checksum: string
  /** Null when there was something to say about it. */
  readonly known: KnownConfig | null
  readonly loadedAt: string
  readonly version: number
  readonly runtime: Runtime
  /** By position of the route. */
  readonly routeNames: readonly string[]
  /** Called when the last exchange is over. */
  readonly releaseClusters: () => void
}

/** Everything that a configuration needs to serve, not yet serving. */
interface Prepared {
  readonly result: FileResult
  readonly config: Config
  readonly compiled: Compiled
  readonly clusters: ClusterPlan
  readonly listeners: ListenerPlan
  /** Null when the configuration has none. */
  readonly admin: AdminDoor | null
}

/** How a gateway is started. */
export interface GatewayOptions {
  readonly file: string
  /** Follow changes of the file and of users' filters. */
  readonly isWatching: boolean
}

/** What is loaded late is loaded then, and not in the middle of the traffic that needs it. */
const PREPARE_AFTER_MS = 500

/** See the file's head. One per process, or several in tests. */
export class Gateway {
  readonly loop = new Loop()
  readonly log: GatewayLogger
  readonly metrics: MetricsRegistry
  readonly scopes = new ScopeRegistry()
  readonly recentErrors = new RecentErrors()
  readonly dispatcher: Dispatcher
  readonly userFilters: UserFilters
  readonly file: string
  phase: GatewayPhase = 'starting'
  /** Why the newest change was refused; null when it serves. */
  refused: readonly string[] | null = null
  /** Called when a drain that the admin port began is over. */
  onStopped: (() => void) | null = null
  readonly #options: GatewayOptions
  readonly #net: NetContext
  readonly #slots = new SlotRegistry()
  readonly #clusters: RunningClusters
  readonly #listeners: RunningListeners
  #serving: Serving | null = null
  #watch: ConfigWatch | null = null
  #admin: AdminDoor | null = null
  #afterStart: NodeJS.Timeout | null = null
  #reloading: Promise<void> = Promise.resolve()
  #draining: Promise<void> | null = null

  constructor(options: GatewayOptions) {
    this.#options = options
    this.file = options.file
    this.log = createLogger()
    this.#net = { loop: this.loop, log: this.log }
    this.metrics = new MetricsRegistry({ version: VERSION, node: this.#nodeLabels() })
    const failures = new FailureLog({
      log: this.log,
      metrics: this.metrics,
      recentErrors: this.recentErrors,
      wallNow: () => this.loop.wallNow(),
    })
    this.dispatcher = new Dispatcher(this, {
      timers: this.loop,
      now: () => this.loop.now(),
      onFailed: (exchange, error) => failures.onExchange(exchange, error),
      onServiceFailed: (exchange, detail) => failures.onService(exchange, detail),
      onProtocolError: (error, peer, status) => failures.onConnection(error, peer, status),
    })
    this.#clusters = new RunningClusters((name) => ({
      net: this.#net,
      handler: this.dispatcher,
      stats: this.scopes.cluster(name),
      lookup: systemLookup,
    }))
    this.#listeners = new RunningListeners((name) => ({
      net: this.#net,
      handler: this.dispatcher,
      stats: this.scopes.listener(name),
      log: this.log,
    }))
    this.userFilters = new UserFilters({
      log: this.log,
      metrics: this.metrics,
      isWatching: options.isWatching,
      onChange: () => this.#reloadLater('a filter module changed'),
    })
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

  /** The clusters that serve, by name. */
  get clusters(): ReadonlyMap<string, RunningCluster> {
    return this.#clusters.current
  }

  /** The listeners that serve, by name. */
  get listeners(): ReadonlyMap<string, RunningListener> {
    return this.#listeners.current
  }

  /** Where the admin port listens, null when there is none. */
  get adminAddress(): string | null {
    return this.#admin?.address ?? null
  }

  /** Loads the file and serves. Rejects with {@link ConfigError}, or an `Error` that says what is in the way. */
  async start(): Promise<void> {
    try {
      const result = await loadFile(this.file, CATALOG)
      this.#swap(await this.#prepare(result))
    } catch (error) {
      await this.destroy()
      throw error
    }
    this.phase = 'ready'
    this.#afterStart = setTimeout(() => this.#prepareLater(), PREPARE_AFTER_MS)
    this.#afterStart.unref()
    const { checksum } = this.serving
    if (this.#options.isWatching)
      this.#watch = watchConfig(this.file, () => this.#reloadLater('the file changed'), { checksum })
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
    if (this.#afterStart !== null) clearTimeout(this.#afterStart)
    this.userFilters.close()
    this.#listeners.destroy()
    this.#clusters.destroy()
    this.#serving?.runtime.retire(() => undefined)
    await this.#admin?.close()
    this.log.flush()
  }

  // — configuration ——————————————————————————————————————————————————————————————————————————————

  /** The first change would otherwise be read by code that never ran: 4 ms at a stretch. */
  #prepareLater(): void {
    this.log.prepare()
    const { known } = this.serving
    if (known === null || !this.#options.isWatching) return
    void loadInSteps(`${known.text}\n#`, CATALOG, createTurns(false), known)
  }

  #reloadLater(why: string): void {
    this.log.info({ file: this.file }, `${why}, loading the configuration`)
    void this.reload()
  }

  async #reload(): Promise<void> {
    if (this.phase !== 'ready') return
    try {
      await this.userFilters.check()
      const result = await this.#load()
      if (result === null) {
        this.refused = null
        return
      }
      const prepared = await this.#prepare(result)
      if (this.#isNothingNew(prepared)) await this.#discard(prepared)
      else this.#swap(prepared)
    } catch (error) {
      this.#refuse(error)
    }
  }

  /** What there is to load; null when neither the file nor a filter module has changed. */
  async #load(): Promise<FileResult | null> {
    const { checksum, config, known } = this.serving
    const text = await readConfigFile(this.file)
    if (checksumOf(text) === checksum)
      return this.userFilters.hasChanged ? { config, problems: [], checksum, text } : null
    const result = await loadInSteps(text, CATALOG, createTurns(), known)
    return result === null ? loadInWorker(this.file, CATALOG) : { ...result, text }
  }

  #refuse(error: unknown): void {
    gatewayCounter(this.metrics, 'configRefusals').value++
    this.refused =
      error instanceof ConfigError
        ? error.problems.map((problem) => describeProblem(problem))
        : [error instanceof Error ? error.message : String(error)]
    this.log.error(
      { file: this.file, problems: this.refused },
      'configuration refused, the old one serves on',
    )
  }

  /** Builds everything that a configuration needs beside what serves. Leaves nothing behind when it rejects. */
  async #prepare(result: FileResult): Promise<Prepared> {
    const { config, problems } = result
    if (config === null) throw new ConfigError(this.file, problems)
    this.userFilters.hasChanged = false
    await loadProtocols([...config.listeners, ...config.clusters].map(({ protocol }) => protocol))
    const clusters = this.#clusters.plan(config)
    let compiled: Compiled | null = null
    let listeners: ListenerPlan = new Map()
    try {
      compiled = await this.#compile(config, result, clusters)
      await this.#clusters.start(clusters)
      listeners = await this.#listeners.plan(config)
      const admin = await this.#openAdmin(config)
      const prepared = { result, config, compiled, clusters, listeners, admin }
      // Somebody may have stopped the gateway meanwhile.
      if (this.phase !== 'stopped') return prepared
      if (admin !== this.#admin) await admin?.close()
      throw new Error('the gateway was stopped')
    } catch (error) {
      this.#listeners.discard(listeners)
      this.#clusters.discard(clusters)
      compiled?.runtime.retire(() => undefined)
      throw error
    }
  }

  async #compile(config: Config, result: FileResult, clusters: ClusterPlan): Promise<Compiled> {
    const outcome = await compileRuntime(config, {
      file: this.file,
      owner: this.dispatcher,
      services: filterServices(this, config, this.#slots),
      userFilters: this.userFilters,
      previous: this.#serving?.runtime.chain.set ?? null,
      turns: this.#serving === null ? NO_TURNS : createTurns(),
      cluster: (name) => (clusters.get(name) as RunningCluster).part,
      routeStats: (name) => this.scopes.route(name),
      usedRouteStats: (name) => this.scopes.routeIfUsed(name),
    })
    if (outcome.runtime !== null) return outcome
    const found = locateFindings(result.text, outcome.findings)
    throw new ConfigError(this.file, [...result.problems, ...found].sort(comparePlaces))
  }

  /** The admin port of a configuration: the one that is open, or a new one where the address is another. */
  async #openAdmin(config: Config): Promise<AdminDoor | null> {
    const address = config.admin?.address
    if (address === undefined) return null
    if (this.#admin?.configured === address) return this.#admin
    const door = new AdminDoor(address, this)
    await door.open()
    return door
  }

  /** The same text, and no module of which another version could be used. */
  #isNothingNew({ result, compiled }: Prepared): boolean {
    return result.checksum === this.serving.checksum && this.userFilters.areServing(compiled.modules)
  }

  async #discard({ compiled, clusters, listeners, admin }: Prepared): Promise<void> {
    this.#refuseModules(compiled)
    this.#listeners.discard(listeners)
    this.#clusters.discard(clusters)
    compiled.runtime.retire(() => undefined)
    if (admin !== this.#admin) await admin?.close()
  }

  #refuseModules({ refused }: Compiled): void {
    for (const [path, reason] of refused) this.userFilters.refuse(path, reason)
  }

  /** The one step in which a configuration takes the place of another. Synchronous: no exchange sees half of it. */
  #swap({ result, config, compiled, clusters, listeners, admin }: Prepared): void {
    const { runtime, routeNames, modules } = compiled
    const before = this.#serving
    const version = (before?.version ?? 0) + 1
    this.#serving = {
      config,
      checksum: result.checksum,
      known: result.problems.length > 0 ? null : { text: result.text, config },
      loadedAt: new Date().toISOString(),
      version,
      runtime,
      routeNames,
      releaseClusters: this.#clusters.commit(clusters),
    }
    this.refused = null
    this.userFilters.accept(modules)
    this.#refuseModules(compiled)
    this.#listeners.commit(listeners, config)
    before?.runtime.retire(before.releaseClusters)
    this.scopes.prune(config, routeNames)
    if (admin !== this.#admin) void this.#admin?.close()
    this.#admin = admin
    if (before?.config.log.level !== config.log.level) this.log.setLevel(config.log.level)
    if (before !== null) this.log.info({ version, checksum: result.checksum }, 'configuration accepted')
    for (const problem of result.problems)
      this.log.warn({ line: problem.line, column: problem.column }, describeProblem(problem))
  }

  /** Read when the metrics are first exported: the configuration is not loaded yet. */
  #nodeLabels(): { readonly app: string; readonly cell: string } {
    const node = (): Config['node'] | undefined => this.#serving?.config.node
    return {
      get app() {
        return node()?.app ?? ''
      },
      get cell() {
        return node()?.cell ?? ''
      },
    }
  }

  // — drain ——————————————————————————————————————————————————————————————————————————————————————

  async #drain(): Promise<void> {
    this.phase = 'draining'
    this.#watch?.close()
    await this.#reloading
    const { grace, delay } = this.serving.config.drain
    this.#listeners.drain(grace)
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
    // One more turn of the loop, so that what the kernel had queued for us is accepted before the port closes.
    await new Promise((resolve) => setImmediate(resolve))
    this.#listeners.stop()
    await this.#listeners.gone(grace)
    const { live } = this.dispatcher
    if (live > 0) this.log.warn({ exchanges: live }, 'the grace time is over, running exchanges are cut off')
    await this.destroy()
    this.onStopped?.()
  }
}
