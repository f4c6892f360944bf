/** The stats of listeners, routes and clusters by name. They outlive the configuration that made them, so that counters never jump back. */
import type { Config } from './config/config.ts'
import type { ScopeStats } from './core/services.ts'
import type { NamedScope } from './telemetry/families.ts'
import { createScopeStats } from './telemetry/stats.ts'

/** So many scopes of one kind are kept beside those of the configuration. */
const MAX_FORMER = 1000

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

  /** Keeps the scopes of former configurations from piling up: beyond a thousand of them those that are not in use go. */
  prune({ listeners, clusters }: Config, routeNames: readonly string[]): void {
    forget(
      this.#listeners,
      listeners.map(({ name }) => name),
    )
    forget(
      this.#clusters,
      clusters.map(({ name }) => name),
    )
    forget(this.#routes, routeNames)
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

function forget(scopes: Map<string, NamedScope>, names: readonly string[]): void {
  if (scopes.size <= names.length + MAX_FORMER) return
  const present = new Set(names)
  for (const [name, { stats }] of scopes) if (stats.active === 0 && !present.has(name)) scopes.delete(name)
}
