/** Users' filter modules of one gateway: loaded once, loaded again when their file changes, refused while they are broken. */
import type { FilterDefinition } from './core/filter.ts'
import {
  loadUserModule,
  type UserModule,
  type UserModuleWatch,
  watchUserModule,
} from './filters/user-module.ts'

/** What is known of one module. */
interface Loaded {
  /** The newest version that could be loaded; null when none could. */
  definition: FilterDefinition | null
  /** Why the newest version was refused; null when it serves. */
  refused: string | null
  readonly watch: UserModuleWatch | null
}

/** See the file's head. */
export class UserFilters {
  /** A module changed since the last configuration was accepted. */
  hasChanged = false
  readonly #isWatching: boolean
  readonly #onChange: () => void
  readonly #modules = new Map<string, Loaded>()

  /** `onChange` is called when a watched module has a new version that can be loaded. */
  constructor(isWatching: boolean, onChange: () => void) {
    this.#isWatching = isWatching
    this.#onChange = onChange
  }

  /** The definition in the module at `path`; throws an `Error` with file and line when it never could be loaded. */
  async definition(path: string): Promise<FilterDefinition> {
    const known = this.#modules.get(path) ?? (await this.#load(path))
    if (known.definition === null) {
      // Nothing serves with it, so the next configuration tries again from the start.
      known.watch?.close()
      this.#modules.delete(path)
      throw new Error(known.refused ?? `${path} cannot be loaded`)
    }
    return known.definition
  }

  /** Why the newest version of a module is not the one that serves; null when it is. */
  refusal(path: string): string | null {
    return this.#modules.get(path)?.refused ?? null
  }

  /** The configuration with the present versions serves; modules that it does not use are forgotten. */
  accept(used: ReadonlySet<string>): void {
    this.hasChanged = false
    for (const [path, module] of this.#modules) {
      if (used.has(path)) continue
      module.watch?.close()
      this.#modules.delete(path)
    }
  }

  /** Keeps a reason that only showed when the filter was created. */
  refuse(path: string, reason: string): void {
    const known = this.#modules.get(path)
    if (known !== undefined) known.refused = reason
  }

  close(): void {
    for (const { watch } of this.#modules.values()) watch?.close()
    this.#modules.clear()
  }

  async #load(path: string): Promise<Loaded> {
    const { definition, refused } = await loadUserModule(path)
    const watch = this.#isWatching ? watchUserModule(path, (module) => this.#onModule(path, module)) : null
    const loaded: Loaded = { definition, refused, watch }
    this.#modules.set(path, loaded)
    return loaded
  }

  #onModule(path: string, module: UserModule): void {
    const known = this.#modules.get(path)
    if (known === undefined) return
    known.refused = module.refused
    if (module.definition !== null) {
      known.definition = module.definition
      this.hasChanged = true
    }
    this.#onChange()
  }
}
