/** What is known of a head while it is being read, and what was found in it. */
import { HeaderTable } from '../../buffer/header-table.ts'
import type { ErrorCode } from '../../core/errors.ts'

/** What a step of parsing came to. */
export const Parsed = { More: 0, Done: 1, Failed: 2 } as const
export type Parsed = (typeof Parsed)[keyof typeof Parsed]

/** What a parser reads. */
export const HeadKind = { Request: 0, Response: 1, Trailers: 2 } as const
export type HeadKind = (typeof HeadKind)[keyof typeof HeadKind]

/** Where a parser stands. Up to `LineEnd` it is in the first line, from `Line` on in the fields. */
export const ParserState = {
  Start: 0,
  /** Behind the CR of an empty line before the request. */
  BlankEnd: 1,
  Method: 2,
  Target: 3,
  Version: 4,
  Status: 5,
  Reason: 6,
  LineEnd: 7,
  /** At the start of a field line. */
  Line: 8,
  Name: 9,
  Space: 10,
  Value: 11,
  ValueEnd: 12,
  /** Behind the CR of the empty line that ends the head. */
  HeadEnd: 13,
} as const
export type ParserState = (typeof ParserState)[keyof typeof ParserState]

/** Limits of one head, in bytes but for the count. */
export interface HeadLimits {
  readonly maxHeadBytes: number
  readonly maxHeaders: number
  readonly maxUriBytes: number
}

/** State and findings of one head. Positions count from the head's start. */
export class HeadState {
  kind: HeadKind = HeadKind.Request
  state: ParserState = ParserState.Start
  /** The next byte to look at. */
  position = 0
  table = new HeaderTable()
  flags = 0
  /** Where the first line starts: behind an empty line that came before it. */
  start = 0
  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  /** Position of the target's `?`, -1 when it has none. */
  queryStart = -1
  /** Where the path starts; behind the authority of an absolute target. */
  pathStart = 0
  /** Where the third part of the first line starts: the version of a request, the reason of a response. */
  partStart = 0
  /** Where the first line ends and the fields start. */
  fieldsStart = 0
  headLength = 0
  /** Minor version of HTTP/1. */
  minor = 1
  status = 0
  contentLength = -1
  /** Index of the Content-Length field, -1 when there is none. */
  lengthIndex = -1
  /** Index of the Host field, -1 when there is none. */
  hostIndex = -1
  hostStart = 0
  hostEnd = 0
  nameStart = 0
  nameEnd = 0
  valueStart = 0
  maxHeadBytes = 0
  maxHeaders = 0
  maxUriBytes = 0
  /** What was wrong, once {@link Parsed.Failed} was returned. */
  code: ErrorCode = 'BAD_REQUEST'
  detail = ''

  /** Notes what was wrong; always {@link Parsed.Failed}. */
  fail(code: ErrorCode, detail: string): Parsed {
    this.code = code
    this.detail = detail
    return Parsed.Failed
  }
}
