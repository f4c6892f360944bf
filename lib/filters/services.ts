/** What filters get beside their options, and the places for their state on exchanges. */
import type { Slot } from '../core/exchange.ts'
import type { FilterServices } from '../core/filter.ts'

/**
 * Hands out slots. The same filter name and slot name always give the same slot, so that a route's own instance sees
 * what the chain's instance kept, and a replaced configuration does not use up new ones. One registry a process.
 */
export class SlotRegistry {
  readonly #slots = new Map<string, Slot<unknown>>()

  /** Finds or makes a slot. */
  slot<T>(filter: string, name: string): Slot<T> {
    const key = `${filter}\n${name}`
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      slot = { index: this.#slots.size, name: `${filter}.${name}` }
      this.#slots.set(key, slot)
    }
    return slot as Slot<T>
  }
}

/** The services that all filters share. */
export type SharedServices = Omit<FilterServices, 'name' | 'slot'>

/** Makes the services of each filter by its name. */
export function makeServices(shared: SharedServices, slots: SlotRegistry): (name: string) => FilterServices {
  return (name) => ({
    name,
    log: shared.log,
    metrics: shared.metrics,
    clock: shared.clock,
    timers: shared.timers,
    node: shared.node,
    slot: (slotName) => slots.slot(name, slotName),
    resolvePath: (path) => shared.resolvePath(path),
    openLog: (path) => shared.openLog(path),
  })
}

/** Services with which filters can be made and nothing else: no file is opened, nothing is counted. For `meshgate check`. */
export function makeInertServices(node: FilterServices['node']): (name: string) => FilterServices {
  const ignore = (): void => {}
  const log = {
    trace: ignore,
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: ignore,
    isLevelEnabled: () => false,
  }
  const shared: SharedServices = {
    log,
    metrics: {
      counter: () => ({ value: 0 }),
      histogram: () => ({ record: ignore }),
      gauge: () => ignore,
    },
    clock: { now: () => 0, wallNow: () => 0 },
    timers: { schedule: ignore, cancel: ignore },
    node,
    resolvePath: (path) => path,
    openLog: () => ({ write: ignore, close: ignore }),
  }
  return makeServices(shared, new SlotRegistry())
}
