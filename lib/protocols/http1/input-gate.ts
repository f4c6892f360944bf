/** What stands between a connection and its parser: input that has to wait, and whether reading goes on. */
import type { Wire } from '../../core/codec.ts'
import { Backlog } from './backlog.ts'
import { BACKLOG_BYTES } from './constants.ts'

/** What the next bytes are. */
export const Read = {
  /** A request head, or nothing yet. */
  Head: 0,
  /** The body of the running exchange. */
  Body: 1,
  /** The next request, which waits for the running exchange to end. */
  Waiting: 2,
  /** Another protocol, after 101. */
  Tunnel: 3,
  /** The rest of a body that nobody wants any more; the connection serves on behind it. */
  Drain: 4,
  /** To be dropped: the connection is being closed. */
  Discard: 5,
  Closed: 6,
} as const
export type Read = (typeof Read)[keyof typeof Read]

/** The gate of one accepted connection. `read` is what the connection expects next. */
export class InputGate {
  readonly #wire: Wire
  #backlog: Backlog | null = null
  #isReadPaused = false
  /** Somebody holds back the body of the running exchange. */
  isPaused = false

  constructor(wire: Wire) {
    this.#wire = wire
  }

  get hasBacklog(): boolean {
    return this.#backlog !== null
  }

  /** Copies input that has to wait, and stops reading when it is a lot. */
  keep(bytes: Buffer, offset: number, end: number, read: Read): void {
    if (read >= Read.Discard) return
    this.#backlog ??= new Backlog()
    this.#backlog.push(bytes, offset, end)
    this.update(read)
  }

  /** Takes the backlog out, so that bytes that arrive while it is read do not move it. */
  take(): Backlog {
    const held = this.#backlog as Backlog
    this.#backlog = null
    return held
  }

  /** Puts what is left of a backlog before what came meanwhile. */
  putBack(held: Backlog, read: Read): void {
    if (held.length === 0) return
    if (read >= Read.Discard) {
      held.clear()
      return
    }
    const newer = this.#backlog
    if (newer !== null) {
      held.push(newer.bytes, newer.start, newer.end)
      newer.clear()
    }
    this.#backlog = held
  }

  /** Pauses or resumes the wire as the state wants it. */
  update(read: Read): void {
    if (read === Read.Closed) return
    const isFull = this.#backlog !== null && this.#backlog.length >= BACKLOG_BYTES
    const isPaused = (this.isPaused || isFull) && read !== Read.Discard
    if (isPaused === this.#isReadPaused) return
    this.#isReadPaused = isPaused
    if (isPaused) this.#wire.pauseRead()
    else this.#wire.resumeRead()
  }

  /** Drops what waits. */
  clear(): void {
    this.#backlog?.clear()
    this.#backlog = null
  }
}
