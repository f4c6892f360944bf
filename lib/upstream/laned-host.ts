/** One resolved address of an endpoint, with connections that no two callers share. */
import type { PeerInfo, UpstreamStream } from '../core/codec.ts'
import type { GatewayError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { ProtocolName } from '../core/message.ts'
import { type Address, formatAddress } from '../net/address.ts'
import type { Connection } from '../net/connection.ts'
import type { DialFailure, Dialling } from '../net/dial.ts'
import { Peer, type PeerWatcher } from '../net/peer.ts'
import { CoolDown } from './cool-down.ts'
import { Host, type HostContext } from './host.ts'

/** What a laned host takes from its cluster. */
export interface LanedHostContext extends HostContext {
  readonly protocolName: ProtocolName
}

/** The connections of one caller. */
class Lane extends Host implements PeerWatcher {
  /** Null for everybody whose requests are translated. */
  readonly peer: PeerInfo | null
  readonly #owner: LanedHost

  constructor(peer: PeerInfo | null, owner: LanedHost, context: HostContext, coolDown: CoolDown) {
    super(owner.address, owner.weight, context, coolDown)
    this.peer = peer
    this.#owner = owner
  }

  protected override get spare(): number {
    return this.#owner.spare
  }

  override onConnectionClosed(connection: Connection): void {
    super.onConnectionClosed(connection)
    this.#owner.onRoom(this)
  }

  override onDialFailed(reason: DialFailure, cause: Error, dialling: Dialling): void {
    super.onDialFailed(reason, cause, dialling)
    this.#owner.onRoom(this)
  }

  onPeerGone(): void {
    this.#owner.onPeerGone(this)
  }
}

/**
 * A {@link Host} for every caller's connection. Requests of another protocol than the cluster's are meshgate's own calls, whoever
 * asked for them, and share one. The hosts share the limit of connections and what is known of the address.
 */
export class LanedHost {
  readonly address: Address
  /** See {@link Host.name}. */
  readonly name: string
  weight: number
  readonly #context: LanedHostContext
  readonly #coolDown = new CoolDown()
  readonly #lanes = new Map<PeerInfo | null, Lane>()
  /** Those whose caller is gone and whose connections are not all closed yet. */
  readonly #leaving = new Set<Lane>()

  constructor(address: Address, weight: number, context: LanedHostContext) {
    this.address = address
    this.name = formatAddress(address)
    this.weight = weight
    this.#context = context
  }

  /** False while connecting fails. */
  get isUsable(): boolean {
    return !this.#coolDown.isOn(this.#context.net.loop)
  }

  /** See {@link Host.active}. */
  get active(): number {
    return this.#sum((lane) => lane.active)
  }

  /** Exchanges that wait for a connection. */
  get queued(): number {
    return this.#sum((lane) => lane.queued)
  }

  /** Connections that could not be opened, ever. */
  get connectFailures(): number {
    return this.#coolDown.failures
  }

  /** The connections of all lanes. */
  get connections(): Host['connections'] {
    return new Map(this.#all().flatMap((lane) => [...lane.connections]))
  }

  /** Connections that may be opened beside those that are. */
  get spare(): number {
    return this.#context.maxConnections - this.#sum((lane) => lane.taken)
  }

  /** See `Destination.open`. */
  open(exchange: Exchange): UpstreamStream | GatewayError | null {
    const isOwn = exchange.request.protocol === this.#context.protocolName
    return this.#laneOf(isOwn ? exchange.peer : null).open(exchange)
  }

  /** See {@link Host.abandon}. */
  abandon(exchange: Exchange): boolean {
    return this.#all().some((lane) => lane.abandon(exchange))
  }

  /** See {@link Host.close}. */
  close(): void {
    for (const lane of this.#all()) lane.close()
  }

  /** Closes every connection now. */
  destroy(): void {
    for (const lane of this.#all()) lane.destroy()
  }

  /** Told by a lane that has a connection less: others may wait for its place, and an empty one is forgotten. */
  onRoom(lane: Lane): void {
    if (lane.taken === 0 && lane.queued === 0) {
      this.#leaving.delete(lane)
      if (this.#lanes.get(lane.peer) === lane) this.#forget(lane)
    }
    for (const other of this.#lanes.values()) if (other.queued > 0) other.dialIfNeeded()
  }

  /** Told by a lane whose caller closed its connection: nobody else may use what it leaves. */
  onPeerGone(lane: Lane): void {
    // One-way requests may still wait; their connection goes when it was idle for long enough.
    if (this.#lanes.get(lane.peer) !== lane || lane.queued > 0) return
    this.#forget(lane)
    if (lane.taken > 0) this.#leaving.add(lane)
    lane.close()
  }

  #laneOf(peer: PeerInfo | null): Lane {
    let lane = this.#lanes.get(peer)
    if (lane === undefined) {
      lane = new Lane(peer, this, this.#context, this.#coolDown)
      this.#lanes.set(peer, lane)
      if (peer instanceof Peer) peer.watch(lane)
    }
    return lane
  }

  #forget(lane: Lane): void {
    this.#lanes.delete(lane.peer)
    if (lane.peer instanceof Peer) lane.peer.unwatch(lane)
  }

  #all(): Lane[] {
    return [...this.#lanes.values(), ...this.#leaving]
  }

  #sum(read: (lane: Lane) => number): number {
    let total = 0
    for (const lane of this.#lanes.values()) total += read(lane)
    for (const lane of this.#leaving) total += read(lane)
    return total
  }
}
