/**
 * Closed-loop Mmtp load: every connection keeps a number of requests in flight, and writes once per read.
 *
 *   node perf/load/mmtp-load.ts --port 8191 --connections 4 --in-flight 64 --body 256 --seconds 3 [--no-echo]
 *
 * Each body starts with connection and stream number; unless `--no-echo` is given, the answer must be the same body,
 * so a proxy that mixes up streams is found out.
 */
import net from 'node:net'
import { parseArgs } from 'node:util'
import { Recorder } from './load-result.ts'
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
  requestTemplate,
  windowFrame,
} from './mmtp-frames.ts'

const { values } = parseArgs({
  allowNegative: true,
  options: {
    port: { type: 'string' },
    connections: { type: 'string', default: '4' },
    'in-flight': { type: 'string', default: '64' },
    body: { type: 'string', default: '256' },
    seconds: { type: 'string', default: '3' },
    operation: { type: 'string', default: 'bench.things.list' },
    echo: { type: 'boolean', default: true },
  },
})
const bodyLength = Math.max(8, Number(values.body))
const wantedInFlight = Number(values['in-flight'])
const template = requestTemplate(values.operation, bodyLength)
const bodyOffset = template.length - bodyLength
const expectsEcho = values.echo
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)
const recorder = new Recorder(performance.now())
const clients: MmtpClient[] = []
let isOver = false

/** One connection. */
class MmtpClient {
  readonly #index: number
  readonly #socket: net.Socket
  readonly #batch: FrameBatch
  readonly #reader = new FrameReader((bytes, offset, end) => this.#onFrame(bytes, offset, end))
  /** When each open stream was sent. */
  readonly #open = new Map<number, number>()
  #nextId = 1
  /** Stays 0 until the acceptor has said what it allows. */
  #maxInFlight = 0
  #sendWindow = 0
  #creditDue = 0
  #now = 0

  constructor(index: number, port: number) {
    this.#index = index
    this.#socket = net.connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      // One buffer for all connections: the reader keeps copies of tails only.
      onread: { buffer: readBuffer, callback: (length, bytes) => this.#onRead(bytes as Buffer, length) },
    })
    this.#batch = new FrameBatch(this.#socket)
    this.#socket.write(helloFrame(FrameType.HELLO, 1))
    let reason = 'the connection was closed'
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message
    })
    this.#socket.on('end', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      if (!isOver) recorder.fail(reason, Math.max(1, this.#open.size))
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #onRead(bytes: Buffer, length: number): boolean {
    this.#now = performance.now()
    try {
      this.#reader.push(bytes, length)
    } catch (error) {
      recorder.fail((error as Error).message)
      this.#socket.destroy()
      return false
    }
    if (this.#creditDue >= CONNECTION_WINDOW / 2) {
      this.#batch.append(windowFrame(this.#creditDue))
      this.#creditDue = 0
    }
    this.#fill()
    this.#batch.flush()
    return true
  }

  /** Opens streams until enough are in flight or the acceptor's window is used up. */
  #fill(): void {
    if (isOver) return
    while (this.#open.size < this.#maxInFlight && this.#sendWindow >= bodyLength) {
      const id = this.#nextId
      this.#nextId += 2
      this.#sendWindow -= bodyLength
      const slab = this.#batch.append(template)
      const at = this.#batch.at
      slab.writeUInt32BE(id, at + 4)
      slab.writeUInt32BE(this.#index, at + bodyOffset)
      slab.writeUInt32BE(id, at + bodyOffset + 4)
      this.#open.set(id, this.#now)
    }
  }

  #onFrame(bytes: Buffer, offset: number, end: number): void {
    const streamId = bytes.readUInt32BE(offset + 4)
    switch (bytes[offset + 1]) {
      case FrameType.RESPONSE:
        this.#onResponse(bytes, offset, streamId)
        break
      case FrameType.DATA:
        this.#creditDue += bytes.readUInt32BE(offset + 12)
        if (this.#isEnd(bytes, offset)) this.#complete(streamId)
        break
      case FrameType.CANCEL:
        recorder.fail(`CANCEL with code ${bytes.readUInt16BE(offset + HEADER_LENGTH)}`)
        this.#open.delete(streamId)
        break
      case FrameType.WINDOW:
        if (streamId === 0) this.#sendWindow += bytes.readUInt32BE(offset + HEADER_LENGTH)
        break
      case FrameType.HELLO_ACK: {
        const limits = readLimits(bytes, offset)
        this.#sendWindow = limits.connectionWindow
        this.#maxInFlight = Math.min(wantedInFlight, limits.maxStreams)
        break
      }
      case FrameType.PING:
        this.#batch.append(controlFrame(FrameType.PONG, bytes.subarray(offset + HEADER_LENGTH, end)))
        break
      case FrameType.SETTINGS:
        this.#batch.append(controlFrame(FrameType.SETTINGS_ACK, new Uint8Array(0)))
        break
      case FrameType.GOAWAY:
        recorder.fail(`GOAWAY with code ${bytes.readUInt16BE(offset + HEADER_LENGTH + 4)}`)
        this.#maxInFlight = 0
        break
    }
  }

  #onResponse(bytes: Buffer, offset: number, streamId: number): void {
    const length = bytes.readUInt32BE(offset + 12)
    const metaEnd = offset + HEADER_LENGTH + bytes.readUInt16BE(offset + 8)
    const status = bytes.readUInt16BE(offset + HEADER_LENGTH)
    this.#creditDue += length
    if (status !== 1000) {
      this.#refuse(streamId, `status ${status}`)
      return
    }
    if (!this.#isEnd(bytes, offset)) return
    if (
      expectsEcho &&
      (length !== bodyLength ||
        bytes.readUInt32BE(metaEnd) !== this.#index ||
        bytes.readUInt32BE(metaEnd + 4) !== streamId)
    ) {
      this.#refuse(streamId, 'the answer to another request')
    } else {
      this.#complete(streamId)
    }
  }

  #isEnd(bytes: Buffer, offset: number): boolean {
    return (bytes[offset + 3]! & FLAG_END) !== 0
  }

  #refuse(streamId: number, reason: string): void {
    recorder.fail(reason)
    this.#open.delete(streamId)
  }

  #complete(streamId: number): void {
    const sentAt = this.#open.get(streamId)
    if (sentAt === undefined) {
      recorder.fail('an answer to no open request')
      return
    }
    this.#open.delete(streamId)
    recorder.ok(sentAt, this.#now)
  }
}

for (let i = 0; i < Number(values.connections); i++) clients.push(new MmtpClient(i, Number(values.port)))
setTimeout(() => {
  isOver = true
  recorder.print(performance.now())
  for (const client of clients) client.close()
}, Number(values.seconds) * 1000)
