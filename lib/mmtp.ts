/**
 * Mmtp for programs: a client, and a server for business processes and tests.
 *
 * @example
 * const client = await connectMmtp('127.0.0.1:15002')
 * const { status, body } = await client.call('demo.echo', '{"a":1}', { timeoutMs: 3000 })
 * await client.close()
 */
export {
  connectMmtp,
  MmtpCaller,
  type MmtpCallOptions,
  type MmtpConnectOptions,
  type MmtpResult,
} from './mmtp-client.ts'
export {
  type IncomingCall,
  type MmtpAnswer,
  type MmtpListener,
  type MmtpServeOptions,
  serveMmtp,
} from './mmtp-server.ts'
