/** Long work beside requests: cut into stretches that none of them notices. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * At half load a request that comes during a stretch waits for the rest of it, so a stretch is below what the
 * fastest tenth of answers takes anyway, and the pause lets all that came meanwhile pass before the next one.
 */
const STRETCH_MS = 0.5
const PAUSE_MS = 1

/** Asked often by work that may rest. */
export interface Turns {
  /** A pause to wait for, null while the stretch lasts. */
  rest(): Promise<void> | null
}

/** For work that nobody has to wait for, such as that of a start. */
export const NO_TURNS: Turns = { rest: () => null }

/** For work while requests run. Each piece of work has its own. */
export function createTurns(): Turns {
  return new ShortTurns()
}

class ShortTurns implements Turns {
  #startedMs = performance.now()

  rest(): Promise<void> | null {
    return performance.now() - this.#startedMs < STRETCH_MS ? null : this.#pause()
  }

  async #pause(): Promise<void> {
    await sleep(PAUSE_MS)
    this.#startedMs = performance.now()
  }
}
