/** Two protocols of lines for the tests of clusters: one exchange at a time, and many at once. */
import net from 'node:net'
import type {
  ClientCodec,
  ClientCodecOptions,
  ClientOwner,
  Protocol,
  UpstreamHandler,
  UpstreamStream,
  Wire,
} from '../../lib/core/codec.ts'
import { GatewayError } from '../../lib/core/errors.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import { responseOf } from '../server/support.ts'

/** One stream: a line out, a line back. A line is `id path`; the answer is `id`. */
class LineStream implements UpstreamStream {
  readonly isWritable = true
  readonly isReused: boolean
  readonly id: number
  readonly exchange: Exchange
  readonly #codec: LineClient

  constructor(codec: LineClient, id: number, exchange: Exchange) {
    this.#codec = codec
    this.id = id
    this.isReused = id > 1
    this.exchange = exchange
  }

  sendRequest(): void {
    this.#codec.send(`${this.id} ${this.exchange.request.path}\n`)
  }

  sendBody(): void {}
  sendTrailers(): void {}
  pause(): void {}
  resume(): void {}

  cancel(): void {
    this.#codec.cancelled(this)
  }
}

/** See the file's head. */
export class LineClient implements ClientCodec {
  isReusable = true
  readonly wire: Wire
  readonly #streams = new Map<number, LineStream>()
  readonly #limit: number
  readonly #handler: UpstreamHandler
  readonly #owner: ClientOwner
  #lastId = 0
  #line = ''

  constructor(wire: Wire, limit: number, handler: UpstreamHandler, owner: ClientOwner) {
    this.wire = wire
    this.#limit = limit
    this.#handler = handler
    this.#owner = owner
  }

  get capacity(): number {
    return this.isReusable ? this.#limit - this.#streams.size : 0
  }

  get activeStreams(): number {
    return this.#streams.size
  }

  open(exchange: Exchange): UpstreamStream {
    if (this.capacity <= 0) throw new Error('a stream was opened without capacity')
    const stream = new LineStream(this, ++this.#lastId, exchange)
    this.#streams.set(stream.id, stream)
    return stream
  }

  send(line: string): void {
    this.wire.write(Buffer.from(line), 0, line.length)
  }

  cancelled(stream: LineStream): void {
    if (!this.#streams.delete(stream.id)) return
    if (this.#limit === 1) {
      this.isReusable = false
      this.wire.destroy()
    }
    this.#owner.onCapacity(this)
  }

  drain(): void {
    this.isReusable = false
    this.#closeIfDone()
  }

  onBytes(bytes: Buffer, offset: number, end: number): void {
    this.#line += bytes.latin1Slice(offset, end)
    const lines = this.#line.split('\n')
    this.#line = lines.pop() as string
    for (const line of lines) this.#onLine(line)
  }

  #onLine(line: string): void {
    if (line === 'goaway') {
      this.isReusable = false
      this.#owner.onCapacity(this)
      this.#closeIfDone()
      return
    }
    const stream = this.#streams.get(Number(line))
    if (stream === undefined) return
    this.#streams.delete(stream.id)
    this.#handler.onResponse(stream.exchange, responseOf(200), true)
    this.#closeIfDone()
    this.#owner.onCapacity(this)
  }

  #closeIfDone(): void {
    if (!this.isReusable && this.#streams.size === 0) this.wire.close()
  }

  onEnd(): void {
    this.#fail()
    this.wire.close()
  }

  onClose(): void {
    this.#fail()
  }

  #fail(): void {
    this.isReusable = false
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const { exchange } of streams) {
      this.#handler.onUpstreamFailed(exchange, new GatewayError('UPSTREAM_RESET', 'the line went dead'))
    }
    this.#owner.onCapacity(this)
  }

  onDrain(): void {}
  onTimer(): void {}
}

/** The protocol; `limit` streams a connection. */
export function lineProtocol(limit: number): Protocol {
  return {
    name: 'http1',
    isMultiplexed: limit > 1,
    createServer: () => {
      throw new Error('this protocol only dials')
    },
    createClient: (wire: Wire, _options: ClientCodecOptions, handler: UpstreamHandler, owner: ClientOwner) =>
      new LineClient(wire, limit, handler, owner),
    compileCall: null,
  }
}

/** One request as the business process got it. */
export interface LineRequest {
  readonly socket: net.Socket
  readonly id: string
  readonly path: string
}

/** A business process that speaks lines. */
export class LineServer {
  readonly sockets = new Set<net.Socket>()
  readonly requests: LineRequest[] = []
  accepted = 0
  /** What happens with a request; it is answered unless the test says otherwise. */
  onLine: (request: LineRequest) => void = (request) => this.answer(request)
  readonly #server: net.Server

  constructor() {
    this.#server = net.createServer((socket) => {
      this.accepted++
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.sockets.delete(socket))
      let held = ''
      socket.on('data', (chunk: Buffer) => {
        const lines = (held + chunk.toString('latin1')).split('\n')
        held = lines.pop() as string
        for (const line of lines) {
          const [id = '', path = ''] = line.split(' ')
          const request = { socket, id, path }
          this.requests.push(request)
          this.onLine(request)
        }
      })
    })
  }

  answer({ socket, id }: LineRequest): void {
    socket.write(`${id}\n`)
  }

  /** Listens; the port stays the same when it listens again. */
  async listen(port = 0, host = '127.0.0.1'): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    })
    return (this.#server.address() as net.AddressInfo).port
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
