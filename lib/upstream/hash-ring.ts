/** Consistent hashing: each host owns many points of a ring, and a key belongs to the next point clockwise. */
import { createHash } from 'node:crypto'

/** Points of a host with weight 1. */
const POINTS = 160
const MAX_POINTS = 100_000

/** Immutable ring over hosts with a name and a weight. */
export class HashRing<H extends { readonly name: string; readonly weight: number }> {
  readonly #points: Uint32Array
  readonly #owners: readonly H[]

  constructor(hosts: readonly H[]) {
    const found: { point: number; host: H }[] = []
    const total = hosts.reduce((sum, host) => sum + host.weight, 0)
    const perWeight = Math.min(POINTS, MAX_POINTS / Math.max(total, 1))
    for (const host of hosts) {
      for (let i = 0; i < host.weight * perWeight; i++)
        found.push({ point: pointOf(`${host.name}#${i}`), host })
    }
    found.sort((a, b) => a.point - b.point)
    this.#points = Uint32Array.from(found, (entry) => entry.point)
    this.#owners = found.map((entry) => entry.host)
  }

  /** The owner of `key`, or the next host clockwise that `accepts`; the owner itself when none does; null on an empty ring. */
  find(key: string, accepts: (host: H) => boolean): H | null {
    const count = this.#owners.length
    if (count === 0) return null
    const start = this.#firstAtOrAfter(hashKey(key))
    let previous: H | null = null
    for (let i = 0; i < count; i++) {
      const host = this.#owners[(start + i) % count] as H
      if (host !== previous && accepts(host)) return host
      previous = host
    }
    return this.#owners[start] as H
  }

  #firstAtOrAfter(point: number): number {
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#points[middle] as number) < point) low = middle + 1
      else high = middle
    }
    return low === this.#points.length ? 0 : low
  }
}

/** Spread well and computed once per point: a cryptographic hash is the simple choice. */
function pointOf(text: string): number {
  return createHash('sha1').update(text).digest().readUInt32BE(0)
}

/** FNV-1a with a final mix (murmur3's): fast on short keys, and the mix spreads keys that differ in the last digit. */
export function hashKey(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
