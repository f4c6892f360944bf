/** A port that is bound before its server exists: connections that come meanwhile wait. */
import { chmodSync, rmSync } from 'node:fs'
import net from 'node:net'
import { listenError, listenTarget, removeStaleSocket } from './acceptor.ts'
import { type Address, formatHostPort } from './address.ts'

/** See the file's head. */
export interface HeldPort {
  /** `127.0.0.1:15000`, `[::1]:15000`, or the path of the Unix socket. */
  readonly address: string
  /** The host as configured, null on a Unix socket. */
  readonly host: string | null
  /** Gives the connections that wait, and all to come, to a server that does not listen itself. */
  handTo(server: net.Server): void
  /** Frees the port. */
  close(): void
}

/** Only its own user may open the socket. */
const SOCKET_MODE = 0o600

/** Binds `address`; a Unix socket is closed to other users. `onWaiting` is called for each connection that has to wait. Rejects like `Acceptor.listen`. */
export async function holdPort(address: Address, onWaiting: () => void): Promise<HeldPort> {
  const waiting = new Set<net.Socket>()
  const holder = net.createServer({ pauseOnConnect: true }, (socket) => {
    waiting.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => waiting.delete(socket))
    onWaiting()
  })
  if (address.kind === 'unix') await removeStaleSocket(address.path)
  await new Promise<void>((resolve, reject) => {
    holder.once('error', (error) => reject(listenError(error, address)))
    holder.listen(listenTarget(address), resolve)
  })
  if (address.kind === 'unix') chmodSync(address.path, SOCKET_MODE)
  const bound = holder.address()
  return {
    address:
      bound === null || typeof bound === 'string' ? (bound ?? '') : formatHostPort(bound.address, bound.port),
    host: address.kind === 'unix' ? null : address.host,
    handTo(server) {
      // A server of `node:http` begins to watch its timeouts with this event, which it has when it listens itself.
      server.emit('listening')
      holder.removeAllListeners('connection')
      holder.on('connection', (socket) => pass(socket, server))
      holder.maxConnections = server.maxConnections
      for (const socket of waiting) pass(socket, server)
      waiting.clear()
    },
    close() {
      holder.close()
      for (const socket of waiting) socket.destroy()
      if (address.kind === 'unix') rmSync(address.path, { force: true })
    },
  }
}

function pass(socket: net.Socket, server: net.Server): void {
  socket.removeAllListeners('error')
  server.emit('connection', socket)
  socket.resume()
}
