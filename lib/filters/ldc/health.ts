/** Health of cells with hysteresis: what a few failing endpoints may move, and how fast. */
import type { Cell, Topology } from './topology.ts'

const DOWN_AFTER_MS = 5_000
const UP_AFTER_MS = 30_000
/** Per cent of a cell's requests that move in a second. */
const STEP_PER_SECOND = 10

interface Health {
  /** Since when the cell has been on the other side of the floor than `isDown` says; -1 when it is not. */
  since: number
  isDown: boolean
  share: number
  /** When the share was last moved; -1 before. */
  movedAt: number
}

/**
 * Turns samples of healthy endpoints into shares of cells: a cell is down when it was under the floor for 5 s, up again when it was above for
 * 30 s, and its requests move by 10 % a second. It only moves requests between cells that serve the same data.
 */
export class CellHealth {
  readonly #topology: Topology
  readonly #floor: number
  readonly #cells = new Map<Cell, Health>()

  /** `floor`: healthy endpoints, in per cent, under which a cell counts as down. */
  constructor(topology: Topology, floor: number) {
    this.#topology = topology
    this.#floor = floor
  }

  /** Takes one sample, about once a second. `healthyPercent` is 0–100, `nowMs` monotonic. */
  sample(cell: Cell, healthyPercent: number, nowMs: number): void {
    let health = this.#cells.get(cell)
    if (health === undefined) {
      health = { since: -1, isDown: false, share: 100, movedAt: -1 }
      this.#cells.set(cell, health)
    }
    this.#judge(health, healthyPercent < this.#floor, nowMs)
    this.#move(health, nowMs)
    this.#topology.setShare(cell, health.share)
  }

  #judge(health: Health, isUnder: boolean, nowMs: number): void {
    if (isUnder === health.isDown) {
      health.since = -1
      return
    }
    if (health.since === -1) health.since = nowMs
    if (nowMs - health.since < (isUnder ? DOWN_AFTER_MS : UP_AFTER_MS)) return
    health.isDown = isUnder
    health.since = -1
    health.movedAt = nowMs
  }

  #move(health: Health, nowMs: number): void {
    const goal = health.isDown ? 0 : 100
    if (health.share === goal) return
    const step = Math.floor(((nowMs - health.movedAt) * STEP_PER_SECOND) / 1000)
    if (step < 1) return
    health.movedAt = nowMs
    health.share = health.isDown ? Math.max(0, health.share - step) : Math.min(100, health.share + step)
  }
}
