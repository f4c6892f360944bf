/**
 * Accepted sockets with pooled reads. Node offers `onread` for dialled sockets only; an accepted one is taken over
 * through its handle, which is private to Node. That use is confined to this file, tested once at start
 * (`canAdopt`), and without it reads fall back to `'data'` events.
 */
import net from 'node:net'

/** Node's option for reading into memory of ours. */
export interface OnRead {
  readonly buffer: () => Buffer
  readonly callback: (bytesRead: number, buffer: Buffer) => boolean
}

interface HandleOwner {
  _handle: object | null
}

const SOCKET_OPTIONS = { allowHalfOpen: true, readableHighWaterMark: 65_536, writableHighWaterMark: 65_536 }

/** On loopback one byte takes no time; without it the trick does not work. */
const PROBE_TIMEOUT_MS = 1000

let adoptable: boolean | null = null

/** Tries the trick on a real loopback connection; the answer is found once. Call it before the first `adopt`. */
export async function probeAdoption(): Promise<boolean> {
  adoptable ??= process.env.MESHGATE_POOLED_READS !== 'off' && (await tryAdoption())
  return adoptable
}

/** Takes over an accepted socket (made with `pauseOnConnect`). Returns a socket that reads through `onRead`, or the same one when that is not possible. */
export function adopt(accepted: net.Socket, onRead: OnRead): net.Socket {
  if (adoptable !== true) return accepted
  const owner = accepted as unknown as HandleOwner
  const handle = owner._handle
  if (handle === null || handle === undefined) return accepted
  owner._handle = null
  // Closes nothing any more, but gives back the place in the server's count of connections.
  accepted.destroy()
  const options = { ...SOCKET_OPTIONS, handle, onread: onRead }
  return new net.Socket(options as unknown as net.SocketConstructorOpts)
}

/** One byte through an adopted socket, or false. Never throws: a runtime that behaves otherwise is served without the trick. */
function tryAdoption(): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (works: boolean, ...sockets: net.Socket[]): void => {
      clearTimeout(timeout)
      for (const socket of sockets) socket.destroy()
      server.close()
      resolve(works)
    }
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
      try {
        adoptable = true
        const adopted = adopt(accepted, {
          buffer: () => Buffer.alloc(8),
          callback: (bytesRead, buffer) => {
            finish(bytesRead === 1 && buffer[0] === 0x2a, adopted, client)
            return true
          },
        })
        adopted.on('error', () => finish(false, adopted, client))
      } catch {
        finish(false, accepted, client)
      }
    })
    const client = new net.Socket()
    const timeout = setTimeout(() => finish(false, client), PROBE_TIMEOUT_MS)
    client.on('error', () => finish(false, client))
    server.on('error', () => finish(false))
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      client.connect(port, '127.0.0.1', () => client.write(Buffer.of(0x2a)))
    })
  })
}
