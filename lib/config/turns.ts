/** Long work beside requests: cut into stretches that none of them notices. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * A request that comes during a stretch waits for the rest of it, so a stretch is well below what an answer takes, and the pause
 * lets all that came meanwhile pass. With 0.5 ms and 1 ms the p99 of a second with a swap of 1,000 routes was 6 times the
 * steady one, with these 3 times (`npm run perf -- swap`).
 */
const GENTLE = { stretchMs: 0.25, pauseMs: 8 }
/** Work that takes this long in spite of it, such as tens of thousands of routes, goes on faster: it has to end. */
const GENTLE_FOR_MS = 2000
const BRISK = { stretchMs: 0.5, pauseMs: 1 }

/** Asked often by work that may rest. */
export interface Turns {
  /** A pause to wait for, null while the stretch lasts. */
  rest(): Promise<void> | null
}

/** For work that nobody has to wait for, such as that of a start. */
export const NO_TURNS: Turns = { rest: () => null }

/** For work while requests run. Each piece of work has its own. With `isHolding` false the process may end meanwhile. */
export function createTurns(isHolding = true): Turns {
  return new ShortTurns(isHolding)
}

class ShortTurns implements Turns {
  readonly #isHolding: boolean
  readonly #beganMs = performance.now()
  #startedMs = this.#beganMs

  constructor(isHolding: boolean) {
    this.#isHolding = isHolding
  }

  rest(): Promise<void> | null {
    const now = performance.now()
    const { stretchMs, pauseMs } = now - this.#beganMs < GENTLE_FOR_MS ? GENTLE : BRISK
    return now - this.#startedMs < stretchMs ? null : this.#pause(pauseMs)
  }

  async #pause(pauseMs: number): Promise<void> {
    await sleep(pauseMs, undefined, { ref: this.#isHolding })
    this.#startedMs = performance.now()
  }
}
