/**
 * Where things lie in a frame. v2 has one byte more before the type and one more behind the serializer; a response has
 * a status of two bytes where a request has a timeout of four:
 *
 * ```
 *   v1  proto       type cmd(2) ver2 id(4) codec        timeout(4) classLen(2) headerLen(2) contentLen(4) …
 *   v2  proto ver1  type cmd(2) ver2 id(4) codec switch timeout(4) classLen(2) headerLen(2) contentLen(4) … crc(4)
 * ```
 */
import { crc32 } from 'node:zlib'
import type { RpcTraits } from '../rpc/connection.ts'
import {
  Command,
  CRC_LENGTH,
  CrcVersion,
  FRAME_TIMEOUT_MS,
  FrameType,
  MAX_SHORT_LENGTH,
  MIN_FIXED_LENGTH,
  Proto,
  SWITCH_CRC,
  SWITCH_LIMIT,
} from './constants.ts'

/** What of a frame belongs to one leg: the version of its fixed part, whether it has a checksum, and its id. */
export interface Hop {
  /** See {@link Proto}. */
  readonly proto: number
  /** See {@link CrcVersion}; without a meaning in v1. */
  readonly crcVersion: number
  /** v2's switch byte; without a meaning in v1. */
  readonly switchByte: number
  readonly id: number
}

/** Reads 16 bits. */
export function readU16(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

/** Reads 32 bits as a signed number. */
export function readI32(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

/** Writes 16 bits. */
export function writeU16(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

/** Writes 32 bits. */
export function writeI32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** See {@link FrameType}. */
export function typeOf(bytes: Buffer, at: number): number {
  return bytes[at] === Proto.V1 ? (bytes[at + 1] as number) : (bytes[at + 2] as number)
}

/** See {@link Command}. */
export function commandOf(bytes: Buffer, at: number): number {
  return readU16(bytes, bytes[at] === Proto.V1 ? at + 2 : at + 3)
}

/** The id, as the signed number that Java counts with. */
export function idOf(bytes: Buffer, at: number): number {
  return readI32(bytes, idOffset(bytes[at] as number) + at)
}

/** Where the id lies, counted from the start of the frame. */
export function idOffset(proto: number): number {
  return proto === Proto.V1 ? 5 : 6
}

/** Where the timeout of a request and the status of a response lie, counted from the start of the frame. */
export function wordOffset(proto: number): number {
  return proto === Proto.V1 ? 10 : 12
}

/** Bytes before the class name. */
export function fixedLength(proto: number, isResponse: boolean): number {
  const length = proto === Proto.V1 ? 22 : 24
  return isResponse ? length - 2 : length
}

/** Whether a frame whose fixed part is at `at` ends with a checksum. Java looks at both bytes, and so do we. */
export function hasCrc(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === Proto.V2 &&
    bytes[at + 1] === CrcVersion.Possible &&
    ((bytes[at + 11] as number) & SWITCH_CRC) !== 0
  )
}

/**
 * What is wrong with a fixed part, of which `have` bytes are there; null when nothing is, as far as they go. Where a
 * Java peer would close the connection, so do we.
 */
function faultOf(bytes: Buffer, at: number, have: number): string | null {
  const proto = bytes[at] as number
  if (proto !== Proto.V1 && proto !== Proto.V2) return `protocol byte ${proto}: 1 or 2 is right`
  if (have < MIN_FIXED_LENGTH) return null
  const type = typeOf(bytes, at)
  if (type > FrameType.OneWay) return `type ${type}: 0, 1 or 2 is right`
  const command = commandOf(bytes, at)
  if (!isCommandOf(type, command)) return `command ${command} in a frame of type ${type}`
  if (proto === Proto.V2) {
    const version = bytes[at + 1] as number
    if (version !== CrcVersion.Never && version !== CrcVersion.Possible)
      return `version ${version} of v2: 1 or 2 is right`
    if ((bytes[at + 11] as number) >= SWITCH_LIMIT) return `switch ${bytes[at + 11]}: below 128 is right`
  }
  const fixed = fixedLength(proto, type === FrameType.Response)
  return have < fixed ? null : lengthFaultOf(bytes, at + fixed - 8)
}

/** What is wrong with the three lengths at `lengths`, which end the fixed part; null when nothing is. */
function lengthFaultOf(bytes: Buffer, lengths: number): string | null {
  const classLength = readU16(bytes, lengths)
  const headerLength = readU16(bytes, lengths + 2)
  const contentLength = readI32(bytes, lengths + 4)
  if (classLength <= MAX_SHORT_LENGTH && headerLength <= MAX_SHORT_LENGTH && contentLength >= 0) return null
  return `lengths ${classLength}/${headerLength}/${contentLength}: class name and header have at most ${MAX_SHORT_LENGTH} bytes, contents less than 2^31`
}

function isCommandOf(type: number, command: number): boolean {
  if (command === Command.Heartbeat) return true
  if (type === FrameType.Response) return command === Command.Response
  return command === Command.Request || command === Command.GoAway
}

/** What is wrong with the checksum of the frame `at…end`; null when it is right or there is none. */
export function checksumFault(bytes: Buffer, at: number, end: number): string | null {
  if (!hasCrc(bytes, at)) return null
  const sum = crc32(bytes.subarray(at, end - CRC_LENGTH))
  const said = readI32(bytes, end - CRC_LENGTH) >>> 0
  return sum === said
    ? null
    : `the checksum of frame ${idOf(bytes, at)} is ${hex(said)}, ${hex(sum)} is right`
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0')
}

/** The hop that an answer to the frame at `at` goes over. */
export function hopOf(bytes: Buffer, at: number): Hop {
  const isV1 = bytes[at] === Proto.V1
  return {
    proto: bytes[at] as number,
    crcVersion: isV1 ? 0 : (bytes[at + 1] as number),
    switchByte: isV1 ? 0 : (bytes[at + 11] as number),
    id: idOf(bytes, at),
  }
}

/** How frames are cut; a checksum is included and not verified. */
export const traits: RpcTraits = {
  layout: {
    faultOf,
    fixedLength(bytes, at, have) {
      if (have < MIN_FIXED_LENGTH) return MIN_FIXED_LENGTH
      return fixedLength(bytes[at] as number, typeOf(bytes, at) === FrameType.Response)
    },
    frameLength(bytes, at) {
      const fixed = fixedLength(bytes[at] as number, typeOf(bytes, at) === FrameType.Response)
      const lengths = at + fixed - 8
      const parts = readU16(bytes, lengths) + readU16(bytes, lengths + 2) + readI32(bytes, lengths + 4)
      return fixed + parts + (hasCrc(bytes, at) ? CRC_LENGTH : 0)
    },
  },
  frameTimeoutMs: FRAME_TIMEOUT_MS,
}
