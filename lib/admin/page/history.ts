/** Counters remembered over time, so that differences become rates. Runs in the browser; see `format.ts` for what that asks of a function. */

/** The counters of one scope at one moment. */
export type Sample = Readonly<Record<string, number>>

/** What was read lately. */
export interface History {
  /** Begins a reading at `atMs` of the server's own clock. A clock that goes back means that the process is a new one: everything is forgotten. */
  begin(atMs: number): void
  /** Keeps the counters of `key` for the reading that was begun. */
  add(key: string, sample: Sample): void
  /** Per second over the newest three seconds or so; null before the second reading. */
  rate(key: string, field: string): number | null
  /** Per second between each two neighbouring readings, oldest first. */
  series(key: string, field: string): number[]
}

/** Makes an empty history of `length` readings. Keys that are not added any more are forgotten. */
export function createHistory(length: number): History {
  interface Entry {
    readonly atMs: number
    readonly sample: Sample
  }
  const smoothMs = 2900
  let entries = new Map<string, Entry[]>()
  let nowMs = -1

  function between(older: Entry, newer: Entry, field: string): number {
    const difference = newer.sample[field] - older.sample[field]
    // A counter that fell was reset with its scope by a new configuration.
    return difference <= 0 ? 0 : (difference * 1000) / (newer.atMs - older.atMs)
  }

  return {
    begin(atMs) {
      const isRestarted = atMs < nowMs
      const oldest = atMs - length * 10_000
      nowMs = atMs
      entries = new Map(
        [...entries].filter(([, list]) => !isRestarted && list[list.length - 1].atMs > oldest),
      )
    },
    add(key, sample) {
      const list = entries.get(key) ?? []
      entries.set(key, list)
      if (list.length > 0 && list[list.length - 1].atMs >= nowMs) return
      list.push({ atMs: nowMs, sample })
      if (list.length > length + 1) list.shift()
    },
    rate(key, field) {
      const list = entries.get(key) ?? []
      if (list.length < 2) return null
      const newest = list[list.length - 1]
      let older = list.length - 2
      while (older > 0 && newest.atMs - list[older].atMs < smoothMs) older--
      return between(list[older], newest, field)
    },
    series(key, field) {
      const list = entries.get(key) ?? []
      const rates: number[] = []
      for (let i = 1; i < list.length; i++) rates.push(between(list[i - 1], list[i], field))
      return rates
    },
  }
}
