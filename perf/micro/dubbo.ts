// What the Dubbo codec costs for one exchange that is passed on: nanoseconds of CPU for both directions through a server and
// a client codec, without sockets. Frames come in reads of 16, as they do from a busy connection.
//
//   node perf/micro/dubbo.ts [exchanges]
import { readFileSync } from 'node:fs'
import type { Wire } from '../../lib/core/codec.ts'
import { type Exchange, ExchangeState, type ListenerInfo } from '../../lib/core/exchange.ts'
import type { ResponseHead } from '../../lib/core/message.ts'
import { DubboClient } from '../../lib/protocols/dubbo/client.ts'
import { DubboServer } from '../../lib/protocols/dubbo/server.ts'

const FOLDER = new URL('../../test/vectors/dubbo/', import.meta.url)
const READ = 16

/** Keeps what was written since it was last asked. */
class BatchWire implements Wire {
  position = 0
  peer = { remoteAddress: '127.0.0.1', remotePort: 1, localAddress: '127.0.0.1', localPort: 2 }
  isWritable = true
  queuedBytes = 0
  readonly bytes = Buffer.alloc(256 * 1024)

  reserve(): Buffer {
    return this.bytes
  }
  write(bytes: Buffer, offset: number, end: number): void {
    this.position += bytes.copy(this.bytes, this.position, offset, end)
  }
  lend(bytes: Buffer, offset: number, end: number): void {
    this.write(bytes, offset, end)
  }
  pauseRead(): void {}
  resumeRead(): void {}
  end(): void {}
  close(): void {
    throw new Error('the connection was closed')
  }
  destroy(): void {}
  setTimer(): void {}
  now(): number {
    return 1000
  }
}

/** The least that a dispatcher does. */
class Relay {
  readonly down = new BatchWire()
  readonly up = new BatchWire()
  readonly server: DubboServer
  readonly client: DubboClient
  readonly filter: ((exchange: Exchange) => void) | null

  constructor(filter: ((exchange: Exchange) => void) | null) {
    this.filter = filter
    const limits = {
      maxHeadBytes: 65536,
      maxHeaders: 100,
      maxBodyBytes: 0,
      maxFrameBytes: 8 << 20,
      idleTimeoutMs: 0,
    }
    const context = {
      listener: { name: 'in', trusted: true } as ListenerInfo,
      timeouts: { onExchangeTimer() {} },
    }
    const options = {
      ...limits,
      maxStreams: 1024,
      cell: '',
      maxUriBytes: 16384,
      headerTimeoutMs: 0,
      forwarded: 'off' as const,
      operationPath: '',
      trusted: true,
      boltGoAway: false,
    }
    this.server = new DubboServer(this.down, options, this, context)
    this.client = new DubboClient(
      this.up,
      { ...limits, maxStreams: 1024, maxRequests: 0, cell: '', heartbeatMs: 0, app: '' },
      this,
      this,
    )
  }

  onCapacity(): void {}
  onRequest(exchange: Exchange, last: boolean): void {
    this.filter?.(exchange)
    exchange.state = ExchangeState.Awaiting
    exchange.upstream = this.client.open(exchange)
    exchange.upstream.sendRequest(exchange.request, last)
  }
  onRequestBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    exchange.upstream?.sendBody(bytes, offset, end, last)
  }
  onResponse(exchange: Exchange, response: ResponseHead, last: boolean): void {
    exchange.response = response
    exchange.downstream.sendResponse(response, last)
  }
  onResponseBody(exchange: Exchange, bytes: Buffer, offset: number, end: number, last: boolean): void {
    exchange.downstream.sendBody(bytes, offset, end, last)
    exchange.state = ExchangeState.Finished
    exchange.request.release()
    exchange.response?.release()
    exchange.downstream.finish()
  }
  onRequestTrailers(): void {}
  onDownstreamDrain(): void {}
  onDownstreamFailed(): void {}
  onProtocolError(): void {}
  onUpstreamReady(): void {}
  onInformational(): void {}
  onResponseTrailers(): void {}
  onUpstreamDrain(): void {}
  onUpstreamFailed(): void {}
}

function measure(
  name: string,
  sample: string,
  filter: ((exchange: Exchange) => void) | null,
  count: number,
): void {
  const request = readFileSync(new URL(`${sample}.req.bin`, FOLDER))
  const response = readFileSync(new URL(`${sample}.resp.bin`, FOLDER))
  const relay = new Relay(filter)
  const requests = Buffer.concat(new Array<Buffer>(READ).fill(request))
  const responses = Buffer.concat(new Array<Buffer>(READ).fill(response))
  let id = 1
  const round = (): void => {
    relay.up.position = 0
    relay.down.position = 0
    relay.server.onBytes(requests, 0, requests.length)
    for (let i = 0; i < READ; i++, id += 2) {
      const at = i * response.length
      responses.fill(0, at + 4, at + 8)
      responses.writeUInt32BE(id, at + 8)
    }
    relay.client.onBytes(responses, 0, responses.length)
    if (relay.server.activeExchanges !== 0) throw new Error('an exchange is left')
  }
  for (let i = 0; i < count / READ / 4; i++) round()
  const start = process.cpuUsage()
  for (let i = 0; i < count / READ; i++) round()
  const { user, system } = process.cpuUsage(start)
  const perExchange = ((user + system) * 1000) / count
  console.log(`${name.padEnd(52)} ${perExchange.toFixed(0).padStart(6)} ns`)
}

/** What filters that read and add trace ids do. */
function trace({ request }: Exchange): void {
  const { headers } = request
  if (headers.get('traceparent') !== null || headers.get('dubbo.rpc.sofa.tracer') !== null) return
  headers.set('dubbo.rpc.sofa.tracer', 'tcid=0a0b0c0d1700000000000100123&spid=0&pspid=&sample=true&')
}

const count = Number(process.argv[2] ?? 400_000)
for (const sample of ['echo', 'fastjson2-echo', 'create']) {
  measure(`${sample}: names only`, sample, ({ request }) => void (request.service + request.method), count)
  measure(
    `${sample}: one attachment read`,
    sample,
    ({ request }) => void request.headers.get('tenant'),
    count,
  )
  measure(`${sample}: trace ids read and added`, sample, trace, count)
}
