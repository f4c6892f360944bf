/** The stats of listeners, routes and clusters by name. They outlive the configuration that made them, so that counters never jump back. */
import type { ScopeStats } from './core/services.ts'
import type { NamedScope } from './telemetry/metrics.ts'
import { createScopeStats } from './telemetry/stats.ts'

/** One registry per gateway. */
export class ScopeRegistry {
  readonly #listeners = new Map<string, NamedScope>()
  readonly #routes = new Map<string, NamedScope>()
  readonly #clusters = new Map<string, NamedScope>()

  /** Finds or makes the stats of a listener. */
  listener(name: string): ScopeStats {
    return findOrMake(this.#listeners, name)
  }

  /** Finds or makes the stats of a route. */
  route(name: string): ScopeStats {
    return findOrMake(this.#routes, name)
  }

  /** Finds or makes the stats of a cluster. */
  cluster(name: string): ScopeStats {
    return findOrMake(this.#clusters, name)
  }

  /** The stats of a route that had a request, else null. */
  routeIfUsed(name: string): ScopeStats | null {
    return this.#routes.get(name)?.stats ?? null
  }

  /** Everything of one kind. */
  all(kind: 'listener' | 'route' | 'cluster'): Iterable<NamedScope> {
    const scopes = { listener: this.#listeners, route: this.#routes, cluster: this.#clusters }
    return scopes[kind].values()
  }
}

function findOrMake(scopes: Map<string, NamedScope>, name: string): ScopeStats {
  let scope = scopes.get(name)
  if (scope === undefined) {
    scope = { name, stats: createScopeStats() }
    scopes.set(name, scope)
  }
  return scope.stats
}
