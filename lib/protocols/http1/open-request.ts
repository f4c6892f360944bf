/** From a parsed head to a request: the rules, then what the listener's options add or take away. */
import type { PeerInfo, ServerCodecOptions } from '../../core/codec.ts'
import { FLAG_OPERATION } from './constants.ts'
import { applyForwarded } from './forwarded.ts'
import type { HeadParser } from './head-parser.ts'
import { Parsed } from './head-state.ts'
import { methodAt } from './methods.ts'
import { Http1Request } from './request.ts'
import { checkRequest, stripEdgeFields } from './request-rules.ts'

/** The request of a head that was read to its end, which takes over the parser; null when it is refused, and the parser says why. */
export function openRequest(
  parser: HeadParser,
  options: ServerCodecOptions,
  peer: PeerInfo,
): Http1Request | null {
  const { bytes, base } = parser.table
  const method = methodAt(bytes, base + parser.start, base + parser.methodEnd)
  if (checkRequest(parser, bytes, base, method) !== Parsed.Done) return null
  if (options.maxBodyBytes > 0 && parser.contentLength > options.maxBodyBytes) {
    parser.fail('BODY_TOO_LARGE', `Content-Length is more than ${options.maxBodyBytes}`)
    return null
  }
  if (!options.trusted) stripEdgeFields(parser, bytes, base)
  const request = new Http1Request(parser, method)
  if ((request.flags & FLAG_OPERATION) !== 0 && isOperationPath(request, options.operationPath)) {
    request.operation = request.headers.get('operation-type') ?? ''
  }
  applyForwarded(request, options, peer.remoteAddress)
  return request
}

/** Compared by length first: nearly no request comes on this path. */
function isOperationPath(request: Http1Request, path: string): boolean {
  const end = request.queryStart < 0 ? request.targetEnd : request.queryStart
  return end - request.pathStart === path.length && request.path === path
}
