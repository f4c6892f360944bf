/** Mmtp/1, the row for the table of protocols. docs/protocols/mmtp.md describes the protocol. */
import type { Protocol } from '../../core/codec.ts'
import { MmtpClient } from './client.ts'
import { MmtpServer } from './server.ts'

/** See {@link Protocol}. */
export const mmtp: Protocol = {
  name: 'mmtp',
  isMultiplexed: true,
  createServer: (wire, options, handler, context) => new MmtpServer(wire, options, handler, context),
  createClient: (wire, options, handler, owner) => new MmtpClient(wire, options, handler, owner),
  compileCall: null,
}
