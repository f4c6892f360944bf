/** The clusters of a gateway, from one configuration to the next: what both describe alike is kept, with its connections. */
import { clusterOptions } from './assemble.ts'
import type { ClusterConfig, Config } from './config/config.ts'
import { Cluster, type ClusterServices } from './upstream/cluster.ts'

/** A cluster and the configuration that it runs with. */
export interface RunningCluster {
  readonly config: ClusterConfig
  readonly part: Cluster
  /** Equal for clusters that are described alike. */
  readonly description: string
}

/** The clusters of one configuration, by name. */
export type ClusterPlan = ReadonlyMap<string, RunningCluster>

/** See the file's head. */
export class RunningClusters {
  /** Those of the configuration that serves. */
  current: ClusterPlan = new Map()
  readonly #servicesFor: (name: string) => ClusterServices
  /** How many configurations with running exchanges, the serving one among them, use a cluster. */
  readonly #uses = new Map<Cluster, number>()
  /** Those that nobody uses any more and whose connections are not all closed yet. */
  readonly #leaving = new Set<Cluster>()

  constructor(servicesFor: (name: string) => ClusterServices) {
    this.#servicesFor = servicesFor
  }

  /** Makes what `config` needs beside what runs. Each plan is committed or discarded. */
  plan(config: Config): ClusterPlan {
    const plan = new Map<string, RunningCluster>()
    for (const cluster of config.clusters) {
      const description = JSON.stringify([cluster, config.node.app, config.node.cell])
      const running = this.current.get(cluster.name)
      if (running?.description === description) plan.set(cluster.name, running)
      else {
        const options = clusterOptions(cluster, config.node)
        const part = new Cluster(options, this.#servicesFor(cluster.name))
        plan.set(cluster.name, { config: cluster, part, description })
      }
    }
    return plan
  }

  /** Settles when every name of the new clusters has been looked up once. */
  async start(plan: ClusterPlan): Promise<void> {
    await Promise.all([...plan.values()].map(({ part }) => (this.#uses.has(part) ? undefined : part.start())))
  }

  /** The plan will not serve. */
  discard(plan: ClusterPlan): void {
    for (const { part } of plan.values()) if (!this.#uses.has(part)) part.destroy()
  }

  /** The plan serves. The result is called when the last exchange of its configuration is over, and closes what nobody uses any more. */
  commit(plan: ClusterPlan): () => void {
    this.current = plan
    for (const part of this.#leaving) if (!hasConnections(part)) this.#leaving.delete(part)
    for (const { part } of plan.values()) this.#uses.set(part, (this.#uses.get(part) ?? 0) + 1)
    return () => {
      for (const { part } of plan.values()) this.#release(part)
    }
  }

  /** Closes every connection now. */
  destroy(): void {
    for (const part of [...this.#uses.keys(), ...this.#leaving]) part.destroy()
  }

  #release(part: Cluster): void {
    const left = (this.#uses.get(part) ?? 0) - 1
    if (left > 0) this.#uses.set(part, left)
    else {
      this.#uses.delete(part)
      this.#leaving.add(part)
      part.close()
    }
  }
}

function hasConnections(cluster: Cluster): boolean {
  return cluster.hosts().some(({ connections }) => connections.size > 0)
}
