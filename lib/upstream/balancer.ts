/** Policies that pick one of a cluster's hosts. */
import { HashRing } from './hash-ring.ts'

/** What a policy may know of a host. */
export interface Candidate {
  readonly name: string
  readonly weight: number
  readonly active: number
  readonly isUsable: boolean
}

/** Picks a host. Made anew when the hosts change. */
export interface Balancer<H extends Candidate> {
  /** One of the hosts, a usable one as long as there is one; null when there are none at all. `key` matters to `ring-hash` only. */
  pick(key: string): H | null
}

/** Names of the policies, as the configuration writes them. */
export const BALANCERS = ['round-robin', 'random', 'least-request', 'weighted', 'ring-hash'] as const
export type BalancerName = (typeof BALANCERS)[number]

/** Makes the balancer `name` for `hosts`. `random` gives numbers in `[0, 1)`. */
export function createBalancer<H extends Candidate>(
  name: BalancerName,
  hosts: readonly H[],
  random: () => number = Math.random,
): Balancer<H> {
  switch (name) {
    case 'round-robin':
      return new RoundRobin(hosts)
    case 'random':
      return new RandomChoice(hosts, random)
    case 'least-request':
      return new LeastRequest(hosts, random)
    case 'weighted':
      return new SmoothWeighted(hosts)
    case 'ring-hash':
      return new RingHash(hosts)
  }
}

/** The first usable host from `start` on, going round; the one at `start` when none is (better a try than a certain failure). */
function usableFrom<H extends Candidate>(hosts: readonly H[], start: number): H | null {
  const count = hosts.length
  if (count === 0) return null
  for (let i = 0; i < count; i++) {
    const host = hosts[(start + i) % count] as H
    if (host.isUsable) return host
  }
  return hosts[start % count] as H
}

class RoundRobin<H extends Candidate> implements Balancer<H> {
  readonly #hosts: readonly H[]
  #next = 0

  constructor(hosts: readonly H[]) {
    this.#hosts = hosts
  }

  pick(): H | null {
    const start = this.#next
    this.#next = start + 1 >= this.#hosts.length ? 0 : start + 1
    return usableFrom(this.#hosts, start)
  }
}

class RandomChoice<H extends Candidate> implements Balancer<H> {
  readonly #hosts: readonly H[]
  readonly #random: () => number

  constructor(hosts: readonly H[], random: () => number) {
    this.#hosts = hosts
    this.#random = random
  }

  pick(): H | null {
    return usableFrom(this.#hosts, Math.floor(this.#random() * this.#hosts.length))
  }
}

/** The less busy of two hosts taken at random: nearly as even as looking at all of them, and no herd runs to one. */
class LeastRequest<H extends Candidate> implements Balancer<H> {
  readonly #hosts: readonly H[]
  readonly #random: () => number

  constructor(hosts: readonly H[], random: () => number) {
    this.#hosts = hosts
    this.#random = random
  }

  pick(): H | null {
    const count = this.#hosts.length
    if (count < 2) return usableFrom(this.#hosts, 0)
    const at = Math.floor(this.#random() * count)
    // The second is another one than the first: an offset of 1 … count − 1.
    const other = (at + 1 + Math.floor(this.#random() * (count - 1))) % count
    const first = usableFrom(this.#hosts, at) as H
    const second = usableFrom(this.#hosts, other) as H
    return second.active < first.active ? second : first
  }
}

/** Weighted round-robin without bursts: each pick raises every host by its weight and lowers the winner by the sum. */
class SmoothWeighted<H extends Candidate> implements Balancer<H> {
  readonly #hosts: readonly H[]
  readonly #current: number[]

  constructor(hosts: readonly H[]) {
    this.#hosts = hosts
    this.#current = hosts.map(() => 0)
  }

  pick(): H | null {
    return this.#pickAmong(true) ?? this.#pickAmong(false)
  }

  #pickAmong(onlyUsable: boolean): H | null {
    let best = -1
    let total = 0
    for (let i = 0; i < this.#hosts.length; i++) {
      const host = this.#hosts[i] as H
      if (host.weight === 0 || (onlyUsable && !host.isUsable)) continue
      total += host.weight
      const value = (this.#current[i] as number) + host.weight
      this.#current[i] = value
      if (best < 0 || value > (this.#current[best] as number)) best = i
    }
    if (best < 0) return null
    this.#current[best] = (this.#current[best] as number) - total
    return this.#hosts[best] as H
  }
}

/** The same key meets the same host as long as that is usable; the others' keys stay where they are. */
class RingHash<H extends Candidate> implements Balancer<H> {
  readonly #ring: HashRing<H>

  constructor(hosts: readonly H[]) {
    this.#ring = new HashRing(hosts)
  }

  pick(key: string): H | null {
    return this.#ring.find(key, (host) => host.isUsable)
  }
}
