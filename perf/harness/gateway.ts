/** meshgate as the subject of a measurement. */
import { readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { ROOT } from './environment.ts'
import { type ConfigSetup, gatewayConfig } from './gateway-config.ts'
import type { PerfOptions } from './options.ts'
import { freePort, type Launched, type Sandbox, waitForPort } from './sandbox.ts'
import type { Running, Subject } from './subject.ts'

/** How one gateway is set up. */
export interface GatewaySetup extends ConfigSetup {
  readonly name?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly nodeOptions?: readonly string[]
  /** Entry module, absolute or relative to the checkout. */
  readonly entry?: string
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
  const config = gatewayConfig({ port, adminPort, backendPort }, setup)
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
