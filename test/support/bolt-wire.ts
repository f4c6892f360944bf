/** Frames as objects, codecs on wires without sockets, and a gateway without a chain: what tests of the Bolt codec need. */
import { crc32 } from 'node:zlib'
import type { ClientCodecOptions, ServerCodecOptions, UpstreamStream } from '../../lib/core/codec.ts'
import { type Exchange, ExchangeState } from '../../lib/core/exchange.ts'
import type { ResponseHead } from '../../lib/core/message.ts'
import { BoltClient } from '../../lib/protocols/bolt/client.ts'
import { BoltServer } from '../../lib/protocols/bolt/server.ts'
import {
  CLIENT_OPTIONS,
  CONTEXT,
  FakeWire,
  RecordingDownstream,
  RecordingUpstream,
  SERVER_OPTIONS,
} from './mmtp-wire.ts'

export { exchangeFor, FakeWire, feed, type RecordingDownstream, RecordingUpstream } from './mmtp-wire.ts'

const MAX_FRAME = 1024 * 1024

/** A frame in readable form. */
export interface BoltFrame {
  readonly proto: number
  readonly version: number
  readonly switchByte: number
  readonly type: number
  readonly command: number
  readonly id: number
  readonly codec: number
  /** Timeout of a request, status of a response. */
  readonly word: number
  readonly className: string
  readonly headers: [string, string][]
  readonly content: Buffer
  readonly crc: number | null
}

/** What {@link frame} may be told. */
export interface FrameParts {
  readonly proto?: number
  readonly version?: number
  readonly switchByte?: number
  readonly type?: number
  readonly command?: number
  readonly id?: number
  readonly codec?: number
  readonly word?: number
  readonly className?: string
  /** Pairs, or a block as it is. */
  readonly headers?: readonly (readonly [string | null, string | null])[] | Buffer
  readonly content?: Buffer | string
  readonly crc?: number
}

/** The class name that calls of SOFARPC bear. */
export const REQUEST_CLASS = 'com.alipay.sofa.rpc.core.request.SofaRequest'
export const SERVICE_PAIRS = [
  ['service', 'a.B:1.0'],
  ['sofa_head_method_name', 'hi'],
] as const

/** A header block. */
export function block(pairs: readonly (readonly [string | null, string | null])[]): Buffer {
  const parts = pairs.flat().map((text) => {
    const bytes = Buffer.from(text ?? '')
    const length = Buffer.alloc(4)
    length.writeInt32BE(text === null ? -1 : bytes.length)
    return Buffer.concat([length, bytes])
  })
  return Buffer.concat(parts)
}

/** Makes a frame; without `type` a request. A checksum is added where the frame has to have one. */
export function frame(parts: FrameParts = {}): Buffer {
  const proto = parts.proto ?? 1
  const type = parts.type ?? 1
  const version = parts.version ?? 2
  const switchByte = parts.switchByte ?? 0
  const className = Buffer.from(parts.className ?? '')
  const headers = Buffer.isBuffer(parts.headers) ? parts.headers : block(parts.headers ?? [])
  const content = Buffer.from(parts.content ?? '')
  const fixed: number[] = proto === 1 ? [1] : [proto, version]
  const command = parts.command ?? (type === 0 ? 2 : 1)
  const id = parts.id ?? 1
  fixed.push(
    type,
    command >> 8,
    command & 255,
    1,
    (id >>> 24) & 255,
    (id >>> 16) & 255,
    (id >>> 8) & 255,
    id & 255,
  )
  fixed.push(parts.codec ?? 1)
  if (proto === 2) fixed.push(switchByte)
  const tail = Buffer.alloc(type === 0 ? 10 : 12)
  let at = type === 0 ? tail.writeUInt16BE(parts.word ?? 0, 0) : tail.writeInt32BE(parts.word ?? 3000, 0)
  at = tail.writeUInt16BE(className.length, at)
  at = tail.writeUInt16BE(headers.length, at)
  tail.writeUInt32BE(content.length, at)
  const body = Buffer.concat([Buffer.from(fixed), tail, className, headers, content])
  if (proto !== 2 || version !== 2 || (switchByte & 1) === 0) return body
  return Buffer.concat([body, crcBytes(parts.crc ?? crc32(body))])
}

/** A call of `a.B:1.0#hi` with the given changes. */
export function call(parts: FrameParts = {}): Buffer {
  return frame({ className: REQUEST_CLASS, headers: SERVICE_PAIRS, content: 'content', ...parts })
}

/** An answer with the given changes. */
export function answer(id: number, parts: FrameParts = {}): Buffer {
  return frame({ type: 0, id, className: 'SofaResponse', content: 'result', ...parts })
}

export function crcBytes(sum: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(sum)
  return bytes
}

/** Cuts bytes into frames; throws when they do not end with one. */
export function parseFrames(bytes: Buffer): BoltFrame[] {
  const frames: BoltFrame[] = []
  for (let at = 0; at < bytes.length; ) {
    const proto = bytes[at] as number
    if (proto !== 1 && proto !== 2)
      throw new Error(`no frame at ${at}: ${bytes.toString('hex', at, at + 16)}`)
    const extra = proto - 1
    const type = bytes[at + 1 + extra] as number
    const word = at + 10 + 2 * extra
    const lengths = word + (type === 0 ? 2 : 4)
    const classAt = lengths + 8
    const headerAt = classAt + bytes.readUInt16BE(lengths)
    const contentAt = headerAt + bytes.readUInt16BE(lengths + 2)
    const end = contentAt + bytes.readUInt32BE(lengths + 4)
    const version = proto === 2 ? (bytes[at + 1] as number) : 0
    const switchByte = proto === 2 ? (bytes[at + 11] as number) : 0
    const hasCrc = version === 2 && (switchByte & 1) === 1
    if (end + (hasCrc ? 4 : 0) > bytes.length) throw new Error(`frame at ${at} is cut off`)
    const crc = hasCrc ? bytes.readUInt32BE(end) : null
    if (crc !== null && crc !== crc32(bytes.subarray(at, end))) throw new Error(`wrong checksum at ${end}`)
    frames.push({
      proto,
      version,
      switchByte,
      type,
      command: bytes.readUInt16BE(at + 2 + extra),
      id: bytes.readInt32BE(at + 5 + extra),
      codec: bytes[at + 9 + extra] as number,
      word: type === 0 ? bytes.readUInt16BE(word) : bytes.readInt32BE(word),
      className: bytes.toString('latin1', classAt, headerAt),
      headers: parseBlock(bytes, headerAt, contentAt),
      content: Buffer.from(bytes.subarray(contentAt, end)),
      crc,
    })
    at = end + (hasCrc ? 4 : 0)
  }
  return frames
}

function parseBlock(bytes: Buffer, at: number, end: number): [string, string][] {
  const texts: string[] = []
  while (at < end) {
    const length = bytes.readInt32BE(at)
    texts.push(length < 0 ? '(null)' : bytes.toString('utf8', at + 4, at + 4 + length))
    at += 4 + Math.max(0, length)
  }
  if (at !== end) throw new Error('the header block ends within a pair')
  return texts.flatMap((text, i) => (i % 2 === 0 ? [[text, texts[i + 1] as string]] : []))
}

/** A server codec on a fake wire. */
export interface BoltServerRig {
  readonly wire: FakeWire
  readonly handler: RecordingDownstream
  readonly codec: BoltServer
}

export function serverRig(options: Partial<ServerCodecOptions> = {}): BoltServerRig {
  const wire = new FakeWire()
  const handler = new RecordingDownstream()
  const all = { ...SERVER_OPTIONS, maxFrameBytes: MAX_FRAME, ...options }
  return { wire, handler, codec: new BoltServer(wire, all, handler, CONTEXT) }
}

/** A client codec on a fake wire. */
export interface BoltClientRig {
  readonly wire: FakeWire
  readonly handler: RecordingUpstream
  readonly codec: BoltClient
}

export function clientRig(options: Partial<ClientCodecOptions> = {}): BoltClientRig {
  const wire = new FakeWire()
  const handler = new RecordingUpstream()
  const all = { ...CLIENT_OPTIONS, maxFrameBytes: MAX_FRAME, app: 'gateway', ...options }
  return { wire, handler, codec: new BoltClient(wire, all, handler, handler) }
}

/** A gateway without a chain: what the server codec reports goes to the client codec, and back. */
export interface BoltProxy {
  readonly down: BoltServerRig
  readonly up: BoltClientRig
  /** Called for each request before it is sent. */
  change: (exchange: Exchange) => void
  /** Called for each response before it is sent. */
  changeResponse: (response: ResponseHead) => void
  readonly exchanges: Exchange[]
}

export function proxy(
  serverOptions: Partial<ServerCodecOptions> = {},
  clientOptions: Partial<ClientCodecOptions> = {},
): BoltProxy {
  const down = serverRig(serverOptions)
  const up = clientRig(clientOptions)
  const result: BoltProxy = {
    down,
    up,
    change: () => undefined,
    changeResponse: () => undefined,
    exchanges: [],
  }
  const streams = new Map<Exchange, UpstreamStream>()
  const finish = (exchange: Exchange): void => {
    if (exchange.state === ExchangeState.Finished) return
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    exchange.response?.release()
    exchange.downstream.finish()
  }
  down.handler.onRequest = (exchange, last) => {
    result.exchanges.push(exchange)
    result.change(exchange)
    const stream = up.codec.open(exchange)
    streams.set(exchange, stream)
    stream.sendRequest(exchange.request, last)
  }
  down.handler.onRequestBody = (exchange, bytes, offset, end, last) =>
    streams.get(exchange)?.sendBody(bytes, offset, end, last)
  down.handler.onDownstreamFailed = (exchange) => {
    streams.get(exchange)?.cancel()
    finish(exchange)
  }
  up.handler.onResponse = (exchange, head, last) => {
    exchange.response = head
    result.changeResponse(head)
    exchange.downstream.sendResponse(head, last)
    if (last) finish(exchange)
  }
  up.handler.onResponseBody = (exchange, bytes, offset, end, last) => {
    exchange.downstream.sendBody(bytes, offset, end, last)
    if (last) finish(exchange)
  }
  up.handler.onUpstreamFailed = (exchange, error) => {
    exchange.error = error
    const reply = exchange.downstream.errorReply(error)
    exchange.response = reply
    exchange.downstream.sendResponse(reply, reply.body.length === 0)
    if (reply.body.length > 0) exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
    finish(exchange)
  }
  return result
}
