/** A gateway in this process for integration tests, with the check that it leaves nothing behind. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Test } from 'tap'
import { poolUsage } from '../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { Gateway } from '../../lib/gateway.ts'

poisonReleasedSlabs(true)

/** A running gateway and where its listeners are. */
export interface Rig {
  readonly gateway: Gateway
  /** The configuration file; write it to change the configuration. */
  readonly file: string
  readonly folder: string
  /** Port of a listener, the first one by default. */
  port(listener?: string): number
  /** Replaces the configuration and waits until it serves or is refused. */
  reconfigure(config: string): Promise<void>
}

/** Starts a gateway with `config` (YAML); stops it with the test and checks that leases, exchanges and timers are zero. */
export async function startRig(
  t: Test,
  config: string,
  options: { isWatching?: boolean } = {},
): Promise<Rig> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-test-'))
  const file = path.join(folder, 'meshgate.yaml')
  await writeFile(file, config)
  const gateway = new Gateway({ file, isWatching: options.isWatching ?? false })
  await gateway.start()
  gateway.log.setLevel('silent')
  t.teardown(async () => {
    await untilQuiet(gateway)
    const before = leftBehind(gateway)
    await gateway.destroy()
    await rm(folder, { recursive: true, force: true })
    await untilIdle(gateway)
    const after = [...leftBehind(gateway), ...leaksOf(gateway)]
    const left = [...before.map((what) => `${what} before the stop`), ...after]
    if (left.length > 0) {
      // A test cannot assert any more once it is over, but it can fail.
      console.error(`# ${t.fullname} leaves behind: ${left.join(', ')}`)
      throw new Error(`left behind: ${left.join(', ')}`)
    }
  })
  return {
    gateway,
    file,
    folder,
    port: (listener) => portOf(gateway, listener),
    reconfigure: async (text) => {
      await writeFile(file, text)
      await gateway.reload()
    },
  }
}

function portOf(gateway: Gateway, name?: string): number {
  const [first] = gateway.listeners.keys()
  const running = gateway.listeners.get(name ?? (first as string))
  if (running === undefined) throw new Error(`no listener ${name}`)
  return Number(running.part.address.split(':').at(-1))
}

/** What no exchange may leave, even while the gateway runs. */
function leftBehind(gateway: Gateway): string[] {
  const counts: [string, number][] = [
    ['exchanges', gateway.dispatcher.live],
    ['exchanges on the runtime', gateway.runtime.live],
  ]
  for (const { part } of gateway.listeners.values())
    counts.push([`active in ${part.name}`, part.stats.active])
  for (const { part } of gateway.clusters.values()) {
    counts.push([`active in ${part.name}`, part.stats.active], [`waiting in ${part.name}`, part.queued])
  }
  return counts.filter(([, count]) => count !== 0).map(([what, count]) => `${count} ${what}`)
}

/** What a stopped gateway may not hold. */
function leaksOf(gateway: Gateway): string[] {
  const counts: [string, number][] = [
    ['leases', poolUsage().leased],
    ['timers', gateway.loop.wheel.count],
  ]
  return counts.filter(([, count]) => count !== 0).map(([what, count]) => `${count} ${what}`)
}

/** Clients are gone by now; what they left behind ends by itself, within two seconds at most. */
async function untilQuiet(gateway: Gateway): Promise<void> {
  const untilMs = performance.now() + 2000
  while (gateway.dispatcher.live > 0 && performance.now() < untilMs)
    await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Sockets close over a few turns of the loop; this waits for the last of them, for a second at most. */
async function untilIdle(gateway: Gateway): Promise<void> {
  const untilMs = performance.now() + 1000
  const isBusy = (): boolean =>
    gateway.dispatcher.live > 0 || poolUsage().leased > 0 || gateway.loop.wheel.count > 0
  while (isBusy() && performance.now() < untilMs) await new Promise((resolve) => setImmediate(resolve))
}

/** A plain `node:http` business process on a free port; closed with the test. Returns the port. */
export async function startBusiness(t: Test, handler: http.RequestListener, port = 0): Promise<number> {
  const server = http.createServer(handler)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as net.AddressInfo).port
}

/** A raw TCP business process: `onConnection` does what it likes with each socket. Returns the port. */
export async function startRawBusiness(t: Test, onConnection: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as net.AddressInfo).port
}

/** Sends raw bytes to a port and gives everything that came back until the peer closed. `isHalfClosed` sends FIN behind the bytes. */
export function exchangeRaw(port: number, bytes: string | Buffer, isHalfClosed = true): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('end', () => {
      socket.end()
      resolve(text)
    })
    socket.on('error', reject)
    if (isHalfClosed) socket.end(bytes)
    else socket.write(bytes)
  })
}
