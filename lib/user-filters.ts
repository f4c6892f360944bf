/** Users' filter modules of one gateway: loaded once, loaded again when their file changes, refused while they are broken. */
import type { FilterDefinition } from './core/filter.ts'
import type { Logger, Metrics } from './core/services.ts'
import { type UserModule, type UserModuleWatch, watchUserModule } from './filters/user-module.ts'
import { gatewayCounter } from './telemetry/gateway-counters.ts'

/** What {@link UserFilters} needs. */
export interface UserFilterServices {
  readonly log: Logger
  readonly metrics: Metrics
  /** Follow the files; otherwise only {@link UserFilters.check} looks at them. */
  readonly isWatching: boolean
  /** A module has a version that was not tried yet. */
  readonly onChange: () => void
}

/** What is known of one module. */
interface Known {
  readonly watch: UserModuleWatch
  /** The newest version that could be loaded; null when none could. */
  newest: FilterDefinition | null
  /** The version that the accepted configuration uses; null before one did. */
  serving: FilterDefinition | null
  /** Why the newest version was refused; null when it serves or was not tried yet. */
  refused: string | null
  /** The text as it is now cannot be loaded. */
  isBroken: boolean
}

/** See the file's head. */
export class UserFilters {
  /** A module has a version that was not tried yet. */
  hasChanged = false
  readonly #services: UserFilterServices
  readonly #modules = new Map<string, Promise<Known>>()
  /** Those of `#modules` whose first load is over. */
  readonly #known = new Map<string, Known>()

  constructor(services: UserFilterServices) {
    this.#services = services
  }

  /** The newest version of the module at `path`; throws an `Error` with file and line when none could be loaded. */
  async newest(path: string): Promise<FilterDefinition> {
    let loading = this.#modules.get(path)
    if (loading === undefined) {
      loading = this.#load(path)
      this.#modules.set(path, loading)
    }
    const { newest, refused } = await loading
    if (newest === null) throw new Error(refused ?? `${path} cannot be loaded`)
    return newest
  }

  /** The version that serves, null when none does. */
  serving(path: string): FilterDefinition | null {
    return this.#known.get(path)?.serving ?? null
  }

  /** Why the newest version of a module is not the one that serves; null when it is. */
  refusal(path: string): string | null {
    return this.#known.get(path)?.refused ?? null
  }

  /** Every refusal, in the order of the modules' first use. */
  refusals(): string[] {
    return [...this.#known.values()].flatMap(({ refused }) => refused ?? [])
  }

  /** Looks at every file now; settles when the changed ones are loaded. */
  async check(): Promise<void> {
    await Promise.all([...this.#known.values()].map(({ watch }) => watch.check()))
  }

  /** Keeps a reason that only showed when filters were made with the newest version. */
  refuse(path: string, reason: string): void {
    const known = this.#known.get(path)
    if (known !== undefined) this.#refuse(path, known, reason)
  }

  /** A configuration with these versions serves; modules that it does not use are forgotten. */
  accept(used: ReadonlyMap<string, FilterDefinition>): void {
    for (const [path, known] of this.#known) {
      const definition = used.get(path)
      if (definition === undefined) this.#forget(path, known)
      else {
        known.serving = definition
        if (definition === known.newest && !known.isBroken) known.refused = null
      }
    }
  }

  /** Whether exactly these versions serve already. */
  areServing(used: ReadonlyMap<string, FilterDefinition>): boolean {
    return [...used].every(([path, definition]) => this.serving(path) === definition)
  }

  close(): void {
    for (const [path, known] of this.#known) this.#forget(path, known)
  }

  async #load(path: string): Promise<Known> {
    const watch = watchUserModule(path, (module) => this.#onModule(path, module), this.#services.isWatching)
    const { definition, refused } = await watch.load()
    const known: Known = { watch, newest: definition, serving: null, refused, isBroken: definition === null }
    this.#known.set(path, known)
    return known
  }

  #forget(path: string, known: Known): void {
    known.watch.close()
    this.#known.delete(path)
    this.#modules.delete(path)
  }

  #onModule(path: string, module: UserModule): void {
    const known = this.#known.get(path)
    if (known === undefined) return
    known.isBroken = module.definition === null
    if (module.definition === null) {
      this.#refuse(path, known, module.refused)
      return
    }
    known.refused = null
    known.newest = module.definition
    // The text that serves came back: there is nothing to try.
    if (known.newest === known.serving) return
    this.hasChanged = true
    this.#services.onChange()
  }

  #refuse(path: string, known: Known, reason: string): void {
    if (known.refused === reason) return
    known.refused = reason
    const { log, metrics } = this.#services
    gatewayCounter(metrics, 'moduleRefusals').value++
    const instead = known.serving === null ? 'no version of it serves' : 'the version before serves on'
    log.error({ module: path, reason }, `filter module refused, ${instead}`)
  }
}
