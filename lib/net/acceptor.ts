/** A listening socket that turns what it accepts into connections. */
import fs from 'node:fs/promises'
import net from 'node:net'
import type { Codec } from '../core/codec.ts'
import { type Address, formatAddress, formatHostPort } from './address.ts'
import { adopt, probeAdoption } from './adopt.ts'
import { Connection, type ConnectionOwner, type NetContext, ON_READ } from './connection.ts'
import { ProxyProtocolCodec, type ProxyProtocolMode } from './proxy-protocol.ts'

const BACKLOG = 4096
const KEEPALIVE_DELAY_MS = 60_000

/** How a listener accepts. */
export interface AcceptorOptions {
  readonly address: Address
  /** Connections beyond this are closed at once. */
  readonly maxConnections: number
  readonly proxyProtocol: ProxyProtocolMode
  /** Milliseconds for the PROXY header. */
  readonly headerTimeoutMs: number
}

/** Who makes codecs for accepted connections. */
export interface AcceptorOwner {
  createCodec(connection: Connection): Codec
  /** A connection was closed at once because there are too many. */
  onRefused(): void
  /** Accepting failed for a while (no file descriptors …); listening goes on. */
  onAcceptError(error: Error): void
}

/** See the file's head. One per listener. */
export class Acceptor implements ConnectionOwner {
  readonly connections = new Set<Connection>()
  #options: AcceptorOptions
  #owner: AcceptorOwner
  readonly #context: NetContext
  readonly #server: net.Server

  constructor(options: AcceptorOptions, owner: AcceptorOwner, context: NetContext) {
    this.#options = options
    this.#owner = owner
    this.#context = context
    this.#server = net.createServer(
      {
        pauseOnConnect: true,
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
      },
      (socket) => this.#onAccepted(socket),
    )
  }

  /** Changes the limits for connections to come; the address stays. */
  update(options: AcceptorOptions): void {
    this.#options = options
  }

  /** From now on connections are `owner`'s; those that are there stay with the codecs they have. */
  handTo(owner: AcceptorOwner): void {
    this.#owner = owner
  }

  /** The address in use, with the real port where port 0 was asked for. */
  get address(): string {
    const bound = this.#server.address()
    if (bound === null) return formatAddress(this.#options.address)
    if (typeof bound === 'string') return `unix:${bound}`
    return formatHostPort(bound.address, bound.port)
  }

  /** Binds and listens. Rejects with a message that names the address and the remedy. */
  async listen(): Promise<void> {
    await probeAdoption()
    const address = this.#options.address
    if (address.kind === 'unix') await removeStaleSocket(address.path)
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(listenError(error, address))
      this.#server.once('error', onError)
      this.#server.listen({ ...listenTarget(address), backlog: BACKLOG }, () => {
        this.#server.off('error', onError)
        this.#server.on('error', (error) => this.#owner.onAcceptError(error))
        resolve()
      })
    })
  }

  /** Stops accepting; what is connected goes on. */
  stop(): void {
    this.#server.close()
  }

  onConnectionClosed(connection: Connection): void {
    this.connections.delete(connection)
  }

  #onAccepted(accepted: net.Socket): void {
    if (this.connections.size >= this.#options.maxConnections) {
      accepted.destroy()
      this.#owner.onRefused()
      return
    }
    const socket = adopt(accepted, ON_READ)
    const connection = new Connection(socket, this.#context, this)
    this.connections.add(connection)
    const { proxyProtocol, headerTimeoutMs } = this.#options
    const codec =
      proxyProtocol === 'off'
        ? this.#owner.createCodec(connection)
        : new ProxyProtocolCodec(connection, proxyProtocol, headerTimeoutMs, () =>
            this.#owner.createCodec(connection),
          )
    connection.start(codec, socket !== accepted)
  }
}

/** An address as `server.listen` takes it. */
export function listenTarget(address: Address): net.ListenOptions {
  if (address.kind === 'unix') return { path: address.path }
  return address.host === '' ? { port: address.port } : { port: address.port, host: address.host }
}

/** A socket file that nobody listens on is left over from a process that died and is removed; one that answers is in use and stays. */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await fs.stat(path).catch(() => null)
  if (found === null || !found.isSocket()) return
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = net.connect(path, () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', () => resolve(false))
  })
  if (!isAlive) await fs.unlink(path).catch(() => undefined)
}

/** The error that tells why an address cannot be had, and the remedy. */
export function listenError(error: NodeJS.ErrnoException, address: Address): Error {
  const where = formatAddress(address)
  const why: Record<string, string> = {
    EADDRINUSE: 'the address is in use: stop the other process or choose another address',
    EACCES: 'permission denied: choose a port above 1023 or grant the right to bind',
    EEXIST: 'a file is in the way: remove it or choose another path',
    EADDRNOTAVAIL: 'no interface of this machine has that address',
    ENOENT: 'the folder of the socket does not exist',
    ...(address.kind === 'unix' ? { EINVAL: 'the path of a socket may have 107 bytes at most' } : {}),
    ENOTFOUND: 'the host name does not resolve',
  }
  return new Error(`cannot listen on ${where}: ${why[error.code ?? ''] ?? error.message}`, { cause: error })
}
