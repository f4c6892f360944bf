/**
 * A Bolt business process that answers `echo` with its argument, or every call with an order that bears its mark.
 *
 *   node perf/load/bolt-echo.ts --port 12200 [--payload order]
 */
import { parseArgs } from 'node:util'
import {
  BOLT_LAYOUT,
  bareResponse,
  Command,
  commandOf,
  FrameType,
  ID_OFFSET,
  requestContent,
  responseContent,
  responseFrame,
  resultOf,
} from './bolt-frames.ts'
import { type Answerer, ECHO_OPTIONS, serveEcho } from './echo-server.ts'
import type { FrameBatch } from './frame-stream.ts'
import { MARK_LENGTH, MarkFinder } from './mark.ts'

/** SOFARPC's answer to a content that it cannot read. */
const STATUS_UNREADABLE = 18

const { values } = parseArgs({ options: ECHO_OPTIONS })
const answer = responseFrame(resultOf(values.payload, Number(values.body)))
const markOffset = new MarkFinder().find(answer, responseContent(answer, 0), answer.length)
const copiedLength = values.payload === 'order' ? MARK_LENGTH : Number(values.body)
const unreadable = bareResponse(Command.RESPONSE, STATUS_UNREADABLE)
const heartbeatAnswer = bareResponse(Command.HEARTBEAT, 0)
const finder = new MarkFinder()

function createAnswerer(batch: FrameBatch): Answerer {
  function onCall(bytes: Buffer, offset: number, end: number): void {
    const mark = finder.find(bytes, requestContent(bytes, offset), end)
    const isReadable = mark >= 0 && mark + copiedLength <= end
    const slab = batch.append(isReadable ? answer : unreadable)
    bytes.copy(slab, batch.at + ID_OFFSET, offset + ID_OFFSET, offset + ID_OFFSET + 4)
    if (isReadable) bytes.copy(slab, batch.at + markOffset, mark, mark + copiedLength)
  }

  return {
    onFrame(bytes, offset, end) {
      if (bytes[offset + 1] !== FrameType.REQUEST) return
      const command = commandOf(bytes, offset)
      if (command === Command.REQUEST) onCall(bytes, offset, end)
      else if (command === Command.HEARTBEAT) {
        const slab = batch.append(heartbeatAnswer)
        bytes.copy(slab, batch.at + ID_OFFSET, offset + ID_OFFSET, offset + ID_OFFSET + 4)
      }
    },
    afterRead() {},
  }
}

serveEcho(Number(values.port), BOLT_LAYOUT, createAnswerer)
