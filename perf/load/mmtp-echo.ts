/**
 * An Mmtp business process that answers every request with its own body, writing once per read.
 *
 *   node perf/load/mmtp-echo.ts --port 9001
 */
import net from 'node:net'
import { parseArgs } from 'node:util'
import {
  CONNECTION_WINDOW,
  controlFrame,
  FLAG_END,
  FrameBatch,
  FrameReader,
  FrameType,
  HEADER_LENGTH,
  helloFrame,
  readLimits,
  responseHead,
  windowFrame,
} from './mmtp-frames.ts'

const { values } = parseArgs({ options: { port: { type: 'string' } } })
const head = responseHead()

/** An answer that waits for the dialler's window. */
interface Waiting {
  readonly streamId: number
  readonly body: Buffer
}

/** One accepted connection. */
class EchoConnection {
  readonly #batch: FrameBatch
  readonly #reader = new FrameReader((bytes, offset, end) => this.#onFrame(bytes, offset, end))
  /** Bodies that come in pieces. */
  readonly #pieces = new Map<number, Buffer[]>()
  #waiting: Waiting[] = []
  #sendWindow = 0
  #creditDue = 0

  constructor(socket: net.Socket) {
    this.#batch = new FrameBatch(socket)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#reader.push(chunk, chunk.length)
      } catch (error) {
        process.stderr.write(`${(error as Error).message}\n`)
        socket.destroy()
        return
      }
      if (this.#creditDue >= CONNECTION_WINDOW / 2) {
        this.#batch.append(windowFrame(this.#creditDue))
        this.#creditDue = 0
      }
      this.#batch.flush()
    })
  }

  #onFrame(bytes: Buffer, offset: number, end: number): void {
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

const server = net.createServer({ noDelay: true }, (socket) => void new EchoConnection(socket))
server.listen({ port: Number(values.port), host: '127.0.0.1', backlog: 4096 })
