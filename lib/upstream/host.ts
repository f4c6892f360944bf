/** One resolved address of an endpoint and the connections to it. */

import { Queue } from '../buffer/queue.ts'
import type { ClientCodec, ClientOwner, UpstreamHandler, UpstreamStream } from '../core/codec.ts'
import { GatewayError } from '../core/errors.ts'
import { type Exchange, ExchangeState } from '../core/exchange.ts'
import type { TimerEntry } from '../core/services.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { Connection, ConnectionOwner, NetContext } from '../net/connection.ts'
import { type DialFailure, type Dialler, type Dialling, dial, isPooledDial } from '../net/dial.ts'
import { CoolDown } from './cool-down.ts'

/** What a connection has to offer. */
const Room = {
  /** Nothing yet: it was never ready. Mmtp waits for the greeting. */
  Opening: 0,
  None: 1,
  /** It is in `#ready`. */
  Ready: 2,
} as const
type Room = (typeof Room)[keyof typeof Room]

/** What a host takes from its cluster. Shared by all hosts of a cluster. */
export interface HostContext {
  readonly net: NetContext
  readonly handler: UpstreamHandler
  readonly isMultiplexed: boolean
  readonly connectTimeoutMs: number
  /** How long an exchange may wait for a connection; 0 is as long as its own deadline. */
  readonly queueTimeoutMs: number
  /** Connections at most; multiplexed protocols open `sharedConnections` before they queue. */
  readonly maxConnections: number
  readonly sharedConnections: number
  createCodec(connection: Connection, owner: ClientOwner): ClientCodec
  /** True when one more exchange may wait. */
  mayQueue(): boolean
  /** Exchanges that wait changed by `change`. */
  onQueued(change: number): void
}

/** An exchange in the queue. */
interface Waiting {
  readonly exchange: Exchange
  readonly sinceMs: number
}

/** Connections to one address: those with room, those under way, and the exchanges that wait for one. */
export class Host implements ClientOwner, ConnectionOwner, Dialler, TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly address: Address
  /** The address as text: what `exchange.endpoint` and the logs show. */
  readonly name: string
  weight: number
  readonly connections = new Map<Connection, ClientCodec>()
  readonly #context: HostContext
  /** Open codecs. */
  readonly #codecs = new Map<ClientCodec, Room>()
  /** Codecs with room for a stream; used as a stack, so that surplus connections grow idle and close. */
  readonly #ready: ClientCodec[] = []
  readonly #waiting = new Queue<Waiting>()
  readonly #dials = new Set<Dialling>()
  readonly #coolDown: CoolDown
  #isClosed = false

  /** Hosts of one address may share a `coolDown`. */
  constructor(address: Address, weight: number, context: HostContext, coolDown: CoolDown = new CoolDown()) {
    this.address = address
    this.name = formatAddress(address)
    this.weight = weight
    this.#context = context
    this.#coolDown = coolDown
  }

  /** False while connecting fails. */
  get isUsable(): boolean {
    return !this.#coolDown.isOn(this.#context.net.loop)
  }

  /** Connections that could not be opened, ever. */
  get connectFailures(): number {
    return this.#coolDown.failures
  }

  /** Connections and those under way. */
  get taken(): number {
    return this.connections.size + this.#dials.size
  }

  /** Connections that may be opened beside those that are. */
  protected get spare(): number {
    return this.#context.maxConnections - this.taken
  }

  /** Exchanges that run here or wait for a connection. */
  get active(): number {
    if (!this.#context.isMultiplexed) return this.#codecs.size - this.#ready.length + this.#waiting.length
    let streams = this.#waiting.length
    for (const codec of this.#codecs.keys()) streams += codec.activeStreams
    return streams
  }

  /** Exchanges that wait for a connection. */
  get queued(): number {
    return this.#waiting.length
  }

  /** See `Destination.open`. */
  open(exchange: Exchange): UpstreamStream | GatewayError | null {
    exchange.endpoint = this.name
    const codec = this.#takeReady()
    if (codec !== null) return codec.open(exchange)
    if (!this.#context.mayQueue() && !this.#mayDial())
      return new GatewayError('UPSTREAM_OVERFLOW', `${this.name}: the queue is full`)
    if (this.#isClosed) return new GatewayError('NO_ENDPOINT', `${this.name} was removed`)
    this.#enqueue(exchange)
    this.dialIfNeeded()
    return null
  }

  /** Takes an exchange out of the queue; false when it does not wait here. */
  abandon(exchange: Exchange): boolean {
    if (!this.#waiting.remove((waiting) => waiting.exchange === exchange)) return false
    this.#onDequeued()
    return true
  }

  /** The exchange at the head of the queue has waited long enough. */
  onTimer(): void {
    const { queueTimeoutMs, net } = this.#context
    const since = net.loop.now() - queueTimeoutMs
    while ((this.#waiting.peek()?.sinceMs ?? Infinity) <= since) {
      this.#failWaiting(
        new GatewayError('UPSTREAM_OVERFLOW', `${this.name}: no connection within ${queueTimeoutMs} ms`),
        1,
      )
    }
    const next = this.#waiting.peek()
    if (next !== undefined) net.loop.schedule(this, next.sinceMs - since)
  }

  #enqueue(exchange: Exchange): void {
    const { queueTimeoutMs, net } = this.#context
    this.#waiting.push({ exchange, sinceMs: net.loop.now() })
    this.#context.onQueued(1)
    if (queueTimeoutMs > 0 && this.timerAt === 0) net.loop.schedule(this, queueTimeoutMs)
  }

  #onDequeued(): void {
    this.#context.onQueued(-1)
    if (this.#waiting.length === 0) this.#context.net.loop.cancel(this)
  }

  /** Opens no more connections; those that exist close when their exchanges are over. */
  close(): void {
    this.#isClosed = true
    for (const dialling of this.#dials) dialling.abort()
    this.#dials.clear()
    // A connect failure, because another host of the cluster may serve them.
    this.#failWaiting(new GatewayError('UPSTREAM_CONNECT_FAILED', `${this.name} was removed`), Infinity)
    for (const codec of [...this.#codecs.keys()]) codec.drain()
  }

  /** Closes every connection now. */
  destroy(): void {
    this.close()
    for (const connection of [...this.connections.keys()]) connection.destroy()
  }

  onCapacity(codec: ClientCodec): void {
    const room = this.#codecs.get(codec)
    if (room === undefined) return
    if (codec.capacity === 0 || !codec.isReusable) {
      if (room === Room.Ready) this.#unready(codec)
      if (codec.isReusable) return
      if (room === Room.Opening) {
        this.#codecs.set(codec, Room.None)
        this.#failOpened()
      } else this.dialIfNeeded()
      return
    }
    if (room !== Room.Ready) {
      if (room === Room.Opening) this.#coolDown.onConnected()
      this.#codecs.set(codec, Room.Ready)
      this.#ready.push(codec)
    }
    if (this.#waiting.length > 0) this.#serveWaiting()
  }

  onDialled(connection: Connection, dialling: Dialling): void {
    this.#dials.delete(dialling)
    const codec = this.#context.createCodec(connection, this)
    this.connections.set(connection, codec)
    this.#codecs.set(codec, Room.Opening)
    connection.start(codec, isPooledDial)
    this.onCapacity(codec)
  }

  onDialFailed(reason: DialFailure, cause: Error, dialling: Dialling): void {
    this.#dials.delete(dialling)
    const code = reason === 'timeout' ? 'UPSTREAM_CONNECT_TIMEOUT' : 'UPSTREAM_CONNECT_FAILED'
    this.#failConnecting(new GatewayError(code, `${this.name}: ${cause.message}`, cause))
  }

  /** A connection that ends before it could be used is as good as none: nothing was sent on it. */
  #failOpened(): void {
    if (this.#isClosed) return
    const detail = `${this.name}: the connection was closed before it could be used`
    this.#failConnecting(new GatewayError('UPSTREAM_CONNECT_FAILED', detail))
  }

  #failConnecting(error: GatewayError): void {
    this.#coolDown.onFailed(this.#context.net.loop.now())
    // While other connections live the rest of the queue will be served by them; not by a shared one that drains.
    const serving = this.#context.isMultiplexed ? this.#reusable() : this.connections.size
    this.#failWaiting(error, serving > 0 || this.#dials.size > 0 ? 1 : Infinity)
  }

  onConnectionClosed(connection: Connection): void {
    const codec = this.connections.get(connection)
    this.connections.delete(connection)
    if (codec === undefined) return
    const room = this.#codecs.get(codec)
    if (room === Room.Ready) this.#unready(codec)
    this.#codecs.delete(codec)
    if (room === Room.Opening) this.#failOpened()
    this.dialIfNeeded()
  }

  #unready(codec: ClientCodec): void {
    this.#codecs.set(codec, Room.None)
    this.#ready.splice(this.#ready.indexOf(codec), 1)
  }

  #takeReady(): ClientCodec | null {
    const ready = this.#ready
    while (ready.length > 0) {
      const codec = ready[ready.length - 1] as ClientCodec
      if (codec.capacity === 0 || !codec.isReusable) {
        this.#unready(codec)
        continue
      }
      if (!this.#context.isMultiplexed) {
        ready.pop()
        this.#codecs.set(codec, Room.None)
      } else if (ready.length > 1) ready.unshift(ready.pop() as ClientCodec)
      return codec
    }
    return null
  }

  #serveWaiting(): void {
    while (this.#waiting.length > 0) {
      const codec = this.#takeReady()
      if (codec === null) return
      const { exchange } = this.#waiting.shift() as Waiting
      this.#onDequeued()
      if (exchange.state !== ExchangeState.Connecting) continue
      this.#context.handler.onUpstreamReady(exchange, codec.open(exchange))
    }
  }

  /** Every waiting exchange has a dial under way, as far as the limits go; a shared connection serves all of them. */
  dialIfNeeded(): void {
    if (this.#isClosed || this.#waiting.length === 0) return
    const { isMultiplexed, sharedConnections } = this.#context
    const dials = this.#dials.size
    const wanted = isMultiplexed ? sharedConnections - this.#reusable() - dials : this.#waiting.length - dials
    for (let count = Math.min(wanted, this.spare); count > 0; count--) {
      const { connectTimeoutMs, net } = this.#context
      this.#dials.add(dial(this.address, connectTimeoutMs, net, this, this))
    }
  }

  /** True when a connection could be opened for one exchange more: to wait for it is not to wait for a free one. */
  #mayDial(): boolean {
    if (this.#isClosed || this.spare <= 0) return false
    const { isMultiplexed, sharedConnections } = this.#context
    return !isMultiplexed || this.#reusable() + this.#dials.size < sharedConnections
  }

  /** Connections that may still open streams; one that drains does not count. */
  #reusable(): number {
    let count = 0
    for (const codec of this.#codecs.keys()) if (codec.isReusable) count++
    return count
  }

  /** Fails the first `count` that wait now. One that is repeated here in the same call is not failed again. */
  #failWaiting(error: GatewayError, count: number): void {
    for (let left = Math.min(count, this.#waiting.length); left > 0 && this.#waiting.length > 0; left--) {
      const { exchange } = this.#waiting.shift() as Waiting
      this.#onDequeued()
      this.#context.handler.onUpstreamFailed(exchange, error)
    }
  }
}
