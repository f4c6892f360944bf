/**
 * The fixed header of a frame.
 *
 * ```
 *  0       2     3       4            12        16
 *  da bb   flag  status  request id   bodyLen │ body …
 *          u8    u8      8 bytes      i32
 * ```
 */
import type { RpcTraits } from '../rpc/connection.ts'
import { FRAME_TIMEOUT_MS, HEADER_LENGTH, MAGIC_HIGH, MAGIC_LOW } from './constants.ts'

const MAX_BODY_LENGTH = 0x7fff_ffff

/** The unsigned number in the four bytes at `at`. */
export function readU32(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** Writes the low 32 bits of `value` at `at`. */
export function writeU32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}

/** Writes a header at `at`; the request id comes in two halves. Returns where the body begins. */
export function writeHeader(
  buffer: Buffer,
  at: number,
  flag: number,
  status: number,
  idHigh: number,
  idLow: number,
  bodyLength: number,
): number {
  buffer[at] = MAGIC_HIGH
  buffer[at + 1] = MAGIC_LOW
  buffer[at + 2] = flag
  buffer[at + 3] = status
  writeU32(buffer, at + 4, idHigh)
  writeU32(buffer, at + 8, idLow)
  writeU32(buffer, at + 12, bodyLength)
  return at + HEADER_LENGTH
}

function faultOf(bytes: Buffer, at: number, have: number): string | null {
  if (bytes[at] !== MAGIC_HIGH || (have > 1 && bytes[at + 1] !== MAGIC_LOW))
    return `expected the magic bytes dabb, got ${shown(bytes, at, have)}`
  if (have < HEADER_LENGTH) return null
  const bodyLength = readU32(bytes, at + 12)
  return bodyLength <= MAX_BODY_LENGTH
    ? null
    : `body length ${bodyLength | 0} is negative: ${shown(bytes, at, have)}`
}

/** Says that the frame at `at`, of which the header is there, is above the limit. */
export function limitFault(bytes: Buffer, at: number, length: number, maxFrameBytes: number): string {
  return `a frame of ${length} bytes is above the limit of ${maxFrameBytes}: ${shown(bytes, at, HEADER_LENGTH)}`
}

function shown(bytes: Buffer, at: number, have: number): string {
  return bytes.toString('hex', at, at + Math.min(have, HEADER_LENGTH))
}

/** How frames are cut. */
export const traits: RpcTraits = {
  layout: {
    faultOf,
    fixedLength: () => HEADER_LENGTH,
    frameLength: (bytes, at) => HEADER_LENGTH + readU32(bytes, at + 12),
  },
  frameTimeoutMs: FRAME_TIMEOUT_MS,
}
