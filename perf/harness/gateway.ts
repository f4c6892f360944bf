/** meshgate as the subject of a measurement: its configuration and its start. */
import { readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { ROOT } from './environment.ts'
import type { PerfOptions } from './options.ts'
import { freePort, type Launched, type Sandbox, waitForPort } from './sandbox.ts'
import type { Running, Subject } from './subject.ts'

/** Routes of the standard chain. */
export const STANDARD_ROUTES = 1000
/** The path and the operation that load asks for; its route is the last of the table. */
export const PATH = '/api/v1/things'
export const OPERATION = 'bench.things.list'

/** The protocols on the two sides of a measured path. */
export interface GatewayPath {
  readonly downstream: 'http1' | 'mmtp'
  readonly upstream: 'http1' | 'mmtp'
}

/** HTTP on both sides. */
export const HTTP_PATH: GatewayPath = { downstream: 'http1', upstream: 'http1' }

/** How one gateway is set up. */
export interface GatewaySetup {
  readonly name?: string
  readonly path?: GatewayPath
  readonly routes?: number
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly nodeOptions?: readonly string[]
  /** Entry module, absolute or relative to the checkout. */
  readonly entry?: string
  /** Whether the configuration has the filters of the standard chain. */
  readonly chain?: boolean
}

/** A running gateway, with what is needed to change its configuration. */
export interface RunningGateway extends Running {
  readonly configFile: string
  readonly adminPort: number
  readonly config: string
}

/** The gateway as one subject of a comparison. */
export function gatewaySubject(options: PerfOptions, setup: GatewaySetup = {}): Subject {
  return {
    name: setup.name ?? 'meshgate',
    version: manifestVersion(ROOT),
    start: (sandbox, backendPort) => startGateway(sandbox, backendPort, options, setup),
  }
}

/** The gateway of another checkout, for a before-and-after comparison. */
export function otherCheckout(options: PerfOptions, setup: GatewaySetup = {}): Subject | null {
  if (options.against === null) return null
  const directory = resolve(options.against)
  return {
    ...gatewaySubject(options, { ...setup, name: 'before', entry: join(directory, options.entry) }),
    version: manifestVersion(directory),
  }
}

function manifestVersion(directory: string): string {
  return (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }).version
}

/** Starts a gateway and resolves when it says that it is ready and its port answers. */
export async function startGateway(
  sandbox: Sandbox,
  backendPort: number,
  options: PerfOptions,
  setup: GatewaySetup = {},
): Promise<RunningGateway> {
  const name = setup.name ?? 'meshgate'
  const [port, adminPort] = [await freePort(), await freePort()]
  const config = gatewayConfig(port, adminPort, backendPort, setup)
  const configFile = sandbox.write(`${name}-${port}.yaml`, config)
  const process = launchGateway(sandbox, configFile, options, setup)
  await process.waitForOutput((output) => output.includes('\n'), 30_000)
  await waitForPort(port, process)
  return { name, port, process, configFile, adminPort, config }
}

/** Starts the process without waiting for it. */
export function launchGateway(
  sandbox: Sandbox,
  configFile: string,
  options: PerfOptions,
  setup: GatewaySetup = {},
): Launched {
  const entry = setup.entry ?? options.entry
  const nodeOptions = [...options.nodeOptions, ...(setup.nodeOptions ?? [])]
  const file = isAbsolute(entry) ? entry : join(ROOT, entry)
  return sandbox.launch([process.execPath, ...nodeOptions, file, 'run', '-c', configFile], {
    name: setup.name ?? 'meshgate',
    role: 'proxy',
    ...(setup.env === undefined ? {} : { env: setup.env }),
  })
}

/** The configuration that every measurement uses: the standard chain and a table of routes, the asked one last. */
export function gatewayConfig(
  port: number,
  adminPort: number,
  backendPort: number,
  setup: GatewaySetup = {},
): string {
  const { downstream, upstream } = setup.path ?? HTTP_PATH
  const lines = [
    'node: { app: bench, cell: RZ01A }',
    `admin: { address: 127.0.0.1:${adminPort} }`,
    `listeners: [ { name: in, protocol: ${downstream}, address: 127.0.0.1:${port} } ]`,
    `clusters: [ { name: out, protocol: ${upstream}, endpoints: [127.0.0.1:${backendPort}] } ]`,
  ]
  if (setup.chain !== false) {
    lines.push(
      'filters:',
      `  - { use: access-log, path: access-${port}.log, sample: 0.01 }`,
      '  - trace-context',
      '  - { use: headers, request: { set: { x-gateway: meshgate } } }',
      '  - { use: rate-limit, qps: 100000000 }',
    )
  }
  lines.push('routes:', ...routeLines(setup.routes ?? STANDARD_ROUTES, downstream, upstream))
  return `${lines.join('\n')}\n`
}

/** `count` routes: two thirds exact, one third prefixes, the one that load asks for, and one for everything else. */
function routeLines(count: number, downstream: string, upstream: string): string[] {
  const to = destination(downstream, upstream)
  const lines: string[] = []
  for (let i = 0; i < count - 2; i++) lines.push(`  - { match: { ${matchOf(i, downstream)} }, to: ${to} }`)
  const asked = downstream === 'mmtp' ? `operation: ${OPERATION}` : `path: ${PATH}`
  lines.push(`  - { match: { ${asked} }, to: ${to} }`, `  - { match: {}, to: ${to} }`)
  return lines
}

function matchOf(i: number, downstream: string): string {
  if (downstream === 'mmtp')
    return i % 3 === 2 ? `operation: bench.group${i}.*` : `operation: bench.item${i}.get`
  return i % 3 === 2 ? `path: /static/v1/set-${i}/` : `path: /api/v1/item-${i}`
}

function destination(downstream: string, upstream: string): string {
  if (downstream === upstream) return '{ cluster: out }'
  if (upstream === 'mmtp') return `{ cluster: out, operation: ${OPERATION} }`
  return `{ cluster: out, method: POST, path: ${PATH} }`
}
