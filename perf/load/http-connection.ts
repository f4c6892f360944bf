/** One kept-alive HTTP/1.1 client connection with at most one request under way, as small as can be. */
import net from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')

/**
 * All connections read into one buffer: nothing of it is kept, a head that is cut off is copied.
 * 64 KiB is what libuv would read at most anyway.
 */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

/** What a connection tells its owner. */
export interface ConnectionEvents {
  /** A whole answer arrived; `failure` says why it is not a good one, null when it is. */
  onResponse(connection: HttpConnection, failure: string | null): void
  /** The connection is gone. `wasBusy` when an answer was still due. */
  onClose(connection: HttpConnection, wasBusy: boolean, reason: string): void
  onOpen?(connection: HttpConnection): void
}

/** The bytes of the request that is sent over and over: a POST of `body`, a GET when that is empty. */
export function requestBytes(port: number, path: string, body = ''): Buffer {
  const host = `${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`
  if (body === '') return Buffer.from(`GET ${host}\r\n`)
  const length = Buffer.byteLength(body)
  return Buffer.from(`POST ${host}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`)
}

/** A connection; `dueAt` belongs to its owner. */
export class HttpConnection {
  dueAt = 0
  isBusy = false
  #isClosed = false
  #reason = 'the connection was closed'
  /** Bytes of the body still to come, or -1 while a head is awaited. */
  #bodyLeft = -1
  #failure: string | null = null
  #partialHead: Buffer | null = null
  readonly #events: ConnectionEvents
  readonly #socket: net.Socket

  constructor(port: number, events: ConnectionEvents, localAddress?: string) {
    this.#events = events
    this.#socket = net.connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: {
        buffer: readBuffer,
        callback: (length, buffer) => {
          this.#read(buffer as Buffer, length)
          return true
        },
      },
    })
    this.#socket.on('connect', () => events.onOpen?.(this))
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? error.message
    })
    this.#socket.on('end', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      this.#isClosed = true
      events.onClose(this, this.isBusy, this.#reason)
    })
  }

  send(request: Buffer): void {
    this.isBusy = true
    this.#socket.write(request)
  }

  /** Closes without another word to the owner. */
  destroy(): void {
    this.#socket.removeAllListeners('close')
    this.#socket.destroy()
  }

  #read(buffer: Buffer, length: number): void {
    let bytes = buffer
    let end = length
    if (this.#partialHead !== null) {
      bytes = Buffer.concat([this.#partialHead, buffer.subarray(0, length)])
      end = bytes.length
      this.#partialHead = null
    }
    let offset = 0
    while (offset < end && !this.#isClosed) {
      if (this.#bodyLeft < 0) {
        const headEnd = bytes.indexOf(HEAD_END, offset)
        if (headEnd < 0 || headEnd + 4 > end) {
          this.#partialHead = Buffer.from(bytes.subarray(offset, end))
          return
        }
        this.#readHead(bytes.latin1Slice(offset, headEnd))
        offset = headEnd + 4
      }
      const taken = Math.min(this.#bodyLeft, end - offset)
      this.#bodyLeft -= taken
      offset += taken
      if (this.#bodyLeft === 0) this.#complete()
    }
  }

  #readHead(head: string): void {
    const status = head.slice(9, 12)
    this.#failure = status === '200' ? null : `status ${status}`
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) {
      this.#reason = 'the answer has no Content-Length'
      this.#socket.destroy()
    }
    this.#bodyLeft = Number(length ?? 0)
  }

  #complete(): void {
    this.#bodyLeft = -1
    this.isBusy = false
    this.#events.onResponse(this, this.#failure)
  }
}
