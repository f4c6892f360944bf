/** HTTP/1.1 (RFC 9112), both directions. */
import type { Protocol } from '../../core/codec.ts'
import { Http1Client } from './client.ts'
import { Http1Server } from './server.ts'

/** The row of the table of protocols. */
export const http1: Protocol = {
  name: 'http1',
  isMultiplexed: false,
  createServer: (wire, options, handler, context) => new Http1Server(wire, options, handler, context),
  createClient: (wire, options, handler, owner) => new Http1Client(wire, options, handler, owner),
  compileCall: null,
}
