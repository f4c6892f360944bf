/** Writes frames into a wire's batch. */
import { crc32 } from 'node:zlib'
import type { Wire } from '../../core/codec.ts'
import {
  COMMAND_VERSION,
  Command,
  CRC_LENGTH,
  CrcVersion,
  FrameType,
  LEND_BYTES,
  Proto,
  SWITCH_CRC,
} from './constants.ts'
import { fixedLength, type Hop, idOffset, wordOffset, writeI32, writeU16 } from './frame.ts'
import type { HeaderBlock } from './headers.ts'
import type { BoltMessage } from './message.ts'

const NO_BYTES = Buffer.alloc(0)

/** Whether frames of this hop end with a checksum. */
function endsWithCrc(hop: Hop): boolean {
  return (
    hop.proto === Proto.V2 && hop.crcVersion === CrcVersion.Possible && (hop.switchByte & SWITCH_CRC) !== 0
  )
}

/**
 * Passes a message on over another hop: `type` and what lies behind the fixed part stay as they came, but for the
 * changes in `message.headers`; `word` is the timeout of a request and the status of a response. The content is
 * `offset…end` of `content`, which need not be the one that came.
 */
export function writeForwarded(
  wire: Wire,
  message: BoltMessage,
  type: number,
  hop: Hop,
  word: number,
  content: Buffer,
  offset: number,
  end: number,
): void {
  const { headers } = message
  if (message.proto !== hop.proto || headers.removed > 0) {
    rewrite(wire, message, type, hop, word, content, offset, end)
    return
  }
  const { bytes, base, blockEnd, blockStart, added } = headers
  const isLent = end - offset >= LEND_BYTES
  const fixedEnd = message.fixedLength
  const buffer = wire.reserve(blockStart + headers.limit + (isLent ? 0 : end - offset) + CRC_LENGTH)
  const at = wire.position
  let frameEnd = at + blockEnd
  if (added === null && !isLent && content === bytes && offset === base + blockEnd) {
    bytes.copy(buffer, at, base, end)
    frameEnd += end - offset
  } else {
    bytes.copy(buffer, at, base, base + blockEnd)
    if (added !== null) {
      frameEnd = headers.writeAdded(buffer, frameEnd)
      writeU16(buffer, at + fixedEnd - 6, frameEnd - at - blockStart)
    }
    if (!isLent) frameEnd += content.copy(buffer, frameEnd, offset, end)
  }
  const { proto } = hop
  if (proto === Proto.V2) {
    buffer[at + 1] = hop.crcVersion
    buffer[at + 11] = hop.switchByte
  }
  writeI32(buffer, at + idOffset(proto), hop.id)
  if (type === FrameType.Response) writeU16(buffer, at + wordOffset(proto), word)
  else writeI32(buffer, at + wordOffset(proto), word)
  if (end - offset !== message.bodyLength) writeI32(buffer, at + fixedEnd - 4, end - offset)
  finish(wire, buffer, at, frameEnd, hop, isLent, content, offset, end)
}

/** As {@link writeForwarded}, with a fixed part of another version or without some of the pairs. */
function rewrite(
  wire: Wire,
  message: BoltMessage,
  type: number,
  hop: Hop,
  word: number,
  content: Buffer,
  offset: number,
  end: number,
): void {
  const { headers, classLength } = message
  const isLent = end - offset >= LEND_BYTES
  const fixed = fixedLength(hop.proto, type === FrameType.Response)
  const limit = fixed + classLength + headers.limit + (isLent ? 0 : end - offset) + CRC_LENGTH
  const buffer = wire.reserve(limit)
  const at = wire.position
  const classEnd =
    at +
    fixed +
    headers.bytes.copy(
      buffer,
      at + fixed,
      headers.base + message.fixedLength,
      headers.base + message.fixedLength + classLength,
    )
  const blockEnd = headers.write(buffer, classEnd)
  const command = type === FrameType.Response ? Command.Response : Command.Request
  writeFixed(
    buffer,
    at,
    type,
    command,
    message.commandVersion,
    hop,
    message.serializer,
    word,
    classLength,
    blockEnd - classEnd,
    end - offset,
  )
  const frameEnd = isLent ? blockEnd : blockEnd + content.copy(buffer, blockEnd, offset, end)
  finish(wire, buffer, at, frameEnd, hop, isLent, content, offset, end)
}

/** Writes a request or response that meshgate makes. `className` is Latin-1; `headers` null for none. */
export function writeOwn(
  wire: Wire,
  type: number,
  hop: Hop,
  serializer: number,
  word: number,
  className: string,
  headers: HeaderBlock | null,
  content: Buffer,
  offset: number,
  end: number,
): void {
  const isLent = end - offset >= LEND_BYTES
  const fixed = fixedLength(hop.proto, type === FrameType.Response)
  const headerLimit = headers === null ? 0 : headers.limit
  const buffer = wire.reserve(
    fixed + className.length + headerLimit + (isLent ? 0 : end - offset) + CRC_LENGTH,
  )
  const at = wire.position
  const classEnd = at + fixed + buffer.latin1Write(className, at + fixed)
  const blockEnd = headers === null ? classEnd : headers.write(buffer, classEnd)
  const command = type === FrameType.Response ? Command.Response : Command.Request
  writeFixed(
    buffer,
    at,
    type,
    command,
    COMMAND_VERSION,
    hop,
    serializer,
    word,
    className.length,
    blockEnd - classEnd,
    end - offset,
  )
  const frameEnd = isLent ? blockEnd : blockEnd + content.copy(buffer, blockEnd, offset, end)
  finish(wire, buffer, at, frameEnd, hop, isLent, content, offset, end)
}

/** Writes a response without class name, headers and content. */
export function writeBare(wire: Wire, hop: Hop, serializer: number, status: number): void {
  writeOwn(wire, FrameType.Response, hop, serializer, status, '', null, NO_BYTES, 0, 0)
}

/** Writes a frame that has no more than a fixed part and never a checksum: a heartbeat, its answer, GoAway. `type` is request or response. */
export function writeControl(wire: Wire, type: number, command: number, hop: Hop, serializer: number): void {
  const isResponse = type === FrameType.Response
  const length = fixedLength(hop.proto, isResponse)
  const buffer = wire.reserve(length)
  const at = wire.position
  writeFixed(buffer, at, type, command, COMMAND_VERSION, hop, serializer, isResponse ? 0 : -1, 0, 0, 0)
  if (hop.proto === Proto.V2) buffer[at + 11] = 0
  wire.position = at + length
}

function writeFixed(
  buffer: Buffer,
  at: number,
  type: number,
  command: number,
  commandVersion: number,
  hop: Hop,
  serializer: number,
  word: number,
  classLength: number,
  headerLength: number,
  contentLength: number,
): void {
  buffer[at++] = hop.proto
  if (hop.proto === Proto.V2) buffer[at++] = hop.crcVersion
  buffer[at] = type
  writeU16(buffer, at + 1, command)
  buffer[at + 3] = commandVersion
  writeI32(buffer, at + 4, hop.id)
  buffer[at + 8] = serializer
  at += 9
  if (hop.proto === Proto.V2) buffer[at++] = hop.switchByte
  if (type === FrameType.Response) {
    writeU16(buffer, at, word)
    at += 2
  } else {
    writeI32(buffer, at, word)
    at += 4
  }
  writeU16(buffer, at, classLength)
  writeU16(buffer, at + 2, headerLength)
  writeI32(buffer, at + 4, contentLength)
}

/** Ends the frame that was written at `at…frameEnd`: with the content, where that is lent, and the checksum. */
function finish(
  wire: Wire,
  buffer: Buffer,
  at: number,
  frameEnd: number,
  hop: Hop,
  isLent: boolean,
  content: Buffer,
  offset: number,
  end: number,
): void {
  const hasCrc = endsWithCrc(hop)
  let sum = hasCrc ? crc32(buffer.subarray(at, frameEnd)) : 0
  wire.position = frameEnd
  if (isLent) {
    if (hasCrc) sum = crc32(content.subarray(offset, end), sum)
    wire.lend(content, offset, end)
  }
  if (!hasCrc) return
  const last = wire.reserve(CRC_LENGTH)
  writeI32(last, wire.position, sum)
  wire.position += CRC_LENGTH
}
