/** The paths through a gateway that are measured, and what is sent along them. */

/** A protocol that load and backends speak. */
export type LoadProtocol = 'http1' | 'mmtp' | 'bolt' | 'dubbo'

/** The protocols on the two sides of a measured path. */
export interface GatewayPath {
  readonly downstream: LoadProtocol
  readonly upstream: LoadProtocol
}

/** What framed load sends: a text that comes back, or an object of ten fields that is answered with another. */
export type Payload = 'text' | 'order'

/** HTTP on both sides. */
export const HTTP_PATH: GatewayPath = { downstream: 'http1', upstream: 'http1' }

/** The path and the operation that load asks for; its route is the last of the table. */
export const PATH = '/api/v1/things'
export const OPERATION = 'bench.things.list'

/** Whether the protocol is one of remote procedure calls. */
export function isRpc(protocol: LoadProtocol): boolean {
  return protocol === 'bolt' || protocol === 'dubbo'
}

/** Whether JSON becomes a call on the way. */
export function isTranslated({ downstream, upstream }: GatewayPath): boolean {
  return downstream !== upstream && isRpc(upstream)
}

/** What is sent along a path. */
export function payloadOf(path: GatewayPath): Payload {
  return isTranslated(path) ? 'order' : 'text'
}
