/** Zones and cells with indexes, and the choice of a cell. */
import type { CellState, LdcDocument, ZoneKind } from './document.ts'
import { hashOf, mix, UNSHARDED } from './shards.ts'

/** One cell. */
export interface Cell {
  readonly index: number
  readonly name: string
  readonly zone: Zone
  readonly idc: string
  readonly city: string
  /** Share of its zone before its state counts. */
  readonly weight: number
  readonly state: CellState
  readonly shadow: boolean
  /** Protocol → cluster that leads there. */
  readonly clusters: Readonly<Record<string, string>>
  /** Scheme and host for redirected callers, `''` for none. */
  readonly location: string
}

/** One zone. */
export interface Zone {
  readonly index: number
  readonly name: string
  readonly kind: ZoneKind
  readonly cells: Cell[]
  /** Per cent → index of the cell; empty when no cell takes requests. Shares are contiguous, so that a shift moves no more users than it says. */
  slots: Int16Array
}

const PROTOCOLS = ['http1', 'mmtp', 'bolt', 'dubbo']
const SLOTS = 100
const FULL = 100

/** The zones of a document, compiled. How healthy cells are is told from outside by {@link Topology.setShare}. */
export class Topology {
  readonly zones: readonly Zone[]
  readonly cells: readonly Cell[]
  readonly own: Cell
  readonly #document: LdcDocument
  readonly #zonesByName: ReadonlyMap<string, Zone>
  readonly #cellsByName: ReadonlyMap<string, Cell>
  /** Per cent of its requests that each cell takes, by its health. */
  readonly #shares: Uint8Array
  /** Spreads requests of nobody over cells. */
  #turn = 0

  constructor(document: LdcDocument) {
    this.#document = document
    const cells: Cell[] = []
    this.zones = document.zones.map((zone, index) => {
      const made: Zone = { index, name: zone.name, kind: zone.kind, cells: [], slots: new Int16Array(0) }
      for (const rules of zone.cells) {
        const place = { cell: rules.name, zone: zone.name, idc: rules.idc }
        const cell: Cell = {
          index: cells.length,
          name: rules.name,
          zone: made,
          idc: rules.idc,
          city: document.idcs[rules.idc],
          weight: rules.weight,
          state: rules.state,
          shadow: rules.shadow,
          clusters: Object.fromEntries(
            PROTOCOLS.map((protocol) => [
              protocol,
              fill(rules.cluster === '' ? document.crossZone.cluster : rules.cluster, { ...place, protocol }),
            ]),
          ),
          location: fill(document.crossZone.location, place),
        }
        cells.push(cell)
        made.cells.push(cell)
      }
      made.slots = slotsOf(zone.cells.map(shareOf), made)
      return made
    })
    this.cells = cells
    this.#zonesByName = new Map(this.zones.map((zone) => [zone.name, zone]))
    this.#cellsByName = new Map(cells.map((cell) => [cell.name, cell]))
    this.#shares = new Uint8Array(cells.length).fill(FULL)
    this.own = this.#cellsByName.get(document.selfCell) as Cell
  }

  zone(name: string): Zone | undefined {
    return this.#zonesByName.get(name)
  }

  cell(name: string): Cell | undefined {
    return this.#cellsByName.get(name)
  }

  /**
   * Says how much of its requests, in per cent, a cell takes by its health. Never moves shards: another cell of its zone, or of a zone of
   * kind G or C, takes over the rest.
   */
  setShare(cell: Cell, percent: number): void {
    this.#shares[cell.index] = percent
  }

  /** True when a cell can be sent requests. */
  isUsable(cell: Cell): boolean {
    return cell.state !== 'down' && this.#shares[cell.index] > 0
  }

  /** A number that is the same for all requests of a user, or of a shard; of the others each gets the next one. */
  keyOf(userId: string, shard: number): number {
    if (userId !== '') return hashOf(userId)
    if (shard !== UNSHARDED) return mix(shard + 1)
    this.#turn = (this.#turn + 1) | 0
    return mix(this.#turn)
  }

  /**
   * The cell of a zone that takes the requests of a key. The own one when it is in that zone. When the chosen one is down another one of the
   * zone takes over, as the last resort one that drains. Null when all are down.
   */
  pickCell(zone: Zone, key: number): Cell | null {
    const { slots } = zone
    if (slots.length > 0) {
      const chosen = this.cells[slots[key % SLOTS]]
      const share = this.#shares[chosen.index]
      if (share === FULL || mix(key) % FULL < share) return chosen
      return this.#anotherCell(zone, chosen, key) ?? (share > 0 ? chosen : null)
    }
    return this.#anotherCell(zone, null, key)
  }

  #anotherCell({ cells }: Zone, except: Cell | null, key: number): Cell | null {
    const usable = cells.filter((cell) => cell !== except && this.isUsable(cell))
    const serving = usable.filter((cell) => cell.state !== 'drain' && cell.weight > 0)
    const choice = serving.length > 0 ? serving : usable
    return choice.length === 0 ? null : choice[key % choice.length]
  }

  /** As {@link Topology.pickCell} for a kind of zone that fails over: `zoneName` names the zone, `''` any of the kind. */
  pickByKind(kind: ZoneKind, zoneName: string, key: number): Cell | null {
    const first = zoneName === '' ? this.#firstZones(kind) : [this.zone(zoneName) as Zone]
    if (first.includes(this.own.zone) && this.isUsable(this.own)) return this.own
    const found = this.#pickAmong(first, key)
    if (found !== null) return found
    for (const step of this.#document.failover[kind]) {
      const cell = this.#pickAmong(this.#zonesOfStep(kind, step), key)
      if (cell !== null) return cell
    }
    return null
  }

  /** G: all; C: those of the own city. */
  #firstZones(kind: ZoneKind): readonly Zone[] {
    const zones = this.zones.filter((zone) => zone.kind === kind)
    return kind === 'C'
      ? zones.filter((zone) => zone.cells.some(({ city }) => city === this.own.city))
      : zones
  }

  #zonesOfStep(kind: ZoneKind, step: string): readonly Zone[] {
    if (step === 'same-zone-other-cell') return [] // pickCell has done that
    if (step === 'any-weighted') return this.zones.filter((zone) => zone.kind === kind)
    if (step === 'same-city')
      return this.zones.filter(
        (zone) => zone.kind === kind && zone.cells.some(({ city }) => city === this.own.city),
      )
    return [this.zone(step) as Zone]
  }

  /** Starts at a zone that the key chooses, and goes round. */
  #pickAmong(zones: readonly Zone[], key: number): Cell | null {
    for (let i = 0; i < zones.length; i++) {
      const cell = this.pickCell(zones[(Math.floor(key / SLOTS) + i) % zones.length], key)
      if (cell !== null) return cell
    }
    return null
  }
}

/** What a cell's weight comes to in its state. */
function shareOf({ weight, state, percent }: { weight: number; state: CellState; percent: number }): number {
  if (state === 'up') return weight
  return state === 'warm' ? (weight * percent) / 100 : 0
}

/** Shares of a hundred slots; what a warming or draining cell does not take goes to the others in proportion. */
function slotsOf(shares: readonly number[], { cells }: Zone): Int16Array {
  const sum = shares.reduce((total, share) => total + share, 0)
  if (sum === 0) return new Int16Array(0)
  const slots = new Int16Array(SLOTS)
  let [start, passed] = [0, 0]
  for (const [index, share] of shares.entries()) {
    passed += share
    const end = Math.round((passed / sum) * SLOTS)
    slots.fill(cells[index].index, start, end)
    start = end
  }
  return slots
}

function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (mark, name: string) => values[name] ?? mark)
}
