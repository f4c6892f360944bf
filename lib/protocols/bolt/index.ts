/** SOFABolt, the row for the table of protocols. docs/protocols/bolt.md describes the protocol. */
import type { Protocol } from '../../core/codec.ts'
import { compileBoltCall } from './call.ts'
import { BoltClient } from './client.ts'
import { BoltServer } from './server.ts'

/** See {@link Protocol}. */
export const bolt: Protocol = {
  name: 'bolt',
  isMultiplexed: true,
  createServer: (wire, options, handler, context) => new BoltServer(wire, options, handler, context),
  createClient: (wire, options, handler, owner) => new BoltClient(wire, options, handler, owner),
  compileCall: compileBoltCall,
}
