/** The other end of a connection. */
import type { PeerInfo } from '../core/codec.ts'

/** Told when a peer's connection is closed. */
export interface PeerWatcher {
  onPeerGone(): void
}

/** See {@link PeerInfo}. One object per connection, so that it stands for the connection where the socket must not be seen. */
export class Peer implements PeerInfo {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string
  readonly localPort: number
  /** Most connections have none. */
  #watchers: Set<PeerWatcher> | null = null

  constructor(remoteAddress: string, remotePort: number, localAddress: string, localPort: number) {
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
    this.localAddress = localAddress
    this.localPort = localPort
  }

  /** `watcher` is told once; not at all when the connection is closed already. */
  watch(watcher: PeerWatcher): void {
    this.#watchers ??= new Set()
    this.#watchers.add(watcher)
  }

  unwatch(watcher: PeerWatcher): void {
    this.#watchers?.delete(watcher)
  }

  /** Called by the connection when it is closed. */
  onClose(): void {
    const watchers = this.#watchers
    if (watchers === null) return
    this.#watchers = null
    for (const watcher of watchers) watcher.onPeerGone()
  }
}
