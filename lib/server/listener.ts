/** Accepts connections on one address and gives each the codec of the listener's protocol. */
import type { Codec, DownstreamHandler, ServerCodec, ServerCodecOptions } from '../core/codec.ts'
import type { ExchangeTimeouts, ListenerInfo } from '../core/exchange.ts'
import type { Logger, ScopeStats } from '../core/services.ts'
import { Acceptor, type AcceptorOptions, type AcceptorOwner } from '../net/acceptor.ts'
import type { Connection, NetContext } from '../net/connection.ts'
import type { ServerProtocol } from '../protocols/index.ts'

/** What a listener is made of. */
export interface ListenerOptions {
  readonly name: string
  readonly protocol: ServerProtocol
  readonly acceptor: AcceptorOptions
  readonly codec: ServerCodecOptions
}

/** What a listener takes from the gateway. */
export interface ListenerServices {
  readonly net: NetContext
  readonly handler: DownstreamHandler & ExchangeTimeouts
  readonly stats: ScopeStats
  readonly log: Logger
}

/** See the file's head. Its options may change; its name, address and protocol may not. */
export class Listener implements AcceptorOwner, ListenerInfo {
  readonly name: string
  readonly stats: ScopeStats
  /** Connections closed at once because there were too many. */
  refused = 0
  readonly #services: ListenerServices
  /** The bound socket; another listener may take it over. */
  readonly acceptor: Acceptor
  #options: ListenerOptions
  /** Grace in milliseconds once the drain has begun, else null. */
  #drainGraceMs: number | null = null
  #lastAcceptErrorMs = Number.NEGATIVE_INFINITY

  /** With the `acceptor` of another listener it becomes that one's heir: see {@link Listener.takeOver}. */
  constructor(options: ListenerOptions, services: ListenerServices, acceptor?: Acceptor) {
    this.name = options.name
    this.stats = services.stats
    this.#options = options
    this.#services = services
    this.acceptor = acceptor ?? new Acceptor(options.acceptor, this, services.net)
  }

  get options(): ListenerOptions {
    return this.#options
  }

  get trusted(): boolean {
    return this.#options.codec.trusted
  }

  get protocol(): string {
    return this.#options.protocol.name
  }

  get address(): string {
    return this.acceptor.address
  }

  get connections(): ReadonlySet<Connection> {
    return this.acceptor.connections
  }

  /** Binds; rejects with a message that names the address. */
  listen(): Promise<void> {
    return this.acceptor.listen()
  }

  /** Has the connections to come of an inherited socket; the ones that are there go on as they are. */
  takeOver(): void {
    this.acceptor.handTo(this)
  }

  /** Takes other limits for connections to come. */
  update(options: ListenerOptions): void {
    this.#options = options
    this.acceptor.update(options.acceptor)
  }

  /** Tells every peer to go elsewhere; connections end with their exchanges, at the latest after `graceMs`. Listening goes on until {@link Listener.stop}. */
  drain(graceMs: number): void {
    this.#drainGraceMs = graceMs
    for (const connection of [...this.connections]) drainConnection(connection, graceMs)
  }

  /** Stops accepting. */
  stop(): void {
    this.acceptor.stop()
  }

  /** Closes every connection now. */
  destroy(): void {
    this.stop()
    for (const connection of [...this.connections]) connection.destroy()
  }

  createCodec(connection: Connection): Codec {
    const { protocol, codec } = this.#options
    const { handler } = this.#services
    const server = protocol.createServer(connection, codec, handler, { listener: this, timeouts: handler })
    if (this.#drainGraceMs !== null) server.drain(this.#drainGraceMs)
    return server
  }

  onRefused(): void {
    this.refused++
  }

  onAcceptError(error: Error): void {
    // While descriptors are short this comes with every attempt: once a second is enough for the log.
    const now = this.#services.net.loop.now()
    if (now - this.#lastAcceptErrorMs < 1000) return
    this.#lastAcceptErrorMs = now
    this.#services.log.error({ listener: this.name, err: error }, 'cannot accept connections')
  }
}

function drainConnection(connection: Connection, graceMs: number): void {
  const codec = connection.codec as Partial<ServerCodec> | null
  codec?.drain?.(graceMs)
}
