/** The times of one connection, on the one coarse timer of its wire. */
import type { Wire } from '../../core/codec.ts'
import { FRAME_TIMEOUT_MS, HELLO_TIMEOUT_MS } from './constants.ts'

const MIN_TIMER_MS = 20
const MIN_PING_MS = 1_000
/** Part of an idle limit after which a sign of life is due. */
const PING_PART = 3

/** Watches the handshake, frames that do not end, and silence. */
export class Vigil {
  readonly #wire: Wire
  readonly #openedMs: number
  #pingedMs: number
  /** Monotonic milliseconds at which the wire's timer goes off; 0 while it is off. */
  #timerAtMs = 0

  constructor(wire: Wire) {
    this.#wire = wire
    this.#openedMs = wire.now()
    this.#pingedMs = this.#openedMs
    this.wakeAt(this.#openedMs + HELLO_TIMEOUT_MS)
  }

  /** Has the timer go off at `atMs`, or earlier. */
  wakeAt(atMs: number): void {
    if (this.#timerAtMs !== 0 && this.#timerAtMs <= atMs) return
    this.#timerAtMs = atMs
    this.#wire.setTimer(Math.max(MIN_TIMER_MS, atMs - this.#wire.now()))
  }

  /** The timer went off: `wakeAt` has to be called again. */
  woken(): void {
    this.#timerAtMs = 0
  }

  /** What ran out, in words; null when nothing did. `frameStartedMs` is 0 when no frame is incomplete. */
  overdue(
    nowMs: number,
    isGreeted: boolean,
    frameStartedMs: number,
    receivedMs: number,
    idleMs: number,
  ): string | null {
    if (!isGreeted && nowMs - this.#openedMs >= HELLO_TIMEOUT_MS)
      return `no HELLO within ${HELLO_TIMEOUT_MS} ms`
    if (frameStartedMs !== 0 && nowMs - frameStartedMs >= FRAME_TIMEOUT_MS) {
      return `a frame was not complete within ${FRAME_TIMEOUT_MS} ms`
    }
    return isGreeted && nowMs - receivedMs >= idleMs ? `nothing received for ${idleMs} ms` : null
  }

  /** Wakes for what {@link Vigil.overdue} looks at. */
  watch(isGreeted: boolean, frameStartedMs: number, receivedMs: number, idleMs: number): void {
    if (frameStartedMs !== 0) this.wakeAt(frameStartedMs + FRAME_TIMEOUT_MS)
    this.wakeAt(isGreeted ? receivedMs + idleMs : this.#openedMs + HELLO_TIMEOUT_MS)
  }

  /** When to ask for a sign of life: a third of the peer's idle limit after the last time, or of ours in silence. */
  pingAtMs(receivedMs: number, peerIdleMs: number, ownIdleMs: number): number {
    const forPeer = this.#pingedMs + peerIdleMs / PING_PART
    const forUs = receivedMs + ownIdleMs / PING_PART
    return Math.max(this.#pingedMs + MIN_PING_MS, Math.min(forPeer, forUs))
  }

  /** When to look again whether a sign of life is wanted. */
  nextLookMs(ownIdleMs: number): number {
    return this.#wire.now() + Math.max(MIN_PING_MS, ownIdleMs / PING_PART)
  }

  /** A PING is going out. */
  pinged(nowMs: number): void {
    this.#pingedMs = nowMs
  }

  /** Switches the timer off. */
  stop(): void {
    this.#wire.setTimer(0)
  }
}
