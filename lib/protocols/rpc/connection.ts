/** What both roles of a connection have in common whose frames arrive whole: receiving, the one timer, and the end. */
import type { Codec, Wire } from '../../core/codec.ts'
import { Alarm } from './alarm.ts'
import { FrameDecoder, type FrameLayout, type FrameSink } from './frame-decoder.ts'

/** What a protocol fixes for its connections. */
export interface RpcTraits {
  readonly layout: FrameLayout
  /** A frame that has begun must be complete within this. */
  readonly frameTimeoutMs: number
}

/** See the file's head. A role asks for {@link RpcConnection.watch} at the end of its constructor. */
export abstract class RpcConnection implements Codec, FrameSink {
  readonly wire: Wire
  isOver = false
  protected readonly alarm: Alarm
  /** Monotonic milliseconds at which the last bytes came. */
  protected receivedMs: number
  readonly #decoder: FrameDecoder
  readonly #frameTimeoutMs: number

  protected constructor(wire: Wire, traits: RpcTraits, maxFrameBytes: number) {
    this.wire = wire
    this.alarm = new Alarm(wire)
    this.receivedMs = wire.now()
    this.#decoder = new FrameDecoder(this, traits.layout, maxFrameBytes)
    this.#frameTimeoutMs = traits.frameTimeoutMs
  }

  abstract onFrame(bytes: Buffer, at: number, end: number): void
  abstract onOversized(bytes: Buffer, at: number, length: number): boolean
  abstract onFault(detail: string): void
  abstract onEnd(): void
  abstract onDrain(): void
  abstract onClose(error: Error | null): void
  /** The peer does not go on with a frame that it began. */
  protected abstract onOverdue(detail: string): void
  /** Does what is due. */
  protected abstract onTime(nowMs: number): void
  /** Has the alarm go off for whatever the role waits for. */
  protected abstract watchTimes(nowMs: number): void

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.isOver) return
    this.receivedMs = this.wire.now()
    this.#decoder.decode(bytes, offset, end, this.receivedMs)
    if (this.#decoder.startedMs !== 0) this.#watchFrame()
  }

  onTimer(): void {
    this.alarm.woken()
    if (this.isOver) return
    const now = this.wire.now()
    const { startedMs } = this.#decoder
    if (startedMs !== 0 && now - startedMs >= this.#frameTimeoutMs) {
      this.onOverdue(`a frame was not complete within ${this.#frameTimeoutMs} ms`)
      return
    }
    this.onTime(now)
    if (!this.isOver) this.watch()
  }

  /** Has the alarm go off for everything that is awaited. */
  protected watch(): void {
    if (this.#decoder.startedMs !== 0) this.#watchFrame()
    this.watchTimes(this.wire.now())
  }

  #watchFrame(): void {
    this.alarm.wakeAt(this.#decoder.startedMs + this.#frameTimeoutMs)
  }

  /** Reads nothing more: frames that are here are dropped. */
  protected deafen(): void {
    this.#decoder.close()
  }

  /** Nothing is read or sent any more. */
  protected stop(): void {
    this.isOver = true
    this.#decoder.close()
    this.alarm.stop()
  }
}
