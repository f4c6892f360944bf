/** How much of each cheap-to-send, dear-to-serve frame one peer may send (section 8). */

/** A bucket of tokens that refills with time. */
export class TokenBucket {
  tokens: number
  readonly burst: number
  readonly perSecond: number
  #refilledMs: number

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.tokens = burst
    this.burst = burst
    this.perSecond = perSecond
    this.#refilledMs = nowMs
  }

  /** Takes one token; false when there is none. */
  take(nowMs: number): boolean {
    if (this.tokens < this.burst) {
      this.tokens = Math.min(this.burst, this.tokens + ((nowMs - this.#refilledMs) / 1000) * this.perSecond)
    }
    this.#refilledMs = nowMs
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}

const EMPTY_DATA = 20
const SPARE_WINDOWS = 50
const WINDOWS_PER_FRAME = 2
const MAX_PENDING_REPLIES = 64 * 1024

/** The budgets of one connection. Every method returns false when the budget is overdrawn: GOAWAY(ABUSE). */
export class Budgets {
  readonly #pings: TokenBucket
  readonly #settings: TokenBucket
  readonly #ignorable: TokenBucket
  readonly #errors: TokenBucket
  #windows = 0
  #emptyData = 0
  #pendingReplies = 0

  constructor(nowMs: number) {
    this.#pings = new TokenBucket(10, 2, nowMs)
    this.#settings = new TokenBucket(10, 10 / 60, nowMs)
    this.#ignorable = new TokenBucket(100, 100, nowMs)
    this.#errors = new TokenBucket(200, 50, nowMs)
  }

  takePing(nowMs: number): boolean {
    return this.#pings.take(nowMs)
  }

  takeSettings(nowMs: number): boolean {
    return this.#settings.take(nowMs)
  }

  /** A frame that was skipped, a PONG or a SETTINGS_ACK that nobody asked for. */
  takeIgnorable(nowMs: number): boolean {
    return this.#ignorable.take(nowMs)
  }

  /** A CANCEL, or a stream error that the peer caused. */
  takeError(nowMs: number): boolean {
    return this.#errors.take(nowMs)
  }

  /** A WINDOW, measured by the body frames we sent. */
  takeWindow(bodyFramesSent: number): boolean {
    return ++this.#windows <= WINDOWS_PER_FRAME * bodyFramesSent + SPARE_WINDOWS
  }

  /** A DATA without bytes and without END. */
  takeEmptyData(): boolean {
    return ++this.#emptyData <= EMPTY_DATA
  }

  /** A reply to a control frame of `length` bytes goes into an output queue that holds `queuedBytes`. */
  takeReply(length: number, queuedBytes: number): boolean {
    if (queuedBytes === 0) this.#pendingReplies = 0
    this.#pendingReplies += length
    return this.#pendingReplies <= MAX_PENDING_REPLIES
  }

  /** The output queue emptied. */
  onDrain(): void {
    this.#pendingReplies = 0
  }
}
