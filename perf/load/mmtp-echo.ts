/**
 * An Mmtp business process that answers every request with its own body, writing once per read.
 *
 *   node perf/load/mmtp-echo.ts --port 9001
 */
import { parseArgs } from 'node:util'
import { type Answerer, ECHO_OPTIONS, serveEcho } from './echo-server.ts'
import type { FrameBatch } from './frame-stream.ts'
import {
  CONNECTION_WINDOW,
  controlFrame,
  FLAG_END,
  FrameType,
  HEADER_LENGTH,
  helloFrame,
  MMTP_LAYOUT,
  readLimits,
  responseHead,
  windowFrame,
} from './mmtp-frames.ts'

const { values } = parseArgs({ options: ECHO_OPTIONS })
const head = responseHead()

/** An answer that waits for the dialler's window. */
interface Waiting {
  readonly streamId: number
  readonly body: Buffer
}

/** One accepted connection. */
class EchoConnection implements Answerer {
  readonly #batch: FrameBatch
  /** Bodies that come in pieces. */
  readonly #pieces = new Map<number, Buffer[]>()
  #waiting: Waiting[] = []
  #sendWindow = 0
  #creditDue = 0

  constructor(batch: FrameBatch) {
    this.#batch = batch
  }

  afterRead(): void {
    if (this.#creditDue < CONNECTION_WINDOW / 2) return
    this.#batch.append(windowFrame(this.#creditDue))
    this.#creditDue = 0
  }

  onFrame(bytes: Buffer, offset: number, end: number): void {
    const streamId = bytes.readUInt32BE(offset + 4)
    const bodyLength = bytes.readUInt32BE(offset + 12)
    switch (bytes[offset + 1]) {
      case FrameType.REQUEST:
      case FrameType.DATA:
        this.#creditDue += bodyLength
        this.#onBody(streamId, bytes, end - bodyLength, end, (bytes[offset + 3]! & FLAG_END) !== 0)
        break
      case FrameType.CANCEL:
        this.#pieces.delete(streamId)
        this.#waiting = this.#waiting.filter((answer) => answer.streamId !== streamId)
        break
      case FrameType.WINDOW:
        if (streamId === 0) this.#onCredit(bytes.readUInt32BE(offset + HEADER_LENGTH))
        break
      case FrameType.HELLO:
        this.#sendWindow = readLimits(bytes, offset).connectionWindow
        this.#batch.append(helloFrame(FrameType.HELLO_ACK, 4))
        break
      case FrameType.PING:
        this.#batch.append(controlFrame(FrameType.PONG, bytes.subarray(offset + HEADER_LENGTH, end)))
        break
      case FrameType.SETTINGS:
        this.#batch.append(controlFrame(FrameType.SETTINGS_ACK, new Uint8Array(0)))
        break
    }
  }

  #onBody(streamId: number, bytes: Buffer, offset: number, end: number, isEnd: boolean): void {
    const pieces = this.#pieces.get(streamId)
    if (isEnd && pieces === undefined) {
      this.#answer(streamId, bytes, offset, end)
      return
    }
    const piece = Buffer.from(bytes.subarray(offset, end))
    if (pieces === undefined) this.#pieces.set(streamId, [piece])
    else pieces.push(piece)
    if (!isEnd) return
    const body = Buffer.concat(this.#pieces.get(streamId)!)
    this.#pieces.delete(streamId)
    this.#answer(streamId, body, 0, body.length)
  }

  #answer(streamId: number, bytes: Buffer, offset: number, end: number): void {
    const body = bytes.subarray(offset, end)
    if (this.#waiting.length > 0 || this.#sendWindow < body.length) {
      this.#waiting.push({ streamId, body: Buffer.from(body) })
      return
    }
    this.#sendWindow -= body.length
    const slab = this.#batch.append(head)
    slab.writeUInt32BE(streamId, this.#batch.at + 4)
    slab.writeUInt32BE(body.length, this.#batch.at + 12)
    this.#batch.append(body)
  }

  #onCredit(increment: number): void {
    this.#sendWindow += increment
    const waiting = this.#waiting
    this.#waiting = []
    for (const { streamId, body } of waiting) this.#answer(streamId, body, 0, body.length)
  }
}

serveEcho(Number(values.port), MMTP_LAYOUT, (batch) => new EchoConnection(batch))
