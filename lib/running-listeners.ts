/** The listeners of a gateway, from one configuration to the next: a bound address is kept as long as a listener has it. */
import { listenerOptions } from './assemble.ts'
import type { Config, ListenerConfig } from './config/config.ts'
import { Listener, type ListenerServices } from './server/listener.ts'

/** A listener and the configuration that it runs with. */
export interface RunningListener {
  readonly config: ListenerConfig
  readonly part: Listener
}

/** One listener of a configuration that is about to serve. */
interface PlannedListener extends RunningListener {
  /**
   * - `kept`: runs already under this name, only its limits may change;
   * - `heir`: takes over the bound socket of one that had another name or protocol;
   * - `bound`: has a socket of its own, bound for this plan.
   */
  readonly kind: 'kept' | 'heir' | 'bound'
}

/** The listeners of one configuration, by name. */
export type ListenerPlan = ReadonlyMap<string, PlannedListener>

/** How often a drain looks whether connections are left. */
const LOOK_MS = 20

/** See the file's head. */
export class RunningListeners {
  /** Those of the configuration that serves. */
  current: ReadonlyMap<string, RunningListener> = new Map()
  /** Removed ones whose connections are not all closed yet. */
  readonly #leaving = new Set<Listener>()
  readonly #servicesFor: (name: string) => ListenerServices

  constructor(servicesFor: (name: string) => ListenerServices) {
    this.#servicesFor = servicesFor
  }

  /** Binds what is new, so that a port in use refuses the change before anything is touched. Each plan is committed or discarded. */
  async plan(config: Config): Promise<ListenerPlan> {
    const plan = new Map<string, PlannedListener>()
    const free = this.#freeSockets(config)
    try {
      for (const listener of config.listeners) {
        const running = this.current.get(listener.name)
        if (running !== undefined && isSame(running.config, listener))
          plan.set(listener.name, { config: listener, part: running.part, kind: 'kept' })
        else plan.set(listener.name, await this.#create(listener, config, free))
      }
    } catch (error) {
      this.discard(plan)
      throw error
    }
    return plan
  }

  /** The plan will not serve. */
  discard(plan: ListenerPlan): void {
    for (const { part, kind } of plan.values()) if (kind === 'bound') part.destroy()
  }

  /** The plan serves; connections of listeners that are gone end with their exchanges, at the latest after `graceMs`. */
  commit(plan: ListenerPlan, config: Config): void {
    const before = this.current
    this.current = plan
    const inherited = new Set([...plan.values()].map(({ part }) => part.acceptor))
    for (const { config: listener, part, kind } of plan.values()) {
      if (kind === 'heir') part.takeOver()
      part.update(listenerOptions(listener, config.node.cell))
    }
    for (const [name, { part }] of before) {
      if (plan.get(name)?.part === part) continue
      if (!inherited.has(part.acceptor)) {
        part.stop()
        this.#leaving.add(part)
      }
      part.drain(config.drain.grace)
    }
    for (const part of this.#leaving) if (part.connections.size === 0) this.#leaving.delete(part)
  }

  /** Tells every peer to go elsewhere. */
  drain(graceMs: number): void {
    for (const { part } of this.current.values()) part.drain(graceMs)
  }

  /** Stops accepting. */
  stop(): void {
    for (const { part } of this.current.values()) part.stop()
  }

  /** Open connections, those of removed listeners too. */
  get connections(): number {
    let count = 0
    for (const { part } of this.current.values()) count += part.connections.size
    for (const part of this.#leaving) count += part.connections.size
    return count
  }

  /** Resolves when every connection is closed, or after `graceMs`. */
  gone(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const startMs = performance.now()
      const look = (): void => {
        if (this.connections > 0 && performance.now() - startMs < graceMs) return
        clearInterval(timer)
        resolve()
      }
      const timer = setInterval(look, LOOK_MS)
      look()
    })
  }

  /** Closes every connection now. */
  destroy(): void {
    for (const { part } of this.current.values()) part.destroy()
    for (const part of this.#leaving) part.destroy()
  }

  async #create(
    config: ListenerConfig,
    { node }: Config,
    free: Map<string, Listener>,
  ): Promise<PlannedListener> {
    const options = listenerOptions(config, node.cell)
    const services = this.#servicesFor(config.name)
    const heirOf = free.get(config.address)
    if (heirOf !== undefined) {
      free.delete(config.address)
      return { config, part: new Listener(options, services, heirOf.acceptor), kind: 'heir' }
    }
    const part = new Listener(options, services)
    await part.listen()
    return { config, part, kind: 'bound' }
  }

  /** The sockets, by address, of listeners that will not go on as they are. */
  #freeSockets(config: Config): Map<string, Listener> {
    const wanted = new Map(config.listeners.map((listener) => [listener.name, listener]))
    const free = new Map<string, Listener>()
    for (const [name, running] of this.current) {
      const next = wanted.get(name)
      if (next === undefined || !isSame(running.config, next)) free.set(running.config.address, running.part)
    }
    return free
  }
}

/** Whether a running listener can take over another configuration as it is. */
function isSame(a: ListenerConfig, b: ListenerConfig): boolean {
  return a.name === b.name && a.address === b.address && a.protocol === b.protocol
}
