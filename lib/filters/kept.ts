/** What filters keep beyond one configuration: key sets, used nonces. It lives until the last filter that uses it is closed. */

/** A share in something that is kept. */
export interface Share<T> {
  readonly value: T
  /** Gives the share back; the last one closes the value. Calling it again does nothing. */
  release(): void
}

interface Kept {
  readonly value: { close(): void }
  shares: number
}

/** By the gateway, of which its metrics are the part that outlives configurations. */
const owners = new WeakMap<object, Map<string, Kept>>()

/**
 * Finds what is kept under `key` for `owner` (the gateway's `services.metrics`), or makes it. A changed configuration makes its filters
 * before the old ones are closed, so what both use goes on without a gap; instances of several routes share it likewise.
 */
export function keep<T extends { close(): void }>(owner: object, key: string, make: () => T): Share<T> {
  let all = owners.get(owner)
  if (all === undefined) {
    all = new Map()
    owners.set(owner, all)
  }
  const kept: Kept = all.get(key) ?? { value: make(), shares: 0 }
  all.set(key, kept)
  kept.shares++
  let isHeld = true
  return {
    value: kept.value as T,
    release: () => {
      if (!isHeld) return
      isHeld = false
      if (--kept.shares > 0) return
      owners.get(owner)?.delete(key)
      kept.value.close()
    },
  }
}
