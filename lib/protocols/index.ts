/** The table of protocols. Importing it has no effect. */
import type { Protocol } from '../core/codec.ts'
import type { ProtocolName } from '../core/message.ts'
import { createDetector, type ServerProtocol } from './detect.ts'

export type { ServerProtocol } from './detect.ts'

/** Each protocol is some twenty modules, so it is loaded when a configuration has it: that is what a start has to wait for. */
const LOADERS: Readonly<Record<ProtocolName, () => Promise<Protocol>>> = {
  http1: async () => (await import('./http1/index.ts')).http1,
  mmtp: async () => (await import('./mmtp/index.ts')).mmtp,
  bolt: async () => (await import('./bolt/index.ts')).bolt,
  dubbo: async () => (await import('./dubbo/index.ts')).dubbo,
}

const loaded = new Map<ProtocolName, Protocol>()

/** Loads what listeners and clusters are configured with. */
export async function loadProtocols(names: Iterable<ProtocolName | 'auto'>): Promise<void> {
  for (const name of names) {
    if (name === 'auto') await loadProtocols(Object.keys(LOADERS) as ProtocolName[])
    else if (!loaded.has(name)) loaded.set(name, await LOADERS[name]())
  }
}

/** The protocol of a cluster. Throws when it is not loaded. */
export function protocolNamed(name: ProtocolName): Protocol {
  const protocol = loaded.get(name)
  if (protocol === undefined) throw new Error(`the protocol ${name} is not loaded`)
  return protocol
}

/** What a listener of that name does. Throws when it is not loaded. */
export function serverProtocolNamed(name: ProtocolName | 'auto'): ServerProtocol {
  if (name !== 'auto') return protocolNamed(name)
  return createDetector({
    http1: protocolNamed('http1'),
    mmtp: protocolNamed('mmtp'),
    bolt: protocolNamed('bolt'),
    dubbo: protocolNamed('dubbo'),
  })
}
