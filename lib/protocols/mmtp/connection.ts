/** What both roles of a connection have in common beside receiving: control frames, times, and the ways it ends. */
import type { Codec, Wire } from '../../core/codec.ts'
import { Code, codeName, FrameType, HEADER_LENGTH, MAX_WINDOW, STALL_TIMEOUT_MS } from './constants.ts'
import { checkFlags, readU16, readU32 } from './frame.ts'
import { Receiver } from './receiver.ts'
import { DEFAULTS, encodeHello, readTlvs, type Settings } from './settings.ts'
import type { MmtpStream, StreamFailure } from './stream.ts'
import { Vigil } from './vigil.ts'

/** The version that this implementation speaks. */
const VERSION = 1
const PING_BYTES = Buffer.alloc(8)
const PONG_LENGTH = HEADER_LENGTH + PING_BYTES.length

/** See the file's head. */
export abstract class MmtpConnection extends Receiver implements Codec {
  readonly #vigil: Vigil
  #unansweredPings = 0
  #isReadPaused = false

  protected constructor(wire: Wire, own: Settings, isDialler: boolean) {
    super(wire, own, isDialler)
    own.minVersion = VERSION
    own.maxVersion = VERSION
    this.#vigil = new Vigil(wire)
  }

  /** Id of the last stream of the peer's that was looked at, for GOAWAY. */
  protected abstract readonly lastProcessed: number
  /** Whether the peer must be asked for signs of life now. */
  protected abstract readonly wantsPings: boolean
  /** The peer's settings are known. */
  protected abstract onGreeted(): void
  /** The peer's settings changed. */
  protected abstract onSettings(): void
  /** The peer takes no stream above `last`, and opens none. */
  protected abstract onGoAway(last: number, code: number): void
  /** A stream left `streams`. */
  protected abstract onStreamClosed(stream: MmtpStream): void
  /** We close the connection because of the peer's fault. */
  protected abstract onConnectionFailed(code: Code, detail: string): void
  /** A part of a drain may be due. Returns the time of the next, 0 for none. */
  protected abstract onDrainTimer(nowMs: number): number
  /** The peer answered a PING of ours. */
  protected abstract onPong(): void
  /** Whether a CANCEL with this code is charged to the peer. */
  protected abstract countsAsAbuse(code: number): boolean
  /** Looks whether what was sent ended the stream. */
  abstract onSent(stream: MmtpStream): void

  // — wire ———————————————————————————————————————————————————————————————————————————————————————

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.isOver) return
    this.receivedMs = this.wire.now()
    this.decoder.decode(bytes, offset, end, this.receivedMs)
    if (this.isOver) return
    const { startedMs } = this.decoder
    if (startedMs !== 0) this.#vigil.watch(this.isGreeted, startedMs, this.receivedMs, this.own.keepAliveMs)
    // A peer that sends requests and does not read the answers must not fill our memory. Only the acceptor stops
    // reading: if both sides did, two full connections would wait for each other for ever.
    if (!this.isDialler && !this.#isReadPaused && !this.wire.isWritable) {
      this.#isReadPaused = true
      this.wire.pauseRead()
    }
  }

  onDrain(): void {
    this.budgets.onDrain()
    if (this.#isReadPaused) {
      this.#isReadPaused = false
      this.wire.resumeRead()
    }
    this.#notifyDrained()
  }

  onClose(error: Error | null): void {
    this.isOver = true
    this.decoder.close()
    this.#vigil.stop()
    this.failAll({ kind: 'gone', code: Code.None }, error === null ? 'connection closed' : error.message)
  }

  abstract onEnd(): void

  // — control frames —————————————————————————————————————————————————————————————————————————————

  protected onControl(type: number, bytes: Buffer, at: number, metaEnd: number, end: number): void {
    const id = readU32(bytes, at + 4)
    const flags = readU16(bytes, at + 2)
    const stream = id === 0 ? undefined : this.find(id)
    if (this.isOver) return
    const isLate = id !== 0 && stream === undefined
    const verdict = isLate ? 0 : checkFlags(type, flags, id, end - metaEnd)
    if (verdict > 0) {
      this.connectionError(verdict as Code, `flags ${flags} of frame type ${type}`)
      return
    }
    if (verdict < 0 && stream !== undefined) {
      this.streamError(stream, -verdict as Code, `flags ${flags} of frame type ${type}`)
      return
    }
    switch (type) {
      case FrameType.Hello:
      case FrameType.HelloAck:
        this.#onHello(bytes, at, metaEnd)
        break
      case FrameType.Settings:
        this.#onSettingsFrame(bytes, at, metaEnd)
        break
      case FrameType.Cancel:
        this.#onCancel(stream, readU16(bytes, metaEnd), bytes, metaEnd + 2, end)
        break
      case FrameType.Window:
        this.#onWindow(id, stream, readU32(bytes, metaEnd))
        break
      case FrameType.Ping:
        this.#onPing(bytes, metaEnd)
        break
      case FrameType.GoAway:
        this.onGoAway(readU32(bytes, metaEnd), readU16(bytes, metaEnd + 4))
        break
      default:
        this.#onReply(type)
    }
  }

  #onHello(bytes: Buffer, at: number, metaEnd: number): void {
    const { peer } = this.out
    const code = readTlvs(bytes, at + HEADER_LENGTH, metaEnd, peer, true)
    if (code !== Code.None) {
      this.connectionError(code, 'HELLO with wrong TLVs')
      return
    }
    const isChosen = peer.minVersion === VERSION && peer.maxVersion === VERSION
    if (this.isDialler ? !isChosen : peer.minVersion > VERSION || peer.maxVersion < VERSION) {
      this.connectionError(
        Code.Version,
        `the peer speaks ${peer.minVersion}–${peer.maxVersion}, we speak ${VERSION}`,
      )
      return
    }
    this.isGreeted = true
    // What was sent before the peer's settings were known counted against the defaults.
    this.out.window += peer.connectionWindow - DEFAULTS.connectionWindow
    if (!this.isDialler) this.sendHello(FrameType.HelloAck)
    this.#watch()
    this.onGreeted()
    this.#flushBlocked()
  }

  /** Sends HELLO or HELLO_ACK with our settings. */
  protected sendHello(type: number): void {
    this.out.sendWhole(encodeHello(type, this.own))
  }

  #onSettingsFrame(bytes: Buffer, at: number, metaEnd: number): void {
    if (!this.budgets.takeSettings(this.receivedMs)) {
      this.connectionError(Code.Abuse, 'too many SETTINGS')
      return
    }
    const code = readTlvs(bytes, at + HEADER_LENGTH, metaEnd, this.out.peer, false)
    if (code !== Code.None) {
      this.connectionError(code, 'SETTINGS with wrong TLVs')
      return
    }
    if (!this.#mayReply(HEADER_LENGTH)) return
    this.out.sendSettingsAck()
    this.onSettings()
  }

  #onCancel(stream: MmtpStream | undefined, code: number, bytes: Buffer, textAt: number, end: number): void {
    if (this.countsAsAbuse(code) && !this.budgets.takeError(this.receivedMs)) {
      this.connectionError(Code.Abuse, 'too many CANCEL')
      return
    }
    if (stream === undefined) return
    const text = bytes.utf8Slice(textAt, end)
    this.closeStream(stream)
    stream.fail({ kind: 'cancelled', code }, `CANCEL(${codeName(code)})${text === '' ? '' : ` ${text}`}`)
  }

  #onWindow(id: number, stream: MmtpStream | undefined, increment: number): void {
    if (!this.budgets.takeWindow(this.out.bodyFrames)) {
      this.connectionError(Code.Abuse, 'too many WINDOW')
    } else if (increment === 0 || increment > MAX_WINDOW) {
      this.connectionError(Code.Flow, `WINDOW of ${increment}`)
    } else if (id === 0) {
      if (this.out.widen(increment)) this.#flushBlocked()
      else this.connectionError(Code.Flow, 'the window of the connection is above 2^31-1')
    } else if (stream !== undefined) {
      stream.sendWindow += increment
      if (stream.sendWindow <= MAX_WINDOW) this.#flushStream(stream)
      else this.connectionError(Code.Flow, `the window of stream ${id} is above 2^31-1`)
    }
  }

  #onPing(bytes: Buffer, at: number): void {
    if (!this.budgets.takePing(this.receivedMs)) this.connectionError(Code.Abuse, 'too many PING')
    else if (this.#mayReply(PONG_LENGTH)) this.out.sendPing(FrameType.Pong, bytes, at)
  }

  #mayReply(length: number): boolean {
    if (this.budgets.takeReply(length, this.wire.queuedBytes)) return true
    this.connectionError(Code.Abuse, 'replies to control frames are not read')
    return false
  }

  /** PONG and SETTINGS_ACK. */
  #onReply(type: number): void {
    if (type === FrameType.Pong && this.#unansweredPings > 0) {
      this.#unansweredPings--
      this.onPong()
    } else if (!this.budgets.takeIgnorable(this.receivedMs)) {
      this.connectionError(Code.Abuse, 'too many unasked replies')
    }
  }

  // — output that waited —————————————————————————————————————————————————————————————————————————

  #flushBlocked(): void {
    for (const stream of this.out.blocked) {
      if (this.out.window === 0) return
      this.#flushStream(stream as MmtpStream)
    }
  }

  #flushStream(stream: MmtpStream): void {
    if (stream.waiting === null || !this.out.flush(stream)) return
    this.onSent(stream)
    if (this.out.takeRelief()) this.#notifyDrained()
    else if (!stream.isClosed && this.out.isWritable) stream.drained()
  }

  #notifyDrained(): void {
    for (const stream of this.streams.values()) {
      if (!this.out.isWritable) return
      if (stream.waiting === null) stream.drained()
    }
  }

  /** Sees to it that pieces do not wait for a window for ever. */
  watchStall(stream: MmtpStream): void {
    if (stream.waiting !== null) this.#vigil.wakeAt(stream.waiting.sinceMs + STALL_TIMEOUT_MS)
  }

  // — ends ———————————————————————————————————————————————————————————————————————————————————————

  /** Takes the stream out; nothing is sent on it any more. */
  closeStream(stream: MmtpStream): void {
    if (stream.isClosed) return
    stream.isClosed = true
    this.streams.delete(stream.id)
    this.out.discard(stream)
    this.release(stream)
    this.onStreamClosed(stream)
  }

  protected streamError(stream: MmtpStream, code: Code, detail: string): void {
    this.cancelUnopened(stream.id, code, stream.isOneWay)
    if (this.isOver) return
    this.closeStream(stream)
    stream.fail({ kind: 'broken', code }, detail)
  }

  /** CANCEL on a stream that is not open; counted as the peer's fault. */
  protected cancelUnopened(id: number, code: Code, isOneWay: boolean): void {
    if (!this.budgets.takeError(this.receivedMs)) this.connectionError(Code.Abuse, 'too many stream errors')
    else if (!isOneWay) this.out.sendCancel(id, code)
  }

  connectionError(code: Code, detail: string): void {
    if (this.isOver) return
    this.#goAway(code)
    this.onConnectionFailed(code, detail)
    this.failAll({ kind: 'gone', code }, `GOAWAY(${codeName(code)}): ${detail}`)
    this.wire.close()
  }

  /** Closes without a reproach; every stream that is open fails. */
  protected close(code: Code): void {
    if (this.isOver) return
    this.#goAway(code)
    this.failAll({ kind: 'gone', code: Code.None }, `GOAWAY(${codeName(code)})`)
    this.wire.close()
  }

  #goAway(code: Code): void {
    this.isOver = true
    this.decoder.close()
    this.#vigil.stop()
    this.out.sendGoAway(this.lastProcessed, code, 0)
  }

  protected failAll(reason: StreamFailure, detail: string): void {
    for (const stream of this.streams.values()) {
      this.closeStream(stream)
      stream.fail(reason, detail)
    }
  }

  // — time ———————————————————————————————————————————————————————————————————————————————————————

  /** Asks the peer for a sign of life, or for the end of a round trip. */
  protected ping(): void {
    this.#unansweredPings++
    this.out.sendPing(FrameType.Ping, PING_BYTES, 0)
    this.#vigil.pinged(this.wire.now())
  }

  /** Has the timer go off at `atMs`, or earlier. */
  protected wakeAt(atMs: number): void {
    this.#vigil.wakeAt(atMs)
  }

  onTimer(): void {
    this.#vigil.woken()
    if (this.isOver) return
    const now = this.wire.now()
    const { startedMs } = this.decoder
    const overdue = this.#vigil.overdue(now, this.isGreeted, startedMs, this.receivedMs, this.own.keepAliveMs)
    if (overdue !== null) {
      this.connectionError(Code.Idle, overdue)
      return
    }
    this.#failStalled(now)
    if (this.wantsPings && this.isGreeted && now >= this.#pingAtMs) this.ping()
    const drainAtMs = this.onDrainTimer(now)
    if (this.isOver) return
    if (drainAtMs > 0) this.#vigil.wakeAt(drainAtMs)
    this.#watch()
  }

  #watch(): void {
    const { keepAliveMs } = this.own
    this.#vigil.watch(this.isGreeted, this.decoder.startedMs, this.receivedMs, keepAliveMs)
    // Looked at even while no sign of life is wanted: it may be wanted by then.
    if (this.isGreeted)
      this.#vigil.wakeAt(this.wantsPings ? this.#pingAtMs : this.#vigil.nextLookMs(keepAliveMs))
  }

  get #pingAtMs(): number {
    return this.#vigil.pingAtMs(this.receivedMs, this.out.peer.keepAliveMs, this.own.keepAliveMs)
  }

  #failStalled(now: number): void {
    for (const blocked of this.out.blocked) {
      const stream = blocked as MmtpStream
      const stalledAtMs = (stream.waiting?.sinceMs ?? now) + STALL_TIMEOUT_MS
      if (now < stalledAtMs) {
        this.#vigil.wakeAt(stalledAtMs)
        continue
      }
      this.out.sendCancel(stream.id, Code.Stalled)
      this.closeStream(stream)
      stream.fail({ kind: 'stalled', code: Code.Stalled }, `no window for ${STALL_TIMEOUT_MS} ms`)
    }
  }
}
