/** Numbers of the Dubbo 2 protocol. docs/protocols/dubbo.md describes it. */

/** Bytes of the header that begins every frame. */
export const HEADER_LENGTH = 16
/** The two magic bytes. */
export const MAGIC_HIGH = 0xda
export const MAGIC_LOW = 0xbb

/** Bits of the third byte; the lower five are the serialization id. */
export const Flag = { Request: 0x80, TwoWay: 0x40, Event: 0x20, Serialization: 0x1f } as const

/** The serializations whose bodies are read; every other one is passed on as it is. */
export const Serialization = { Hessian2: 2, Fastjson2: 23 } as const

/** The statuses of responses. Others are passed on as they are. */
export const Status = {
  Ok: 20,
  SerializationError: 25,
  ClientTimeout: 30,
  ServerTimeout: 31,
  ChannelInactive: 35,
  BadRequest: 40,
  BadResponse: 50,
  ServiceNotFound: 60,
  ServiceError: 70,
  ServerError: 80,
  ClientError: 90,
  ThreadPoolExhausted: 100,
} as const

/** The int that begins the body of a response with status 20. */
export const ResponseKind = {
  Exception: 0,
  Value: 1,
  Null: 2,
  ExceptionWithAttachments: 3,
  ValueWithAttachments: 4,
  NullWithAttachments: 5,
} as const

/** Java answers events above this with status 40 (`deserialization.event.size`). */
export const MAX_EVENT_BYTES = 15

/** A frame that has begun must be complete within this. */
export const FRAME_TIMEOUT_MS = 15_000

/** Bodies from here on are lent to the wire in place of being copied. */
export const LEND_BYTES = 16 * 1024

/** The interface version that stands for none. */
export const NO_VERSION = '0.0.0'
/** The protocol version that Dubbo 2.7 and 3 send as the first value of a request. */
export const PROTOCOL_VERSION = '2.0.2'

/** A JVM method has no more parameters than this. */
export const MAX_ARGUMENTS = 255
/** Longest attachment that may be set, in UTF-16 units: what one piece of a hessian string holds. */
export const MAX_TEXT_UNITS = 0x8000
