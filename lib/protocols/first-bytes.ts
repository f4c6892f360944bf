/** Tells protocols apart by the first bytes that a caller sends. */
import type { ProtocolName } from '../core/message.ts'

/** So many bytes decide every case. */
export const MOST_FIRST_BYTES = 5

/** No HTTP method, no space and no other protocol begins with it (docs/protocols/mmtp.md). */
const MMTP_MAGIC = 0xcd
const DUBBO_MAGIC = 0xdabb
/** Bolt has no magic, only its version in front. */
const BOLT_V1 = 1
const BOLT_V2 = 2

/** Where Bolt's type byte stands, by version; its 16-bit command code follows. */
const BOLT_TYPE_AT = { 1: 1, 2: 2 } as const
/** Highest `ver1` of Bolt v2: 1 is without, 2 with a possible checksum. */
const BOLT_MOST_VER1 = 2
const BOLT_MOST_TYPE = 2
/** Heartbeat, request, response, GoAway. */
const BOLT_COMMANDS: ReadonlySet<number> = new Set([0, 1, 2, 100])

const DUBBO_REQUEST = 0x80
const DUBBO_SERIALIZATION = 0x1f

/**
 * The protocol that `bytes` up to `length` begin, null when further ones have to tell. At least one byte is there. What fits no
 * binary protocol is `http1`, whose codec refuses what it is not.
 */
export function recognise(bytes: Buffer, offset: number, length: number): ProtocolName | null {
  const first = bytes[offset]
  if (first === MMTP_MAGIC) return 'mmtp'
  if (first === BOLT_V1 || first === BOLT_V2) return settle('bolt', isBolt(bytes, offset, length, first))
  if (first === DUBBO_MAGIC >> 8) return settle('dubbo', isDubbo(bytes, offset, length))
  return 'http1'
}

/** `isIt` is null where nothing speaks against it yet and not all bytes are there. */
function settle(protocol: ProtocolName, isIt: boolean | null): ProtocolName | null {
  return isIt === null ? null : isIt ? protocol : 'http1'
}

function isBolt(bytes: Buffer, offset: number, length: number, version: 1 | 2): boolean | null {
  const typeAt = BOLT_TYPE_AT[version]
  if (version === BOLT_V2 && length > 1) {
    const ver1 = bytes[offset + 1] as number
    if (ver1 < 1 || ver1 > BOLT_MOST_VER1) return false
  }
  if (length > typeAt && (bytes[offset + typeAt] as number) > BOLT_MOST_TYPE) return false
  // The high byte of every command is 0.
  if (length > typeAt + 1 && bytes[offset + typeAt + 1] !== 0) return false
  if (length <= typeAt + 2) return null
  return BOLT_COMMANDS.has(bytes[offset + typeAt + 2] as number)
}

/** A caller begins with a request, be it an event; every serialization has a number. */
function isDubbo(bytes: Buffer, offset: number, length: number): boolean | null {
  if (length > 1 && bytes[offset + 1] !== (DUBBO_MAGIC & 0xff)) return false
  if (length <= 2) return null
  const flag = bytes[offset + 2] as number
  return (flag & DUBBO_REQUEST) !== 0 && (flag & DUBBO_SERIALIZATION) !== 0
}
