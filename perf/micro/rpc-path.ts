/**
 * What one RPC, or one operation that becomes one, costs the gateway without a kernel: a whole gateway with the standard
 * chain, whose sockets are replaced by arrays once its connections stand. Four connections with 64 requests each, as in
 * the scenarios. Several checkouts take turns of a few milliseconds in one process, so that a busy machine slows all of
 * them alike: compare their figures with one another.
 *
 *     node perf/micro/rpc-path.ts bolt|dubbo|mmtp-bolt|mmtp-dubbo [checkout,…] [windows] [in flight]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../../lib/net/connection.ts'
import { gatewayConfig } from '../harness/gateway-config.ts'
import { type LoadProtocol, OPERATION } from '../harness/paths.ts'
import * as bolt from '../load/bolt-frames.ts'
import * as dubbo from '../load/dubbo-frames.ts'
import { type FrameLayout, FrameReader } from '../load/frame-stream.ts'
import {
  helloFrame,
  MMTP_LAYOUT,
  FrameType as MmtpFrameType,
  requestTemplate,
  windowFrame,
} from '../load/mmtp-frames.ts'
import { ORDER_JSON } from '../load/order.ts'

const CONNECTIONS = 4
const WINDOW_MS = 20
const WARM_UP_WINDOWS = 75
const CREDIT_BYTES = 4 * 1024 * 1024
const TEXT_LENGTH = 256
const checkouts = (process.argv[3] ?? join(import.meta.dirname, '../..'))
  .split(',')
  .map((path) => resolve(path))
const windows = Number(process.argv[4] ?? 150)
const inFlight = Number(process.argv[5] ?? 64)

/** One side of a protocol, as this script speaks it. */
interface Side {
  readonly layout: FrameLayout
  /** Where the 4 bytes of an id lie that the answer repeats. */
  readonly idAt: number
  readonly request: Buffer
  readonly answer: Buffer
  isRequest(bytes: Buffer, offset: number): boolean
  isAnswer(bytes: Buffer, offset: number): boolean
}

const [from, to] = (process.argv[2] ?? 'bolt').split('-') as [LoadProtocol, LoadProtocol | undefined]
const path = { downstream: from, upstream: to ?? from }
const payload = to === undefined ? 'text' : 'order'
const sides: Partial<Record<LoadProtocol, Side>> = {
  bolt: {
    layout: bolt.BOLT_LAYOUT,
    idAt: bolt.ID_OFFSET,
    request: bolt.requestFrame(bolt.callOf(payload, TEXT_LENGTH)),
    answer: bolt.responseFrame(bolt.resultOf(payload, TEXT_LENGTH)),
    isRequest: (bytes, offset) => bytes[offset + 1] === bolt.FrameType.REQUEST,
    isAnswer: (bytes, offset) =>
      bytes[offset + 1] === bolt.FrameType.RESPONSE && bytes.readUInt16BE(offset + bolt.STATUS_OFFSET) === 0,
  },
  dubbo: {
    layout: dubbo.DUBBO_LAYOUT,
    idAt: dubbo.ID_LOW,
    request: dubbo.requestFrame(dubbo.callOf(payload, TEXT_LENGTH)),
    answer: dubbo.responseFrame(dubbo.resultOf(payload, TEXT_LENGTH)),
    isRequest: (bytes, offset) => ((bytes[offset + 2] as number) & dubbo.FLAG_REQUEST) !== 0,
    isAnswer: (bytes, offset) => bytes[offset + dubbo.STATUS_OFFSET] === dubbo.STATUS_OK,
  },
  mmtp: {
    layout: MMTP_LAYOUT,
    idAt: 4,
    request: requestTemplate(OPERATION, Buffer.from(`[${ORDER_JSON}]`)),
    answer: Buffer.alloc(0),
    isRequest: () => false,
    isAnswer: (bytes, offset) => bytes[offset + 1] === MmtpFrameType.RESPONSE,
  },
}
const downstreamSide = sides[path.downstream] as Side
const upstreamSide = sides[path.upstream] as Side
const input = Buffer.allocUnsafeSlow(64 * 1024)

/** A connection of the gateway's, whose peer is this script. */
class Line {
  readonly connection: Connection
  readonly side: Side
  nextId = 3
  #written: Buffer[] = []
  #credit = 0
  #visit: (bytes: Buffer, offset: number, end: number) => void = () => {}
  readonly #reader: FrameReader

  constructor(connection: Connection) {
    this.connection = connection
    this.side = this.isDownstream ? downstreamSide : upstreamSide
    this.#reader = new FrameReader(this.side.layout, (bytes, offset, end) => {
      this.#credit += end - offset
      this.#visit(bytes, offset, end)
    })
    connection.socket.write = (chunk: Uint8Array | string) => {
      this.#written.push(Buffer.from(chunk as Uint8Array))
      return true
    }
  }

  /** Whether requests come in here. */
  get isDownstream(): boolean {
    return this.connection.codec?.constructor.name.endsWith('Server') === true
  }

  /** Visits the frames that were written since. */
  take(visit: (bytes: Buffer, offset: number, end: number) => void): void {
    this.#visit = visit
    for (const chunk of this.#written) this.#reader.push(chunk, chunk.length)
    this.#written = []
  }

  /** Lets the gateway read these frames; returns the milliseconds that it took. */
  feed(frames: readonly Buffer[]): number {
    let spent = 0
    let length = 0
    const read = () => {
      const startedAt = performance.now()
      this.connection.readInto(input, length)
      spent += performance.now() - startedAt
      length = 0
    }
    if (this.side === sides.mmtp && this.#credit > CREDIT_BYTES) {
      length = windowFrame(this.#credit).copy(input)
      this.#credit = 0
    }
    for (const frame of frames) {
      if (length + frame.length > input.length) read()
      length += frame.copy(input, length)
    }
    if (length > 0) read()
    return spent
  }
}

/** Runs the requests of each line's connection and answers them; returns the gateway's milliseconds. */
async function round(downstream: readonly Line[], upstream: readonly Line[]): Promise<number> {
  let spent = 0
  for (const line of downstream) {
    const frames: Buffer[] = []
    for (let i = 0; i < inFlight; i++, line.nextId += 2) {
      const frame = Buffer.from(line.side.request)
      frame.writeUInt32BE(line.nextId, line.side.idAt)
      frames.push(frame)
    }
    spent += line.feed(frames)
  }
  spent += await turn()
  for (const line of upstream) {
    const frames: Buffer[] = []
    const { answer, idAt } = line.side
    line.take((bytes, offset) => {
      const frame = Buffer.from(answer)
      bytes.copy(frame, idAt, offset + idAt, offset + idAt + 4)
      frames.push(frame)
    })
    spent += line.feed(frames)
  }
  spent += await turn()
  for (const line of downstream) {
    line.take((bytes, offset) => {
      if (line.side.isAnswer(bytes, offset)) answered++
    })
  }
  return spent
}

/** The gateway writes its batches when the turn ends. */
async function turn(): Promise<number> {
  const startedAt = performance.now()
  await nextTurn()
  return performance.now() - startedAt
}

/** Opens a connection and sends a request on it; resolves with its answer. */
function greet(port: number): Promise<void> {
  const { layout, request, isAnswer } = downstreamSide
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1')
    const reader = new FrameReader(layout, (bytes, offset) => {
      if (isAnswer(bytes, offset)) done()
    })
    socket.on('data', (chunk: Buffer) => reader.push(chunk, chunk.length))
    if (path.downstream === 'mmtp') socket.write(helloFrame(MmtpFrameType.HELLO, 1))
    socket.write(request)
  })
}

/** A business process for as long as connections are being made. */
const business = net.createServer((socket) => {
  const { layout, answer, idAt, isRequest } = upstreamSide
  const reader = new FrameReader(layout, (bytes, offset) => {
    if (!isRequest(bytes, offset)) return
    const frame = Buffer.from(answer)
    bytes.copy(frame, idAt, offset + idAt, offset + idAt + 4)
    socket.write(frame)
  })
  socket.on('data', (chunk: Buffer) => reader.push(chunk, chunk.length))
})

/** A whole gateway, with its connections in our hands. */
class Rig {
  readonly checkout: string
  readonly results: number[] = []
  #downstream: Line[] = []
  #upstream: Line[] = []

  constructor(checkout: string) {
    this.checkout = checkout
  }

  async start(directory: string, backendPort: number): Promise<void> {
    const modules = (file: string) => import(join(this.checkout, 'lib', file))
    const { Connection: OpenConnection } = await modules('net/connection.ts')
    const { Gateway } = await modules('gateway.ts')
    const { tuneEngine } = await modules('tuning.ts')
    const opened: Connection[] = []
    const { start } = OpenConnection.prototype
    OpenConnection.prototype.start = function (this: Connection, ...args: unknown[]) {
      opened.push(this)
      return start.apply(this, args)
    }
    const file = join(directory, `${checkouts.indexOf(this.checkout)}.yaml`)
    writeFileSync(file, gatewayConfig({ port: 0, adminPort: 0, backendPort }, { path }))
    const gateway = new Gateway({ file, isWatching: false })
    await gateway.start()
    tuneEngine()
    const [listener] = [...gateway.listeners.values()]
    for (let i = 0; i < CONNECTIONS; i++) await greet(Number(listener.part.address.split(':')[1]))
    const lines = opened.map((connection) => new Line(connection))
    this.#downstream = lines.filter((line) => line.isDownstream)
    this.#upstream = lines.filter((line) => !line.isDownstream)
  }

  /** Runs one window; notes the microseconds of a request in each of its rounds. */
  async run(isWarm: boolean): Promise<void> {
    const until = performance.now() + WINDOW_MS
    while (performance.now() < until) {
      const before = answered
      const spent = await round(this.#downstream, this.#upstream)
      if (answered === before) throw new Error(`${this.checkout} stopped answering`)
      if (isWarm) this.results.push((spent * 1000) / (answered - before))
    }
  }
}

let answered = 0
await new Promise<void>((done) => business.listen(0, '127.0.0.1', done))
const directory = mkdtempSync(join(tmpdir(), 'rpc-path-'))
const backendPort = (business.address() as net.AddressInfo).port
const rigs = checkouts.map((checkout) => new Rig(checkout))
for (const rig of rigs) await rig.start(directory, backendPort)
for (let i = 0; i < WARM_UP_WINDOWS + windows; i++) {
  for (const rig of rigs) await rig.run(i >= WARM_UP_WINDOWS)
}
for (const { checkout, results } of rigs) {
  results.sort((a, b) => a - b)
  const [least, lower, median] = [0.01, 0.1, 0.5].map((part) =>
    results[Math.floor(part * results.length)]!.toFixed(2),
  )
  console.log(
    `${process.argv[2]} ${checkout}: ${least} / ${lower} / ${median} µs a request (1 %, 10 %, half of the rounds are below)`,
  )
}
rmSync(directory, { recursive: true, force: true })
process.exit(0)
