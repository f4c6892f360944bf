/**
 * The fixed header of a frame and the rules of each type, as data.
 *
 * ```
 *  0     1     2       4           8        10        11        12         16
 *  magic type  flags   streamId    metaLen  routeLen  enc|hops  bodyLen  │ meta … │ body …
 * ```
 */
import {
  Code,
  CRITICAL_FLAGS,
  FIRST_IGNORABLE_TYPE,
  Flag,
  FORWARDED_FLAGS,
  FrameType,
  MAGIC,
  MAX_CODE_TEXT,
  MAX_IGNORABLE_BODY,
  MAX_OPERATION_BYTES,
  PREFIX_LENGTH,
} from './constants.ts'

/** Who may send a type, as bits. */
const DIALLER = 1
const ACCEPTOR = 2
const EITHER = 3

/** Stream ids that a type may bear. */
const ZERO = 0
const ODD = 1
const EVEN = 2
const NON_ZERO = 3
const ANY = 4

/** Whether a type has meta. */
const NO_META = 0
const META = 1

const NO_LIMIT = 0xffff_ffff
const MAX_ROUTE = PREFIX_LENGTH + MAX_OPERATION_BYTES
const RESPONSE_ROUTE_MAX = 255

type Row = readonly [
  type: number,
  sender: number,
  stream: number,
  meta: number,
  routeMin: number,
  routeMax: number,
  bodyMin: number,
  bodyMax: number,
]

const ROWS: readonly Row[] = [
  [FrameType.Hello, DIALLER, ZERO, META, 0, 0, 0, 0],
  [FrameType.HelloAck, ACCEPTOR, ZERO, META, 0, 0, 0, 0],
  [FrameType.Settings, EITHER, ZERO, META, 0, 0, 0, 0],
  [FrameType.SettingsAck, EITHER, ZERO, NO_META, 0, 0, 0, 0],
  [FrameType.Request, DIALLER, ODD, META, PREFIX_LENGTH + 1, MAX_ROUTE, 0, NO_LIMIT],
  [FrameType.Response, ACCEPTOR, ODD, META, PREFIX_LENGTH, RESPONSE_ROUTE_MAX, 0, NO_LIMIT],
  [FrameType.Data, EITHER, NON_ZERO, NO_META, 0, 0, 0, NO_LIMIT],
  [FrameType.Cancel, EITHER, NON_ZERO, NO_META, 0, 0, 2, 2 + MAX_CODE_TEXT],
  [FrameType.Window, EITHER, ANY, NO_META, 0, 0, 4, 4],
  [FrameType.Push, ACCEPTOR, EVEN, META, PREFIX_LENGTH + 1, MAX_ROUTE, 0, NO_LIMIT],
  [FrameType.PushAck, DIALLER, EVEN, META, PREFIX_LENGTH, RESPONSE_ROUTE_MAX, 0, NO_LIMIT],
  [FrameType.Ping, EITHER, ZERO, NO_META, 0, 0, 8, 8],
  [FrameType.Pong, EITHER, ZERO, NO_META, 0, 0, 8, 8],
  [FrameType.GoAway, EITHER, ZERO, NO_META, 0, 0, 10, 10 + MAX_CODE_TEXT],
]

const TYPES = 0x40
const SENDER = new Uint8Array(TYPES)
const STREAM = new Uint8Array(TYPES)
const HAS_META = new Uint8Array(TYPES)
const ROUTE_MIN = new Uint8Array(TYPES)
const ROUTE_MAX = new Uint8Array(TYPES)
const BODY_MIN = new Uint32Array(TYPES)
const BODY_MAX = new Uint32Array(TYPES)

for (const [type, sender, stream, meta, routeMin, routeMax, bodyMin, bodyMax] of ROWS) {
  SENDER[type] = sender
  STREAM[type] = stream
  HAS_META[type] = meta
  ROUTE_MIN[type] = routeMin
  ROUTE_MAX[type] = routeMax
  BODY_MIN[type] = bodyMin
  BODY_MAX[type] = bodyMax
}

/** Reads a 16-bit number. */
export function readU16(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

/** Reads a 32-bit number. */
export function readU32(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** Whether frames of this type carry a part of a message: END and CRC mean something, and their bodies count for flow control. */
export function isMessageType(type: number): boolean {
  return (
    (type >= FrameType.Request && type <= FrameType.Data) ||
    type === FrameType.Push ||
    type === FrameType.PushAck
  )
}

/**
 * Checks the 16 bytes at `at` as far as they can be judged alone. Returns the code of the connection error, or
 * `Code.None`. `isFromDialler` tells whose frame it is; the limits are the reader's own.
 */
export function checkHeader(
  bytes: Buffer,
  at: number,
  maxMeta: number,
  maxBodyFrame: number,
  isFromDialler: boolean,
): Code {
  const type = bytes[at + 1] as number
  const metaLength = readU16(bytes, at + 8)
  const routeLength = bytes[at + 10] as number
  const bodyLength = readU32(bytes, at + 12)
  const isKnown = type < TYPES && SENDER[type] !== 0
  if (bytes[at] !== MAGIC || (!isKnown && type < FIRST_IGNORABLE_TYPE)) return Code.Protocol
  if ((bytes[at + 4] as number) & 0x80) return Code.Protocol
  if (metaLength > maxMeta) return Code.FrameSize
  if (routeLength > metaLength) return Code.Protocol
  if (bodyLength > maxBodyFrame) return Code.FrameSize
  if (!isKnown) return bodyLength > MAX_IGNORABLE_BODY ? Code.FrameSize : Code.None
  if (((SENDER[type] as number) & (isFromDialler ? DIALLER : ACCEPTOR)) === 0) return Code.Protocol
  if (!fitsStream(type, readU32(bytes, at + 4))) return Code.Protocol
  if (HAS_META[type] === NO_META && metaLength !== 0) return Code.Protocol
  if (routeLength < (ROUTE_MIN[type] as number) || routeLength > (ROUTE_MAX[type] as number))
    return Code.Protocol
  if (bodyLength < (BODY_MIN[type] as number) || bodyLength > (BODY_MAX[type] as number))
    return Code.FrameSize
  return Code.None
}

function fitsStream(type: number, id: number): boolean {
  switch (STREAM[type]) {
    case ZERO:
      return id === 0
    case ODD:
      return (id & 1) === 1
    case EVEN:
      return id !== 0 && (id & 1) === 0
    case NON_ZERO:
      return id !== 0
    default:
      return true
  }
}

/**
 * Judges the flags of a known type. Returns 0, the code of a connection error, or a stream error's code with a
 * minus sign. What EARLY needs is checked with the prefix.
 */
export function checkFlags(type: number, flags: number, streamId: number, bodyLength: number): number {
  if ((flags & ~(Flag.End | FORWARDED_FLAGS)) === 0 && type !== FrameType.PushAck) return 0
  if ((flags & Flag.HeaderState) !== 0) return Code.Compression
  if (isMessageType(type)) {
    if ((flags & Flag.Crc) !== 0 && bodyLength < CRC_LENGTH) return Code.FrameSize
    const opens = type === FrameType.Request || type === FrameType.Push
    if ((flags & Flag.OneWay) !== 0 && !(opens && (flags & Flag.End) !== 0)) return Code.Protocol
    if (type === FrameType.PushAck && (flags & Flag.End) === 0) return Code.Protocol
  }
  if ((flags & CRITICAL_FLAGS) === 0) return 0
  return streamId === 0 ? Code.Protocol : -Code.Unsupported
}

/** Bytes of the checksum behind a body. */
export const CRC_LENGTH = 4
