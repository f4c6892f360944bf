/** A gateway before business processes that speak Bolt or Dubbo. */
import type { Test } from 'tap'
import { type Rig, startRig } from './rig.ts'
import type { RpcKind } from './rpc-kinds.ts'
import { connectRpc, type RpcBusiness, type RpcSocket, startRpcBusiness } from './rpc-socket.ts'

/** What differs from a gateway with one listener `in`, one cluster `out` and one route to it. Pieces of YAML. */
export interface RpcSetup {
  readonly listener?: string
  readonly cluster?: string
  readonly filters?: string
  /** Of the route that matches every service. */
  readonly route?: string
  /** In place of that route. */
  readonly routes?: string
  readonly more?: string
}

/** The configuration with which calls of `kind` reach `port`. */
export function rpcConfig(kind: RpcKind, port: number, setup: RpcSetup = {}): string {
  const { listener = '', cluster = '', filters = '', route = '', more = '' } = setup
  const routes = setup.routes ?? `  - { match: { service: '*' }, to: { cluster: out }${route} }`
  return `
log: { level: silent }
listeners: [{ name: in, protocol: ${kind.name}, address: 127.0.0.1:0${listener} }]
clusters: [{ name: out, protocol: ${kind.name}, endpoints: [127.0.0.1:${port}]${cluster} }]
filters: [${filters}]
routes:
${routes}
${more}`
}

/** A gateway with the business process behind it. */
export interface RpcRig {
  readonly rig: Rig
  readonly business: RpcBusiness
  connect(): Promise<RpcSocket>
  /** Connections that the gateway has to the business process. */
  connections(): number
}

/** Starts both; they end with the test. */
export async function startRpc(
  t: Test,
  kind: RpcKind,
  setup: RpcSetup = {},
  act?: RpcBusiness['act'],
): Promise<RpcRig> {
  const business = await startRpcBusiness(t, kind, act)
  const rig = await startRig(t, rpcConfig(kind, business.port, setup))
  return {
    rig,
    business,
    connect: () => connectRpc(t, kind, rig.port()),
    connections: () => rig.gateway.clusters.get('out')?.part.report()[0]?.connections ?? 0,
  }
}

/** Whether the gateway holds nothing that belongs to a call. */
export function isQuiet({ gateway }: Rig): boolean {
  return gateway.dispatcher.live === 0
}
