/** From a parsed head to a response: what a complete response head must obey, and how its body ends (section 6.3). */
import type { ClientCodecOptions } from '../../core/codec.ts'
import { FLAG_CHUNKED, FLAG_CONTENT_LENGTH, Framing } from './constants.ts'
import type { HeadParser } from './head-parser.ts'
import { Http1Response } from './response.ts'

/** The response of a head that was read to its end, which takes over the parser; null when it is refused, and the parser says why. `isHead` when it answers a HEAD. */
export function openResponse(
  parser: HeadParser,
  isHead: boolean,
  options: ClientCodecOptions,
): Http1Response | null {
  const { flags, status, minor } = parser
  if ((flags & FLAG_CHUNKED) !== 0) {
    if ((flags & FLAG_CONTENT_LENGTH) !== 0)
      return refuse(parser, 'both Content-Length and Transfer-Encoding')
    if (minor === 0) return refuse(parser, 'Transfer-Encoding in HTTP/1.0')
  }
  if (status < 200 || status === 204 || status === 304 || isHead) {
    return new Http1Response(parser, 0)
  }
  if (options.maxBodyBytes > 0 && parser.contentLength > options.maxBodyBytes) {
    return refuse(parser, `Content-Length is more than ${options.maxBodyBytes}`)
  }
  return new Http1Response(parser, parser.contentLength)
}

/** How the body of a response with one ends. */
export function responseFraming(response: Http1Response): Framing {
  if ((response.flags & FLAG_CHUNKED) !== 0) return Framing.Chunked
  return response.contentLength >= 0 ? Framing.Length : Framing.Close
}

function refuse(parser: HeadParser, detail: string): null {
  parser.fail('BAD_REQUEST', detail)
  return null
}
