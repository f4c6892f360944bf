/**
 * Bolt load, closed loop or at a rate.
 *
 *   node perf/load/bolt-load.ts --port 8193 --connections 4 --in-flight 64 --seconds 3 [--payload order] [--rate 20000]
 *
 * Each argument bears the numbers of its connection and request; the answer must bear the same id and numbers.
 */
import { parseArgs } from 'node:util'
import {
  BOLT_LAYOUT,
  bareResponse,
  Command,
  callOf,
  commandOf,
  FrameType,
  ID_OFFSET,
  requestContent,
  requestFrame,
  responseContent,
  STATUS_OFFSET,
} from './bolt-frames.ts'
import { LOAD_OPTIONS, type LoadConnection, runLoad, type Talk } from './load-loop.ts'
import { hasMark, MarkFinder, writeMark } from './mark.ts'

const { values } = parseArgs({ options: LOAD_OPTIONS })
const template = requestFrame(callOf(values.payload, Number(values.body)))
const markOffset = new MarkFinder().find(template, requestContent(template, 0), template.length)
const heartbeatAnswer = bareResponse(Command.HEARTBEAT, 0)
const finder = new MarkFinder()

function createTalk(connection: LoadConnection): Talk {
  const { index, batch } = connection
  let nextId = 1

  function onAnswer(bytes: Buffer, offset: number, end: number): void {
    const id = bytes.readUInt32BE(offset + ID_OFFSET)
    const status = bytes.readUInt16BE(offset + STATUS_OFFSET)
    if (status !== 0) {
      connection.refuse(id, `status ${status}`)
      return
    }
    const mark = finder.find(bytes, responseContent(bytes, offset), end)
    if (mark >= 0 && hasMark(bytes, mark, index, id)) connection.complete(id)
    else connection.refuse(id, 'the answer to another request')
  }

  return {
    greeting: null,
    send() {
      const id = nextId++
      const slab = batch.append(template)
      slab.writeUInt32BE(id, batch.at + ID_OFFSET)
      writeMark(slab, batch.at + markOffset, index, id)
      return id
    },
    onFrame(bytes, offset, end) {
      const command = commandOf(bytes, offset)
      if (command === Command.RESPONSE) onAnswer(bytes, offset, end)
      else if (command === Command.GOAWAY) connection.retire('GoAway')
      else if (command === Command.HEARTBEAT && bytes[offset + 1] === FrameType.REQUEST) {
        const id = bytes.readUInt32BE(offset + ID_OFFSET)
        batch.append(heartbeatAnswer).writeUInt32BE(id, batch.at + ID_OFFSET)
      }
    },
    afterRead() {},
  }
}

runLoad(values, BOLT_LAYOUT, createTalk)
