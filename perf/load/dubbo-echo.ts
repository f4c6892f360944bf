/**
 * A Dubbo business process that answers `echo` with its argument, or every call with an order that bears its mark.
 *
 *   node perf/load/dubbo-echo.ts --port 20880 [--payload order]
 */
import { parseArgs } from 'node:util'
import {
  DUBBO_LAYOUT,
  FLAG_EVENT,
  FLAG_REQUEST,
  FLAG_TWO_WAY,
  failureFrame,
  HEADER_LENGTH,
  heartbeatAnswer,
  ID_HIGH,
  responseFrame,
  resultOf,
} from './dubbo-frames.ts'
import { type Answerer, ECHO_OPTIONS, serveEcho } from './echo-server.ts'
import type { FrameBatch } from './frame-stream.ts'
import { MARK_LENGTH, MarkFinder } from './mark.ts'

const STATUS_BAD_REQUEST = 40
const CALL = FLAG_REQUEST | FLAG_TWO_WAY

const { values } = parseArgs({ options: ECHO_OPTIONS })
const answer = responseFrame(resultOf(values.payload, Number(values.body)))
const markOffset = new MarkFinder().find(answer, HEADER_LENGTH, answer.length)
const copiedLength = values.payload === 'order' ? MARK_LENGTH : Number(values.body)
const unreadable = failureFrame(STATUS_BAD_REQUEST, 'the call bears no mark')
const alive = heartbeatAnswer()
const finder = new MarkFinder()

function createAnswerer(batch: FrameBatch): Answerer {
  /** Appends `frame` with the id of the request at `offset`. */
  function reply(frame: Buffer, bytes: Buffer, offset: number): Buffer {
    const slab = batch.append(frame)
    bytes.copy(slab, batch.at + ID_HIGH, offset + ID_HIGH, offset + HEADER_LENGTH - 4)
    return slab
  }

  return {
    onFrame(bytes, offset, end) {
      const flags = bytes[offset + 2]!
      if ((flags & CALL) !== CALL) return
      if ((flags & FLAG_EVENT) !== 0) {
        reply(alive, bytes, offset)
        return
      }
      const mark = finder.find(bytes, offset + HEADER_LENGTH, end)
      const isReadable = mark >= 0 && mark + copiedLength <= end
      const slab = reply(isReadable ? answer : unreadable, bytes, offset)
      if (isReadable) bytes.copy(slab, batch.at + markOffset, mark, mark + copiedLength)
    },
    afterRead() {},
  }
}

serveEcho(Number(values.port), DUBBO_LAYOUT, createAnswerer)
