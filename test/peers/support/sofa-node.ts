/**
 * A business process on SOFARPC for Node, as a program: `node sofa-node.ts` listens on a free port, prints it and offers
 * the service of test/peers/java as far as {@link METHODS} goes.
 *
 * For each connection the library keeps class definitions by name and number of fields, and takes the next object of
 * that class to have the same order of fields. Callers of different origin write different orders, so a cluster of it has
 * `sharing: caller` (docs/protocols/bolt.md, section 8).
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)

/** The interface that it offers. */
export const SERVICE = 'com.example.peers.PeerService'

const ITEM = {
  sku: { type: 'java.lang.String' },
  count: { type: 'int' },
  price: { type: 'java.math.BigDecimal' },
}

/** Java classes by name, as the library wants them described. */
export const CLASS_MAP = { 'com.example.peers.Item': ITEM }

interface Item {
  readonly sku: string
  readonly count: number
}

/** What the service does. */
const METHODS = {
  async text(value: string) {
    return value
  },
  async slow(delayMs: number) {
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    return `slept ${delayMs}`
  },
  async item({ sku, count }: Item) {
    return { $class: 'com.example.peers.Item', $: { sku: `${sku} seen`, count: count + 1, price: null } }
  },
  async texts(values: string[]) {
    return values
  },
  async anything(value: unknown) {
    return value
  },
  async nothing() {},
  async fail(kind: string) {
    throw new TypeError(`${kind} failure`)
  },
}

/** The little that tests use of `sofa-rpc-node`, which has no types. */
export interface SofaRpcNode {
  /** Of the intervals of all clients. */
  readonly scheduler: { clear(): void }
  readonly client: {
    readonly RpcClient: new (
      options: object,
    ) => {
      createConsumer(options: object): Consumer
      close(): Promise<void>
    }
  }
  readonly server: {
    readonly RpcServer: new (
      options: object,
    ) => {
      readonly publishPort: number
      addService(info: object, delegate: object): void
      start(): Promise<void>
    }
  }
}

/** Calls one interface. */
export interface Consumer {
  ready(): Promise<void>
  invoke(method: string, args: readonly unknown[], options?: object): Promise<unknown>
}

/** The library, loaded when it is needed. */
export function loadSofaRpcNode(): SofaRpcNode {
  return {
    scheduler: require('sofa-rpc-node/lib/client/scheduler').instance as SofaRpcNode['scheduler'],
    client: require('sofa-rpc-node').client as SofaRpcNode['client'],
    server: require('sofa-rpc-node').server as SofaRpcNode['server'],
  }
}

/** A logger that keeps quiet. */
export const QUIET = { info() {}, warn() {}, error() {}, debug() {} }

async function serve(): Promise<void> {
  const { RpcServer } = loadSofaRpcNode().server
  const options = { logger: QUIET, port: 0, classMap: CLASS_MAP, appName: 'node-server' }
  const server = new RpcServer(options)
  server.addService({ interfaceName: SERVICE }, METHODS)
  await server.start()
  console.log(`port ${server.publishPort}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve()
