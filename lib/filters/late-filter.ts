/** Filters whose modules are loaded when a configuration names them, because a start would have to wait for them. */
import type { Filter, FilterDefinition, FilterServices } from '../core/filter.ts'

/** A definition of which only the schema is there at first. */
export class LateFilter implements FilterDefinition {
  readonly schema: object
  readonly #import: () => Promise<FilterDefinition>
  #definition: FilterDefinition | null = null

  constructor(schema: object, importDefinition: () => Promise<FilterDefinition>) {
    this.schema = schema
    this.#import = importDefinition
  }

  /** Loads the modules; without it no filter can be made. Loading again costs nothing. */
  async load(): Promise<void> {
    this.#definition ??= await this.#import()
  }

  readonly create = (options: never, services: FilterServices): Filter => {
    if (this.#definition === null) throw new Error(`the filter ${services.name} is not loaded`)
    return this.#definition.create(options, services)
  }
}
