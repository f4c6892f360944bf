/** Numbers and prebuilt bytes of HTTP/1.1. Section numbers are RFC 9112's unless another document is named. */
import { KIND_HOP } from '../../buffer/header-table.ts'

// Kinds of header fields above KIND_HOP: visible to filters, and the encoder decides whether they cross.

/** Host of the request; crosses unless the authority was rewritten. */
export const KIND_HOST = KIND_HOP + 1
/** Content-Length; crosses while it says what the framing says. */
export const KIND_CONTENT_LENGTH = KIND_HOP + 2
/** `Expect: 100-continue`; crosses when a body follows. */
export const KIND_EXPECT = KIND_HOP + 3
/** Upgrade of a message that may switch protocols. */
export const KIND_UPGRADE = KIND_HOP + 4
/** `TE: trailers`, the only TE that crosses. */
export const KIND_TE = KIND_HOP + 5

// What a head said, as bits of `HeadParser.flags`.

export const FLAG_CLOSE = 1
export const FLAG_KEEP_ALIVE = 2
/** Connection lists `upgrade`. */
export const FLAG_UPGRADE_OPTION = 4
export const FLAG_CHUNKED = 8
export const FLAG_CONTENT_LENGTH = 16
export const FLAG_HOST = 32
export const FLAG_EXPECT = 64
/** There is an Upgrade field. */
export const FLAG_UPGRADE = 128
/** Connection lists names of other fields. */
export const FLAG_OPTIONS = 256
/** There is a `Forwarded` or `X-Forwarded-*` field. */
export const FLAG_FORWARDED = 512
export const FLAG_TE_TRAILERS = 1024
export const FLAG_OPERATION = 2048
/** There is a field that only the access layer may set. */
export const FLAG_EDGE = 4096
/** The target named its authority (section 3.2.2). */
export const FLAG_ABSOLUTE = 8192
/** The first line has the form that we would write: version 1.1, and a space behind the status code. */
export const FLAG_CANONICAL = 16384

/** Longest method that is looked at. */
export const MAX_METHOD_BYTES = 32
/** Names that Connection may list beside the well-known ones: each is compared with every field. */
export const MAX_CONNECTION_OPTIONS = 32
/** Bytes of chunk extensions in one message: nobody uses them, floods do. */
export const MAX_CHUNK_EXTENSION_BYTES = 4096
/** Digits of a chunk size: 15 of base 16 are more than 2^53, which is checked too. */
export const MAX_CHUNK_DIGITS = 15
/** Trailers of one message. */
export const MAX_TRAILER_BYTES = 16 * 1024
/** Rest of a request that is read and dropped so that its connection can serve on; an answer to one with more says close. */
export const MAX_DRAIN_BYTES = 64 * 1024
/** Bytes and milliseconds that a closing connection still reads, so that its peer sees the answer and not a reset. */
export const LINGER_BYTES = 4 * 1024 * 1024
export const LINGER_MS = 2000
/** Unread input of a pipelining caller from which reading pauses. */
export const BACKLOG_BYTES = 16 * 1024
/** Quiet time after which a draining connection without a request is closed. */
export const DRAIN_QUIET_MS = 1000
/** 1xx responses that one exchange may have. */
export const MAX_INFORMATIONAL = 64
/** Size from which a piece of a body is lent to the wire and not copied. */
export const LEND_BYTES = 16 * 1024

export const EMPTY = Buffer.alloc(0)
export const CRLF = Buffer.from('\r\n')
export const LINE_END = Buffer.from(' HTTP/1.1\r\n')
export const CONNECTION_CLOSE = Buffer.from('connection: close\r\n')
export const CONNECTION_KEEP_ALIVE = Buffer.from('connection: keep-alive\r\n')
export const CONNECTION_UPGRADE = Buffer.from('connection: upgrade\r\n')
export const CONNECTION_TE = Buffer.from('connection: te\r\n')
export const CHUNKED_LINE = Buffer.from('transfer-encoding: chunked\r\n')
export const CONTENT_LENGTH_NAME = Buffer.from('content-length: ')
export const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')
export const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** How a message that is being written marks its end. */
export const Framing = {
  /** No body and nothing to say about one: 1xx, 204, a request without a body. */
  None: 0,
  /** No body, but the length it would have: the answer to HEAD, 304. */
  Described: 1,
  Length: 2,
  Chunked: 3,
  /** The end of the connection ends the body. */
  Close: 4,
  /** After 101: bytes of another protocol. */
  Tunnel: 5,
} as const
export type Framing = (typeof Framing)[keyof typeof Framing]

/** The Connection field of a message that is being written. */
export const ConnectionLine = { None: 0, Close: 1, KeepAlive: 2, Upgrade: 3, Te: 4 } as const
export type ConnectionLine = (typeof ConnectionLine)[keyof typeof ConnectionLine]
