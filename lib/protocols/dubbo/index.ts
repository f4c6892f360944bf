/** Dubbo 2, the row for the table of protocols. docs/protocols/dubbo.md describes what of it is spoken. */
import type { Protocol } from '../../core/codec.ts'
import { compileDubboCall } from './call.ts'
import { DubboClient } from './client.ts'
import { DubboServer } from './server.ts'

/** See {@link Protocol}. */
export const dubbo: Protocol = {
  name: 'dubbo',
  isMultiplexed: true,
  createServer: (wire, options, handler, context) => new DubboServer(wire, options, handler, context),
  createClient: (wire, options, handler, owner) => new DubboClient(wire, options, handler, owner),
  compileCall: compileDubboCall,
}
