/** The configuration that every measurement uses: the standard chain and a table of routes, the asked one last. */
import { CREATE_METHOD, ORDER_CLASS, ORDER_FIELDS, SERVICE } from '../load/order.ts'
import { type GatewayPath, HTTP_PATH, isRpc, isTranslated, OPERATION, PATH } from './paths.ts'

/** Routes of the standard chain. */
export const STANDARD_ROUTES = 1000

/** The ports of one gateway. */
export interface GatewayPorts {
  readonly port: number
  readonly adminPort: number
  readonly backendPort: number
}

/** What a configuration may differ in. */
export interface ConfigSetup {
  readonly path?: GatewayPath
  readonly routes?: number
  /** Whether it has the filters of the standard chain. */
  readonly chain?: boolean
}

/** Writes the configuration as YAML. */
export function gatewayConfig(ports: GatewayPorts, setup: ConfigSetup = {}): string {
  const path = setup.path ?? HTTP_PATH
  const lines = [
    'node: { app: bench, cell: RZ01A }',
    `admin: { address: 127.0.0.1:${ports.adminPort} }`,
    `listeners: [ { name: in, protocol: ${path.downstream}, address: 127.0.0.1:${ports.port} } ]`,
    `clusters: [ { name: out, protocol: ${path.upstream}, endpoints: [127.0.0.1:${ports.backendPort}] } ]`,
  ]
  if (isTranslated(path)) lines.push(...typeLines())
  if (setup.chain !== false) {
    lines.push(
      'filters:',
      `  - { use: access-log, path: access-${ports.port}.log, sample: 0.01 }`,
      '  - trace-context',
      '  - { use: headers, request: { set: { x-gateway: meshgate } } }',
      '  - { use: rate-limit, qps: 100000000 }',
    )
  }
  lines.push('routes:', ...routeLines(setup.routes ?? STANDARD_ROUTES, path))
  return `${lines.join('\n')}\n`
}

/** The class that calls take and return. */
function typeLines(): string[] {
  const fields = ORDER_FIELDS.map(({ name, type }) => `${name}: ${type}`)
  return ['types:', `  ${ORDER_CLASS}: { fields: { ${fields.join(', ')} } }`]
}

/** `count` routes: two thirds exact, one third prefixes, the one that load asks for, and one for everything else. */
function routeLines(count: number, path: GatewayPath): string[] {
  const to = destination(path)
  const lines: string[] = []
  for (let i = 0; i < count - 2; i++) lines.push(`  - { match: { ${matchOf(i, path)} }, to: ${to} }`)
  lines.push(`  - { match: { ${askedMatch(path)} }, to: ${to} }`, `  - { match: {}, to: ${to} }`)
  return lines
}

function matchOf(i: number, { downstream }: GatewayPath): string {
  const isPrefix = i % 3 === 2
  if (isRpc(downstream))
    return isPrefix ? `service: com.example.group${i}.*` : `service: com.example.gateway.Item${i}Service`
  if (downstream === 'mmtp')
    return isPrefix ? `operation: bench.group${i}.*` : `operation: bench.item${i}.get`
  return isPrefix ? `path: /static/v1/set-${i}/` : `path: /api/v1/item-${i}`
}

function askedMatch({ downstream }: GatewayPath): string {
  if (isRpc(downstream)) return `service: ${SERVICE}`
  return downstream === 'mmtp' ? `operation: ${OPERATION}` : `path: ${PATH}`
}

function destination(path: GatewayPath): string {
  const { downstream, upstream } = path
  if (downstream === upstream) return '{ cluster: out }'
  if (isTranslated(path))
    return `{ cluster: out, service: ${SERVICE}, method: ${CREATE_METHOD}, parameters: [${ORDER_CLASS}] }`
  if (upstream === 'mmtp') return `{ cluster: out, operation: ${OPERATION} }`
  return `{ cluster: out, method: POST, path: ${PATH} }`
}
