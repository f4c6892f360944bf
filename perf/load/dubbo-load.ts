/**
 * Dubbo load, closed loop or at a rate.
 *
 *   node perf/load/dubbo-load.ts --port 8194 --connections 4 --in-flight 64 --seconds 3 [--payload order] [--rate 20000]
 *
 * Each argument bears the numbers of its connection and request; the answer must bear the same id and numbers.
 */
import { parseArgs } from 'node:util'
import {
  callOf,
  DUBBO_LAYOUT,
  FLAG_EVENT,
  FLAG_REQUEST,
  FLAG_TWO_WAY,
  HEADER_LENGTH,
  heartbeatAnswer,
  ID_HIGH,
  ID_LOW,
  KIND_VALUE,
  requestFrame,
  STATUS_OFFSET,
  STATUS_OK,
} from './dubbo-frames.ts'
import { LOAD_OPTIONS, type LoadConnection, runLoad, type Talk } from './load-loop.ts'
import { hasMark, MarkFinder, writeMark } from './mark.ts'

const { values } = parseArgs({ options: LOAD_OPTIONS })
const template = requestFrame(callOf(values.payload, Number(values.body)))
const markOffset = new MarkFinder().find(template, HEADER_LENGTH, template.length)
const alive = heartbeatAnswer()
const finder = new MarkFinder()

function createTalk(connection: LoadConnection): Talk {
  const { index, batch } = connection
  // A consumer counts from a random 64-bit number; the upper half tells the connections apart.
  const idHigh = 0xa605676d - index
  let nextId = 1

  function onAnswer(bytes: Buffer, offset: number, end: number): void {
    const id = bytes.readUInt32BE(offset + ID_LOW)
    const status = bytes[offset + STATUS_OFFSET]
    if (status !== STATUS_OK || bytes[offset + HEADER_LENGTH] !== KIND_VALUE) {
      connection.refuse(id, status === STATUS_OK ? 'an answer without a value' : `status ${status}`)
      return
    }
    const mark = finder.find(bytes, offset + HEADER_LENGTH, end)
    const isOwn =
      mark >= 0 && hasMark(bytes, mark, index, id) && bytes.readUInt32BE(offset + ID_HIGH) === idHigh
    if (isOwn) connection.complete(id)
    else connection.refuse(id, 'the answer to another request')
  }

  return {
    greeting: null,
    send() {
      const id = nextId++
      const slab = batch.append(template)
      slab.writeUInt32BE(idHigh, batch.at + ID_HIGH)
      slab.writeUInt32BE(id, batch.at + ID_LOW)
      writeMark(slab, batch.at + markOffset, index, id)
      return id
    },
    onFrame(bytes, offset, end) {
      const flags = bytes[offset + 2]!
      if ((flags & FLAG_EVENT) === 0) onAnswer(bytes, offset, end)
      else if ((flags & FLAG_TWO_WAY) !== 0) {
        bytes.copy(batch.append(alive), batch.at + ID_HIGH, offset + ID_HIGH, offset + HEADER_LENGTH - 4)
      } else if ((flags & FLAG_REQUEST) !== 0) connection.retire('READONLY')
    },
    afterRead() {},
  }
}

runLoad(values, DUBBO_LAYOUT, createTalk)
