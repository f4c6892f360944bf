/** How long an address that fails to connect is avoided. */

/** After the first failure; doubled for each further one. */
const COOL_DOWN_MS = 100
const MAX_COOL_DOWN_MS = 5000

/** See the file's head. Times are monotonic milliseconds. */
export class CoolDown {
  /** Failures ever. */
  failures = 0
  #inRow = 0
  #untilMs = 0

  /** True while the address is avoided. */
  isOn(clock: { now(): number }): boolean {
    return this.#untilMs !== 0 && clock.now() < this.#untilMs
  }

  /** A connection could not be opened, or ended before it could be used. */
  onFailed(nowMs: number): void {
    this.failures++
    this.#untilMs = nowMs + Math.min(COOL_DOWN_MS * 2 ** this.#inRow, MAX_COOL_DOWN_MS)
    this.#inRow++
  }

  /** A connection can be used. */
  onConnected(): void {
    this.#inRow = 0
    this.#untilMs = 0
  }
}
