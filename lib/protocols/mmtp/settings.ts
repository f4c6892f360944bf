/** What each side of a connection is ready to receive, and the TLVs that say so (section 7). */
import { Code, HEADER_LENGTH, MAX_WINDOW } from './constants.ts'
import { readU16 } from './frame.ts'

/** Roles that a peer may claim. */
export const Role = { Client: 1, Access: 2, Sidecar: 3, Business: 4 } as const

const KIB = 1024
const MIB = 1024 * KIB

/** The value without a TLV; also the least that streamWindow … maxMessage may be. */
export const DEFAULTS = {
  maxStreams: 128,
  streamWindow: 256 * KIB,
  connectionWindow: MIB,
  maxBodyFrame: 256 * KIB,
  maxMeta: 8 * KIB,
  maxMessage: 4 * MIB,
  encodings: 1,
  keepAliveMs: 240_000,
} as const

/** One side's settings. Mutable: SETTINGS frames change them. */
export class Settings {
  minVersion = 0
  maxVersion = 0
  maxStreams: number = DEFAULTS.maxStreams
  streamWindow: number = DEFAULTS.streamWindow
  connectionWindow: number = DEFAULTS.connectionWindow
  maxBodyFrame: number = DEFAULTS.maxBodyFrame
  maxMeta: number = DEFAULTS.maxMeta
  maxMessage: number = DEFAULTS.maxMessage
  encodings: number = DEFAULTS.encodings
  keepAliveMs: number = DEFAULTS.keepAliveMs
  role: number = Role.Client
  cell = ''
}

/** The MAX_MESSAGE that announces a limit of bodies, 0 for none. */
export function messageLimit(maxBodyBytes: number): number {
  return maxBodyBytes === 0 ? MAX_WINDOW : Math.max(DEFAULTS.maxMessage, Math.min(maxBodyBytes, MAX_WINDOW))
}

type NumberField =
  | 'maxStreams'
  | 'streamWindow'
  | 'connectionWindow'
  | 'maxBodyFrame'
  | 'maxMeta'
  | 'maxMessage'
  | 'encodings'
  | 'keepAliveMs'
  | 'role'

interface Tlv {
  readonly id: number
  readonly field: NumberField
  readonly bytes: 1 | 2 | 4
  readonly floor: number
  readonly cap: number
  /** Whether SETTINGS may carry it. */
  readonly isChangeable: boolean
}

const NO_CAP = 0xffff_ffff
const TLVS: readonly Tlv[] = [
  { id: 2, field: 'maxStreams', bytes: 4, floor: 0, cap: 65_536, isChangeable: true },
  { id: 3, field: 'streamWindow', bytes: 4, floor: DEFAULTS.streamWindow, cap: 16 * MIB, isChangeable: true },
  {
    id: 4,
    field: 'connectionWindow',
    bytes: 4,
    floor: DEFAULTS.connectionWindow,
    cap: 64 * MIB,
    isChangeable: false,
  },
  { id: 5, field: 'maxBodyFrame', bytes: 4, floor: DEFAULTS.maxBodyFrame, cap: 16 * MIB, isChangeable: true },
  { id: 6, field: 'maxMeta', bytes: 2, floor: DEFAULTS.maxMeta, cap: 0xffff, isChangeable: false },
  { id: 9, field: 'maxMessage', bytes: 4, floor: DEFAULTS.maxMessage, cap: MAX_WINDOW, isChangeable: true },
  { id: 10, field: 'encodings', bytes: 2, floor: 0, cap: 0xffff, isChangeable: false },
  { id: 12, field: 'keepAliveMs', bytes: 4, floor: 0, cap: NO_CAP, isChangeable: true },
  { id: 13, field: 'role', bytes: 1, floor: 0, cap: 0xff, isChangeable: false },
]
const BY_ID: ReadonlyMap<number, Tlv> = new Map(TLVS.map((tlv) => [tlv.id, tlv]))

const VERSION_ID = 1
const CELL_ID = 14
const MAX_CELL_BYTES = 32
const TLV_HEADER = 4

/**
 * Reads the TLVs of a HELLO or HELLO_ACK (`isHello`) or a SETTINGS frame into `settings`. Returns `Code.None` or
 * the connection error.
 */
export function readTlvs(
  bytes: Buffer,
  start: number,
  end: number,
  settings: Settings,
  isHello: boolean,
): Code {
  const seen = new Set<number>()
  let at = start
  while (at < end) {
    if (end - at < TLV_HEADER) return Code.Protocol
    const id = readU16(bytes, at)
    const valueAt = at + TLV_HEADER
    const valueEnd = valueAt + readU16(bytes, at + 2)
    if (valueEnd > end || seen.has(id)) return Code.Protocol
    seen.add(id)
    const code = readTlv(bytes, id, valueAt, valueEnd, settings, isHello)
    if (code !== Code.None) return code
    at = valueEnd
  }
  return isHello && !seen.has(VERSION_ID) ? Code.Protocol : Code.None
}

function readTlv(
  bytes: Buffer,
  id: number,
  valueAt: number,
  valueEnd: number,
  settings: Settings,
  isHello: boolean,
): Code {
  const length = valueEnd - valueAt
  if (id === VERSION_ID) {
    if (!isHello || length !== 4) return Code.Protocol
    settings.minVersion = readU16(bytes, valueAt)
    settings.maxVersion = readU16(bytes, valueAt + 2)
    return settings.minVersion === 0 || settings.minVersion > settings.maxVersion ? Code.Protocol : Code.None
  }
  if (id === CELL_ID) {
    if (!isHello || length === 0 || length > MAX_CELL_BYTES) return Code.Protocol
    settings.cell = bytes.utf8Slice(valueAt, valueEnd)
    return Code.None
  }
  const tlv = BY_ID.get(id)
  if (tlv === undefined) return Code.None
  if (length !== tlv.bytes || !(isHello || tlv.isChangeable)) return Code.Protocol
  const value = bytes.readUIntBE(valueAt, tlv.bytes)
  if (value < tlv.floor) return Code.Protocol
  settings[tlv.field] = Math.min(value, tlv.cap)
  return Code.None
}

/** A whole HELLO or HELLO_ACK frame with `settings`: what differs from the defaults, and one TLV that nobody knows, so that skipping them stays exercised (RFC 8701). */
export function encodeHello(type: number, settings: Settings): Buffer {
  const tlvs: Buffer[] = [encodeVersion(settings)]
  const defaults = new Settings()
  for (const tlv of TLVS) {
    if (settings[tlv.field] === defaults[tlv.field]) continue
    const entry = tlvHeader(tlv.id, tlv.bytes)
    entry.writeUIntBE(settings[tlv.field], TLV_HEADER, tlv.bytes)
    tlvs.push(entry)
  }
  const cell = Buffer.from(settings.cell)
  if (cell.length > 0 && cell.length <= MAX_CELL_BYTES) {
    const entry = tlvHeader(CELL_ID, cell.length)
    cell.copy(entry, TLV_HEADER)
    tlvs.push(entry)
  }
  tlvs.push(tlvHeader(0x0a0a | ((Math.floor(Math.random() * 256) * 0x1010) & 0xf0f0), 0))
  const meta = Buffer.concat(tlvs)
  const frame = Buffer.alloc(HEADER_LENGTH + meta.length)
  frame[0] = 0xcd
  frame[1] = type
  frame.writeUInt16BE(meta.length, 8)
  meta.copy(frame, HEADER_LENGTH)
  return frame
}

function encodeVersion(settings: Settings): Buffer {
  const entry = tlvHeader(VERSION_ID, 4)
  entry.writeUInt16BE(settings.minVersion, TLV_HEADER)
  entry.writeUInt16BE(settings.maxVersion, TLV_HEADER + 2)
  return entry
}

function tlvHeader(id: number, length: number): Buffer {
  const entry = Buffer.alloc(TLV_HEADER + length)
  entry.writeUInt16BE(id, 0)
  entry.writeUInt16BE(length, 2)
  return entry
}
