/** What one accepted configuration compiles to, as the dispatcher uses it. Replaced as a whole. */
import type { RequestHead } from '../core/message.ts'
import type { Route } from '../core/route.ts'
import type { Chain } from '../filters/chain.ts'
import type { ClusterFinder } from './aim.ts'

/** Finds the route of a request. */
export interface RouteMatcher {
  match(request: RequestHead): Route | null
}

/** An exchange keeps to the runtime it began with, so a replaced one lives until its last exchange is over. */
export class Runtime {
  /** Runs before a route is known. */
  readonly chain: Chain
  readonly routes: RouteMatcher
  /** Largest body that is gathered for a filter, in bytes. */
  readonly gatherLimit: number
  /** Exchanges that began on it and are running. */
  live = 0
  #onOver: (() => void) | null = null

  /** See {@link ClusterFinder}. */
  readonly findCluster: ClusterFinder

  constructor(
    chain: Chain,
    routes: RouteMatcher,
    gatherLimit: number,
    findCluster: ClusterFinder = () => null,
  ) {
    this.findCluster = findCluster
    this.chain = chain
    this.routes = routes
    this.gatherLimit = gatherLimit
  }

  /** An exchange ended. */
  release(): void {
    this.live--
    if (this.live === 0) this.#closeIfRetired()
  }

  /** No exchange will begin on it any more; `onOver` is called once when the last one is over, or now. */
  retire(onOver: () => void): void {
    this.#onOver = onOver
    if (this.live === 0) this.#closeIfRetired()
  }

  #closeIfRetired(): void {
    const onOver = this.#onOver
    if (onOver === null) return
    this.#onOver = null
    this.chain.set.retire()
    onOver()
  }
}

/** Where the dispatcher finds the runtime for new exchanges. */
export interface RuntimeSource {
  readonly runtime: Runtime
}
