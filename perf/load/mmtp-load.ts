/**
 * Mmtp load, closed loop or at a rate.
 *
 *   node perf/load/mmtp-load.ts --port 8191 --connections 4 --in-flight 64 --body 256 --seconds 3 [--no-echo]
 *
 * Each body bears the numbers of its connection and stream; unless `--no-echo` is given, the answer must bear the same,
 * so a proxy that mixes up streams is found out. `--payload order` sends a JSON object in place of a text.
 */
import { parseArgs } from 'node:util'
import { LOAD_OPTIONS, type LoadConnection, runLoad, type Talk } from './load-loop.ts'
import { hasMark, MarkFinder, writeMark } from './mark.ts'
import {
  CONNECTION_WINDOW,
  controlFrame,
  FLAG_END,
  FrameType,
  HEADER_LENGTH,
  helloFrame,
  MMTP_LAYOUT,
  readLimits,
  requestTemplate,
  windowFrame,
} from './mmtp-frames.ts'
import { markedText, ORDER_JSON } from './order.ts'

const { values } = parseArgs({
  allowNegative: true,
  options: {
    ...LOAD_OPTIONS,
    operation: { type: 'string', default: 'bench.things.list' },
    echo: { type: 'boolean', default: true },
  },
})
const body = Buffer.from(values.payload === 'order' ? ORDER_JSON : markedText(Number(values.body)))
const template = requestTemplate(values.operation, body)
const bodyOffset = template.length - body.length
const markOffset = bodyOffset + new MarkFinder().find(body, 0, body.length)
const wantedInFlight = Number(values['in-flight'])
/** An echo has the length of what was sent; a result may be longer. */
const answerLength = values.payload === 'order' ? null : body.length
const finder = new MarkFinder()

/** One connection's streams and windows. */
class MmtpTalk implements Talk {
  readonly greeting = helloFrame(FrameType.HELLO, 1)
  readonly #connection: LoadConnection
  #nextId = 1
  #sendWindow = 0
  #creditDue = 0

  constructor(connection: LoadConnection) {
    this.#connection = connection
    connection.limit = 0 // until the acceptor has said what it allows
  }

  send(): number {
    if (this.#sendWindow < body.length) return 0
    const { index, batch } = this.#connection
    const id = this.#nextId
    this.#nextId += 2
    this.#sendWindow -= body.length
    const slab = batch.append(template)
    slab.writeUInt32BE(id, batch.at + 4)
    writeMark(slab, batch.at + markOffset, index, id)
    return id
  }

  afterRead(): void {
    if (this.#creditDue < CONNECTION_WINDOW / 2) return
    this.#connection.batch.append(windowFrame(this.#creditDue))
    this.#creditDue = 0
  }

  onFrame(bytes: Buffer, offset: number, end: number): void {
    const { batch } = this.#connection
    const streamId = bytes.readUInt32BE(offset + 4)
    switch (bytes[offset + 1]) {
      case FrameType.RESPONSE:
        this.#onResponse(bytes, offset, end, streamId)
        break
      case FrameType.DATA:
        this.#creditDue += bytes.readUInt32BE(offset + 12)
        if (isEnd(bytes, offset)) this.#connection.complete(streamId)
        break
      case FrameType.CANCEL:
        this.#connection.refuse(streamId, `CANCEL with code ${bytes.readUInt16BE(offset + HEADER_LENGTH)}`)
        break
      case FrameType.WINDOW:
        if (streamId === 0) this.#sendWindow += bytes.readUInt32BE(offset + HEADER_LENGTH)
        break
      case FrameType.HELLO_ACK: {
        const limits = readLimits(bytes, offset)
        this.#sendWindow = limits.connectionWindow
        this.#connection.limit = Math.min(wantedInFlight, limits.maxStreams)
        break
      }
      case FrameType.PING:
        batch.append(controlFrame(FrameType.PONG, bytes.subarray(offset + HEADER_LENGTH, end)))
        break
      case FrameType.SETTINGS:
        batch.append(controlFrame(FrameType.SETTINGS_ACK, new Uint8Array(0)))
        break
      case FrameType.GOAWAY:
        this.#connection.retire(`GOAWAY with code ${bytes.readUInt16BE(offset + HEADER_LENGTH + 4)}`)
        break
    }
  }

  #onResponse(bytes: Buffer, offset: number, end: number, streamId: number): void {
    const length = bytes.readUInt32BE(offset + 12)
    const status = bytes.readUInt16BE(offset + HEADER_LENGTH)
    this.#creditDue += length
    if (status !== 1000) this.#connection.refuse(streamId, `status ${status}`)
    else if (isEnd(bytes, offset)) {
      if (!values.echo || this.#isOwn(bytes, end - length, end, streamId)) this.#connection.complete(streamId)
      else this.#connection.refuse(streamId, 'the answer to another request')
    }
  }

  #isOwn(bytes: Buffer, offset: number, end: number, streamId: number): boolean {
    if (answerLength !== null && end - offset !== answerLength) return false
    const mark = finder.find(bytes, offset, end)
    return mark >= 0 && hasMark(bytes, mark, this.#connection.index, streamId)
  }
}

function isEnd(bytes: Buffer, offset: number): boolean {
  return (bytes[offset + 3]! & FLAG_END) !== 0
}

runLoad(values, MMTP_LAYOUT, (connection) => new MmtpTalk(connection))
