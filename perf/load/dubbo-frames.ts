/**
 * Dubbo 2 frames for load, as a Dubbo 3.3 consumer and provider send them: built once, patched in place. Written from
 * the protocol's description alone and sharing nothing with lib/protocols, so that a measurement is also a second
 * opinion.
 */
import type { FrameLayout } from './frame-stream.ts'
import { FINAL, int, orderObject, untypedMap } from './hessian-bytes.ts'
import { CREATE_METHOD, ECHO_METHOD, markedText, ORDER_CLASS, SERVICE } from './order.ts'

export const HEADER_LENGTH = 16
const MAGIC = 0xdabb
const SERIALIZATION_HESSIAN = 2
const PROTOCOL_VERSION = '2.0.2'

export const FLAG_REQUEST = 0x80
export const FLAG_TWO_WAY = 0x40
export const FLAG_EVENT = 0x20
export const STATUS_OK = 20
/** Kind of a value that attachments follow, as Hessian's int 4. */
export const KIND_VALUE = 0x94

/** Offsets of the two halves of the request id, and of the status of a response. */
export const ID_HIGH = 4
export const ID_LOW = 8
export const STATUS_OFFSET = 3

/** How long a Dubbo frame is. */
export const DUBBO_LAYOUT: FrameLayout = {
  headerLength: HEADER_LENGTH,
  frameEnd(bytes, offset) {
    const magic = bytes.readUInt16BE(offset)
    if (magic !== MAGIC)
      throw new Error(`a frame starts with ${magic.toString(16)}, not ${MAGIC.toString(16)}`)
    return offset + HEADER_LENGTH + bytes.readUInt32BE(offset + 12)
  },
}

/** What is called: a method with the descriptor and the bytes of its one argument. */
export interface DubboCall {
  readonly method: string
  readonly descriptor: string
  readonly argument: Buffer
}

/** `echo` with a string. */
export function echoCall(text: string): DubboCall {
  return { method: ECHO_METHOD, descriptor: 'Ljava/lang/String;', argument: FINAL.string(text) }
}

/** The call for a payload of the command line. */
export function callOf(payload: string, textLength: number): DubboCall {
  if (payload !== 'order') return echoCall(markedText(textLength))
  const descriptor = `L${ORDER_CLASS.replaceAll('.', '/')};`
  return { method: CREATE_METHOD, descriptor, argument: orderObject(FINAL, 0) }
}

/** The value that answers a payload of the command line. */
export function resultOf(payload: string, textLength: number): Buffer {
  return payload === 'order' ? orderObject(FINAL, 0) : FINAL.string(markedText(textLength))
}

/** A whole two-way request with id 0. */
export function requestFrame({ method, descriptor, argument }: DubboCall): Buffer {
  const text = FINAL.string
  const attachments = untypedMap(FINAL, [
    ['path', text(SERVICE)],
    ['remote.application', text('order-client')],
    ['interface', text(SERVICE)],
    ['version', text('0.0.0')],
    ['timeout', text('5000')],
  ])
  const leading = [PROTOCOL_VERSION, SERVICE, '0.0.0', method, descriptor].map(text)
  return frame(FLAG_REQUEST | FLAG_TWO_WAY, 0, Buffer.concat([...leading, argument, attachments]))
}

/** A whole response with id 0 that bears `result`. */
export function responseFrame(result: Buffer): Buffer {
  const attachments = untypedMap(FINAL, [['dubbo', FINAL.string(PROTOCOL_VERSION)]])
  return frame(0, STATUS_OK, Buffer.concat([int(4), result, attachments]))
}

/** A response with id 0 that says what went wrong. */
export function failureFrame(status: number, text: string): Buffer {
  return frame(0, status, FINAL.string(text))
}

/** The answer with id 0 to a heartbeat. */
export function heartbeatAnswer(): Buffer {
  return frame(FLAG_EVENT, STATUS_OK, Buffer.from('N'))
}

function frame(flags: number, status: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_LENGTH)
  head.writeUInt16BE(MAGIC)
  head[2] = flags | SERIALIZATION_HESSIAN
  head[STATUS_OFFSET] = status
  head.writeUInt32BE(body.length, 12)
  return Buffer.concat([head, body])
}
