// What the HTTP/1 codec costs for one exchange: nanoseconds to read a head and to write it again, without sockets.
//
//   node perf/micro/http1-head.ts [exchanges]
import type { Wire } from '../../lib/core/codec.ts'
import type { Exchange, ListenerInfo } from '../../lib/core/exchange.ts'
import { ExchangeState } from '../../lib/core/exchange.ts'
import type { ResponseHead } from '../../lib/core/message.ts'
import { Http1Client } from '../../lib/protocols/http1/client.ts'
import { Http1Server } from '../../lib/protocols/http1/server.ts'

const WRK = 'GET /api/v1/things HTTP/1.1\r\nHost: 127.0.0.1:8190\r\n\r\n'
const BROWSER =
  'GET /api/v1/things?page=2 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n' +
  'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\n' +
  'Upgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) ' +
  'Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n' +
  'Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n' +
  'Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: session=0123456789abcdef; theme=dark\r\n\r\n'
const RESPONSE =
  'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Fri, 20 Nov 2026 18:00:00 GMT\r\nContent-Type: application/json\r\n' +
  'Content-Length: 650\r\nLast-Modified: Fri, 20 Nov 2026 17:00:00 GMT\r\nConnection: keep-alive\r\nETag: "655b9c2a-28a"\r\n' +
  'Accept-Ranges: bytes\r\n\r\n'
const BODY = Buffer.alloc(650, 'x').toString()

/** Takes output and forgets it. */
class NullWire implements Wire {
  position = 0
  peer = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 2 }
  isWritable = true
  queuedBytes = 0
  #out = Buffer.alloc(64 * 1024)

  reserve(length: number): Buffer {
    if (this.position + length > this.#out.length) this.position = 0
    return this.#out
  }

  write(bytes: Buffer, offset: number, end: number): void {
    const out = this.reserve(end - offset)
    bytes.copy(out, this.position, offset, end)
    this.position += end - offset
  }

  lend(bytes: Buffer, offset: number, end: number): void {
    this.write(bytes, offset, end)
  }

  pauseRead(): void {}
  resumeRead(): void {}
  end(): void {}
  close(): void {}
  destroy(): void {
    throw new Error('the connection was destroyed')
  }
  setTimer(): void {}
  now(): number {
    return 0
  }
}

/** The least that a dispatcher does. */
class Relay {
  exchange: Exchange | null = null
  readonly down = new NullWire()
  readonly up = new NullWire()
  readonly server: Http1Server
  readonly client: Http1Client
  added = false

  constructor(forwarded: 'off' | 'append') {
    const limits = {
      maxHeadBytes: 65536,
      maxHeaders: 100,
      maxBodyBytes: 0,
      maxFrameBytes: 0,
      idleTimeoutMs: 0,
      maxStreams: 1,
      cell: '',
    }
    const listener = { name: 'in', trusted: false } as ListenerInfo
    const context = { listener, timeouts: { onExchangeTimer() {} } }
    const options = {
      ...limits,
      maxUriBytes: 16384,
      headerTimeoutMs: 0,
      forwarded,
      operationPath: '/mgw.htm',
      trusted: false,
      boltGoAway: false,
    }
    this.server = new Http1Server(this.down, options, this, context)
    this.client = new Http1Client(this.up, { ...limits, maxRequests: 0, heartbeatMs: 0, app: '' }, this, this)
  }

  onCapacity(): void {}
  onRequest(exchange: Exchange, last: boolean): void {
    this.exchange = exchange
    exchange.state = ExchangeState.Awaiting
    if (this.added) {
      exchange.request.headers.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
      exchange.request.headers.set('x-gateway', 'meshgate')
    }
    exchange.upstream = this.client.open(exchange)
    exchange.upstream.sendRequest(exchange.request, last)
  }
  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void {
    exchange.response = response
    exchange.downstream.sendResponse(response, last)
  }
  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    exchange.downstream.sendBody(bytes, offset, end, last)
    if (!last) return
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    exchange.response?.release()
    exchange.downstream.finish()
  }
  onRequestBody(): void {}
  onRequestTrailers(): void {}
  onDownstreamDrain(): void {}
  onDownstreamFailed(): void {}
  onProtocolError(): void {
    throw new Error('refused')
  }
  onUpstreamReady(): void {}
  onInformational(): void {}
  onResponseTrailers(): void {}
  onUpstreamDrain(): void {}
  onUpstreamFailed(): void {}
}

const ROUNDS = 7
const exchanges = Number(process.argv[2] ?? 100_000)

function measure(name: string, request: string, forwarded: 'off' | 'append', added: boolean): void {
  const relay = new Relay(forwarded)
  relay.added = added
  const requestBytes = Buffer.from(request)
  const responseBytes = Buffer.from(RESPONSE + BODY)
  const { server, client } = relay
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < exchanges; i++) {
      server.onBytes(requestBytes, 0, requestBytes.length)
      client.onBytes(responseBytes, 0, responseBytes.length)
    }
    // CPU time, because the machine may have other work.
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, ((user + system) * 1000) / exchanges)
  }
  console.log(`${name.padEnd(52)} ${best.toFixed(0).padStart(6)} ns`)
}

console.log(
  `reading and writing both heads and forwarding the body, best of ${ROUNDS} rounds of ${exchanges}:`,
)
measure('wrk request, nginx response of 650 B', WRK, 'off', false)
measure('  … with x-forwarded-*', WRK, 'append', false)
measure('  … and two headers set by filters', WRK, 'append', true)
measure('browser request, nginx response of 650 B', BROWSER, 'off', false)
measure('  … with x-forwarded-* and two headers set', BROWSER, 'append', true)
