/** Numbers of Mmtp/1; docs/protocols/mmtp.md explains them, section by section. */

/** First byte of every frame. */
export const MAGIC = 0xcd
/** Bytes of the fixed header. */
export const HEADER_LENGTH = 16

/** Frame types (section 3). */
export const FrameType = {
  Hello: 0x01,
  HelloAck: 0x02,
  Settings: 0x03,
  SettingsAck: 0x04,
  Request: 0x10,
  Response: 0x11,
  Data: 0x12,
  Cancel: 0x13,
  Window: 0x14,
  Push: 0x20,
  PushAck: 0x21,
  Ping: 0x30,
  Pong: 0x31,
  GoAway: 0x32,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Types from here on may be skipped by whoever does not know them. */
export const FIRST_IGNORABLE_TYPE = 0x80

/** Flags (section 4). */
export const Flag = {
  End: 0x0001,
  HeaderState: 0x0002,
  Crc: 0x0004,
  OneWay: 0x0008,
  Early: 0x0010,
} as const
/** Unknown flags that are ignored and copied when a frame is forwarded. */
export const FORWARDED_FLAGS = 0x00e0
/** Flags that a receiver must understand. */
export const CRITICAL_FLAGS = 0xff00

/** Codes of CANCEL and GOAWAY (section 10). */
export const Code = {
  None: 0,
  Protocol: 1,
  Version: 2,
  FrameSize: 3,
  Flow: 4,
  Compression: 5,
  Unsupported: 6,
  Refused: 7,
  Cancelled: 8,
  Deadline: 9,
  Stalled: 10,
  Abuse: 11,
  TooLarge: 12,
  Internal: 13,
  Loop: 14,
  WrongZone: 15,
  Auth: 16,
  Early: 17,
  Checksum: 18,
  Idle: 19,
  Drain: 20,
} as const
export type Code = (typeof Code)[keyof typeof Code]

const CODE_NAMES = Object.keys(Code)

/** The name of a code for logs; unknown ones mean the same as `Internal`. */
export function codeName(code: number): string {
  return CODE_NAMES[code] ?? `${code}`
}

/** Fixed part of the route prefix of REQUEST and PUSH, and the whole of it in RESPONSE and PUSH_ACK (section 5). */
export const PREFIX_LENGTH = 8
export const MAX_OPERATION_BYTES = 200
/** Marks of a request, in its prefix. */
export const RequestMark = {
  LoadTest: 0x01,
  Idempotent: 0x02,
  Sampled: 0x04,
  Grey: 0x08,
  ShardVerified: 0x80,
} as const
/** Marks of a response, in its prefix. */
export const ResponseMark = {
  Unprocessed: 0x01,
  Overloaded: 0x02,
  WrongZone: 0x04,
  ErrorDocument: 0x08,
} as const
/** Who made a response. */
export const Origin = { Unknown: 0, Business: 1, Sidecar: 2, AccessLayer: 3, CentralGateway: 4 } as const
export const SHARD_UNKNOWN = 0xffff
/** Hops that a new request may take. */
export const INITIAL_HOPS = 5
/** Unit of `retryAfter`, in milliseconds. */
export const RETRY_AFTER_UNIT_MS = 10

/** Body encodings: the high nibble of byte 11. */
export const Encoding = { Identity: 0, Zstd: 1, ZstdDictionary: 2, Gzip: 3, Brotli: 4, Private: 15 } as const

/** Limits that are not negotiated. */
export const MAX_IGNORABLE_BODY = 16 * 1024
export const MAX_CODE_TEXT = 256
export const MAX_BLOCK_ENTRIES = 64
export const MAX_BLOCK_BYTES = 16 * 1024
/** Charged per header entry beside its name and value. */
export const ENTRY_OVERHEAD = 32
export const MAX_NAME_BYTES = 64
export const MAX_VALUE_BYTES = 32_767
export const MAX_WINDOW = 0x7fff_ffff
/** From this id on a dialler opens no more streams. */
export const LAST_STREAM_ID = 2 ** 30
/** `lastStreamId` of the first GOAWAY of a drain. */
export const ALL_STREAMS = 0x7fff_ffff

/** Times in milliseconds (section 8). */
export const HELLO_TIMEOUT_MS = 5_000
export const FRAME_TIMEOUT_MS = 15_000
export const STALL_TIMEOUT_MS = 10_000
/** Output that waits for windows on one connection before its sources are paused. */
export const MAX_QUEUED_BYTES = 8 * 1024 * 1024

/** Names that a header entry gives by number (section 6). */
export const STATIC_NAMES: readonly string[] = (
  'app-id workspace-id did session ts sign sign-type uid content-type client-version product-id client-os net-type ' +
  'locale user-agent trace-id rpc-id biz-baggage sys-baggage client-track-id channel client-ip x-forwarded-for ' +
  'cookie set-cookie etag if-none-match cache-control mock tag authorization result-memo result-tips target-app ' +
  'target-cell origin-zone caller-app caller-zone caller-ip service method version group serialization generic ' +
  'principal dictionary-id server-time push-id push-ttl sync-point mesh-percent zone-hint attempt idempotency-key ' +
  'x-mgs-proxy-signature'
).split(' ')

/** Number of each static name. */
export const STATIC_INDEX: ReadonlyMap<string, number> = new Map(
  STATIC_NAMES.map((name, index) => [name, index]),
)

/** Static numbers that only the access layer may set: they are stripped at the edge. */
export const EDGE_STRIPPED: readonly number[] = [7, 21, 22, 33, 34, 35, 36, 37, 38, 45, 53]
