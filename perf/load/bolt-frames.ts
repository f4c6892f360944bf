/**
 * Bolt v1 frames for load, as SOFARPC clients and servers send them: built once, patched in place. Written from the
 * protocol's description alone and sharing nothing with lib/protocols, so that a measurement is also a second opinion.
 */
import type { FrameLayout } from './frame-stream.ts'
import { DRAFT, orderObject, untypedMap } from './hessian-bytes.ts'
import { CREATE_METHOD, ECHO_METHOD, markedText, ORDER_CLASS, SERVICE } from './order.ts'

const PROTOCOL = 1
const CODEC_HESSIAN = 1
const REQUEST_HEAD = 22
const RESPONSE_HEAD = 20
const REQUEST_CLASS = 'com.alipay.sofa.rpc.core.request.SofaRequest'
const RESPONSE_CLASS = 'com.alipay.sofa.rpc.core.response.SofaResponse'
const UNIQUE_NAME = `${SERVICE}:1.0`
const TRACE_ID = 'c00002021795187693051100119753'

export const FrameType = { RESPONSE: 0, REQUEST: 1, ONEWAY: 2 } as const
export const Command = { HEARTBEAT: 0, REQUEST: 1, RESPONSE: 2, GOAWAY: 100 } as const

/** Offset of the 4-byte request id in every frame. */
export const ID_OFFSET = 5
/** Offset of the 2-byte status in a response. */
export const STATUS_OFFSET = 10

/** How long a Bolt v1 frame is. */
export const BOLT_LAYOUT: FrameLayout = {
  headerLength: RESPONSE_HEAD,
  frameEnd(bytes, offset, end) {
    if (bytes[offset] !== PROTOCOL) throw new Error(`a frame starts with ${bytes[offset]}, not ${PROTOCOL}`)
    const isResponse = bytes[offset + 1] === FrameType.RESPONSE
    if (!isResponse && end - offset < REQUEST_HEAD) return Number.POSITIVE_INFINITY
    const lengths = offset + (isResponse ? 12 : 14)
    const parts =
      bytes.readUInt16BE(lengths) + bytes.readUInt16BE(lengths + 2) + bytes.readUInt32BE(lengths + 4)
    return lengths + 8 + parts
  },
}

/** Command code of the frame at `offset`. */
export function commandOf(bytes: Buffer, offset: number): number {
  return bytes.readUInt16BE(offset + 2)
}

/** Where the content of the request at `offset` begins. */
export function requestContent(bytes: Buffer, offset: number): number {
  return offset + REQUEST_HEAD + bytes.readUInt16BE(offset + 14) + bytes.readUInt16BE(offset + 16)
}

/** Where the content of the response at `offset` begins. */
export function responseContent(bytes: Buffer, offset: number): number {
  return offset + RESPONSE_HEAD + bytes.readUInt16BE(offset + 12) + bytes.readUInt16BE(offset + 14)
}

/** What is called: a method with the type and the bytes of its one argument. */
export interface BoltCall {
  readonly method: string
  readonly type: string
  readonly argument: Buffer
}

/** `echo` with a string. */
export function echoCall(text: string): BoltCall {
  return { method: ECHO_METHOD, type: 'java.lang.String', argument: DRAFT.string(text) }
}

/** The call for a payload of the command line. */
export function callOf(payload: string, textLength: number): BoltCall {
  if (payload !== 'order') return echoCall(markedText(textLength))
  // Class 0 of the stream is the request itself.
  return { method: CREATE_METHOD, type: ORDER_CLASS, argument: orderObject(DRAFT, 1) }
}

/** The value that answers a payload of the command line. */
export function resultOf(payload: string, textLength: number): Buffer {
  return payload === 'order' ? orderObject(DRAFT, 1) : DRAFT.string(markedText(textLength))
}

/** A whole request with id 1 and five seconds to live. */
export function requestFrame({ method, type, argument }: BoltCall, traceId = TRACE_ID): Buffer {
  const header = headerBlock([
    ['sofa_head_target_service', UNIQUE_NAME],
    ['app', 'order-client'],
    ['rpc_trace_context.sofaRpcId', '0'],
    ['protocol', 'bolt'],
    ['rpc_trace_context.samp', 'true'],
    ['rpc_trace_context.sofaTraceId', traceId],
    ['service', UNIQUE_NAME],
    ['rpc_trace_context.sysPenAttrs', ''],
    ['rpc_trace_context.sofaPenAttrs', ''],
    ['sofa_head_method_name', method],
    ['type', 'sync'],
  ])
  const content = Buffer.concat([sofaRequest(method, type, traceId), argument])
  const head = Buffer.alloc(REQUEST_HEAD)
  writeStart(head, FrameType.REQUEST, Command.REQUEST)
  head.writeInt32BE(5000, 10)
  writeLengths(head, 14, REQUEST_CLASS.length, header.length, content.length)
  return Buffer.concat([head, Buffer.from(REQUEST_CLASS), header, content])
}

/** A whole response of id 1 that bears `result`. */
export function responseFrame(result: Buffer): Buffer {
  const fields = ['isError', 'errorMsg', 'appResponse', 'responseProps']
  const content = Buffer.concat([
    DRAFT.classDefinition(RESPONSE_CLASS, fields),
    DRAFT.objectStart(0),
    Buffer.from('FN'),
    result,
    Buffer.from('N'),
  ])
  const head = Buffer.alloc(RESPONSE_HEAD)
  writeStart(head, FrameType.RESPONSE, Command.RESPONSE)
  writeLengths(head, 12, RESPONSE_CLASS.length, 0, content.length)
  return Buffer.concat([head, Buffer.from(RESPONSE_CLASS), content])
}

/** A response of id 1 that bears nothing but a status; with `Command.HEARTBEAT` the answer to a heartbeat. */
export function bareResponse(command: number, status: number): Buffer {
  const head = Buffer.alloc(RESPONSE_HEAD)
  writeStart(head, FrameType.RESPONSE, command)
  head.writeUInt16BE(status, STATUS_OFFSET)
  return head
}

/** The object of the call itself, which the arguments follow. */
function sofaRequest(method: string, type: string, traceId: string): Buffer {
  const fields = ['targetAppName', 'methodName', 'targetServiceUniqueName', 'requestProps', 'methodArgSigs']
  const text = DRAFT.string
  const trace = untypedMap(DRAFT, [
    ['sofaRpcId', text('0')],
    ['samp', text('true')],
    ['sysPenAttrs', text('')],
    ['sofaTraceId', text(traceId)],
    ['sofaPenAttrs', text('')],
  ])
  const properties = untypedMap(DRAFT, [
    ['app', text('order-client')],
    ['protocol', text('bolt')],
    ['rpc_trace_context', trace],
    ['type', text('sync')],
  ])
  const signature = Buffer.concat([
    Buffer.from('Vt\0\x07[stringn\x01', 'latin1'),
    text(type),
    Buffer.from('z'),
  ])
  return Buffer.concat([
    DRAFT.classDefinition(REQUEST_CLASS, fields),
    DRAFT.objectStart(0),
    Buffer.from('N'),
    text(method),
    text(UNIQUE_NAME),
    properties,
    signature,
  ])
}

function headerBlock(pairs: readonly (readonly [string, string])[]): Buffer {
  const parts = pairs.flat().flatMap((text) => [u32(text.length), Buffer.from(text)])
  return Buffer.concat(parts)
}

function writeStart(head: Buffer, type: number, command: number): void {
  head[0] = PROTOCOL
  head[1] = type
  head.writeUInt16BE(command, 2)
  head[4] = 1
  head.writeUInt32BE(1, ID_OFFSET)
  head[9] = CODEC_HESSIAN
}

function writeLengths(head: Buffer, at: number, className: number, header: number, content: number): void {
  head.writeUInt16BE(className, at)
  head.writeUInt16BE(header, at + 2)
  head.writeUInt32BE(content, at + 4)
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
