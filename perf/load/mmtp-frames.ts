/**
 * Mmtp frames for load: built once, patched in place. Written from the protocol's description alone and sharing
 * nothing with lib/protocols, so that a measurement is also a second opinion.
 */
import type { FrameLayout } from './frame-stream.ts'

export const HEADER_LENGTH = 16
const MAGIC = 0xcd

export const FrameType = {
  HELLO: 0x01,
  HELLO_ACK: 0x02,
  SETTINGS: 0x03,
  SETTINGS_ACK: 0x04,
  REQUEST: 0x10,
  RESPONSE: 0x11,
  DATA: 0x12,
  CANCEL: 0x13,
  WINDOW: 0x14,
  PING: 0x30,
  PONG: 0x31,
  GOAWAY: 0x32,
} as const

export const FLAG_END = 1
/** Connection window that both ends of a measurement announce. */
export const CONNECTION_WINDOW = 16 * 1024 * 1024
/** What a peer may send before its own announcement arrives. */
export const DEFAULT_CONNECTION_WINDOW = 1024 * 1024
export const DEFAULT_MAX_STREAMS = 128
const TLV_MAX_STREAMS = 2
const TLV_CONNECTION_WINDOW = 4

/** How long an Mmtp frame is. */
export const MMTP_LAYOUT: FrameLayout = {
  headerLength: HEADER_LENGTH,
  frameEnd(bytes, offset) {
    if (bytes[offset] !== MAGIC) throw new Error(`a frame starts with ${bytes[offset]}, not ${MAGIC}`)
    return offset + HEADER_LENGTH + bytes.readUInt16BE(offset + 8) + bytes.readUInt32BE(offset + 12)
  },
}

/** HELLO or HELLO_ACK with version 1, many streams and a large connection window. `role`: 1 client, 4 business. */
export function helloFrame(type: number, role: number): Buffer {
  const tlvs = Buffer.concat([
    tlv(1, [0, 1, 0, 1]),
    tlv(TLV_MAX_STREAMS, u32(4096)),
    tlv(TLV_CONNECTION_WINDOW, u32(CONNECTION_WINDOW)),
    tlv(12, u32(240_000)),
    tlv(13, [role]),
  ])
  return frame(type, 0, 0, 0, tlvs, 0, Buffer.alloc(0))
}

/** What a HELLO or HELLO_ACK at `offset` allows this side. */
export function readLimits(bytes: Buffer, offset: number): { maxStreams: number; connectionWindow: number } {
  const limits = { maxStreams: DEFAULT_MAX_STREAMS, connectionWindow: DEFAULT_CONNECTION_WINDOW }
  const end = offset + HEADER_LENGTH + bytes.readUInt16BE(offset + 8)
  for (let at = offset + HEADER_LENGTH; at + 4 <= end; at += 4 + bytes.readUInt16BE(at + 2)) {
    const id = bytes.readUInt16BE(at)
    if (id === TLV_MAX_STREAMS) limits.maxStreams = bytes.readUInt32BE(at + 4)
    if (id === TLV_CONNECTION_WINDOW) limits.connectionWindow = bytes.readUInt32BE(at + 4)
  }
  return limits
}

/** A whole REQUEST for `operation`; the stream id is patched at offset 4. */
export function requestTemplate(operation: string, body: Uint8Array): Buffer {
  const prefix = Buffer.concat([
    u32(3000), // budget, ms
    Buffer.from([0xff, 0xff, 0x02, 0x00]), // shard unknown; idempotent; operation bytes follow
    Buffer.from(operation, 'latin1'),
  ])
  // app-id (static name 0) and content-type (8), as a client would send them
  const headers = Buffer.concat([entry(0, 'BENCH'), entry(8, 'application/json')])
  const meta = Buffer.concat([prefix, headers])
  return frame(FrameType.REQUEST, FLAG_END, 1, prefix.length, meta, 5, body)
}

/** The head of a RESPONSE with status 1000 by the business process; stream id and body length are patched in. */
export function responseHead(): Buffer {
  const prefix = Buffer.from([0x03, 0xe8, 1, 0, 0, 0, 0, 0])
  return frame(FrameType.RESPONSE, FLAG_END, 1, prefix.length, prefix, 0, Buffer.alloc(0))
}

/** WINDOW on the connection. */
export function windowFrame(increment: number): Buffer {
  return frame(FrameType.WINDOW, 0, 0, 0, Buffer.alloc(0), 0, Buffer.from(u32(increment)))
}

/** Any frame without meta on the connection. */
export function controlFrame(type: number, body: Uint8Array): Buffer {
  return frame(type, 0, 0, 0, Buffer.alloc(0), 0, body)
}

function frame(
  type: number,
  flags: number,
  streamId: number,
  routeLength: number,
  meta: Uint8Array,
  hops: number,
  body: Uint8Array,
): Buffer {
  const head = Buffer.alloc(HEADER_LENGTH)
  head[0] = MAGIC
  head[1] = type
  head.writeUInt16BE(flags, 2)
  head.writeUInt32BE(streamId, 4)
  head.writeUInt16BE(meta.length, 8)
  head[10] = routeLength
  head[11] = hops
  head.writeUInt32BE(body.length, 12)
  return Buffer.concat([head, meta, body])
}

function tlv(id: number, value: Iterable<number>): Buffer {
  const bytes = Buffer.from([...value])
  return Buffer.from([id >> 8, id & 0xff, bytes.length >> 8, bytes.length & 0xff, ...bytes])
}

function entry(staticName: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40 | staticName, value.length]), Buffer.from(value, 'latin1')])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
