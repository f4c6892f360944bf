/**
 * What one Mmtp request costs the gateway without a kernel: a whole gateway with the standard chain, whose sockets are replaced by
 * arrays once its connections stand. Four connections with 64 requests each, as in the scenario. The best window says the most on a
 * busy machine; to compare two checkouts run them in turn.
 *
 *     node perf/micro/mmtp-path.ts [checkout] [windows]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Connection } from '../../lib/net/connection.ts'
import { gatewayConfig } from '../harness/gateway-config.ts'
import { OPERATION } from '../harness/paths.ts'
import { FrameReader, type OnFrame } from '../load/frame-stream.ts'
import {
  FrameType,
  helloFrame,
  MMTP_LAYOUT,
  requestTemplate,
  responseHead,
  windowFrame,
} from '../load/mmtp-frames.ts'

const CONNECTIONS = 4
const IN_FLIGHT = 64
const WINDOW_MS = 250
const WARM_UP_WINDOWS = 4
const CREDIT_BYTES = 4 * 1024 * 1024
const checkout = resolve(process.argv[2] ?? join(import.meta.dirname, '../..'))
const windows = Number(process.argv[3] ?? 12)

const request = requestTemplate(OPERATION, Buffer.alloc(256, 'q'))
const answer = responseHead()
const input = Buffer.allocUnsafeSlow(64 * 1024)

/** A connection of the gateway's, whose peer is this script. */
class Line {
  readonly connection: Connection
  nextId = 3
  #written: Buffer[] = []
  #credit = 0
  #wanted = 0
  #visit: OnFrame = () => {}
  readonly #reader = new FrameReader(MMTP_LAYOUT, (bytes, offset, end) => {
    if (bytes[offset + 1] !== this.#wanted) return
    this.#credit += bytes.readUInt32BE(offset + 12)
    this.#visit(bytes, offset, end)
  })

  constructor(connection: Connection) {
    this.connection = connection
    connection.socket.write = (chunk: Uint8Array | string) => {
      this.#written.push(Buffer.from(chunk as Uint8Array))
      return true
    }
  }

  /** Whether requests come in here. */
  get isDownstream(): boolean {
    return this.connection.codec?.constructor.name === 'MmtpServer'
  }

  /** Visits the frames of one type that were written since. */
  take(type: number, visit: OnFrame): void {
    this.#wanted = type
    this.#visit = visit
    for (const chunk of this.#written) this.#reader.push(chunk, chunk.length)
    this.#written = []
  }

  /** Lets the gateway read these frames; returns the milliseconds that it took. */
  feed(frames: readonly Buffer[]): number {
    let spent = 0
    let length = 0
    const read = () => {
      const startedAt = cpuMs()
      this.connection.readInto(input, length)
      spent += cpuMs() - startedAt
      length = 0
    }
    if (this.#credit > CREDIT_BYTES) {
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

/** Runs one request on each line's connection and answers it; returns the gateway's milliseconds. */
async function round(downstream: readonly Line[], upstream: readonly Line[]): Promise<number> {
  let spent = 0
  for (const line of downstream) {
    const frames: Buffer[] = []
    for (let i = 0; i < IN_FLIGHT; i++, line.nextId += 2) {
      const frame = Buffer.from(request)
      frame.writeUInt32BE(line.nextId, 4)
      frames.push(frame)
    }
    spent += line.feed(frames)
  }
  spent += await turn()
  for (const line of upstream) {
    const frames: Buffer[] = []
    line.take(FrameType.REQUEST, (bytes, offset, end) => {
      const body = bytes.subarray(end - bytes.readUInt32BE(offset + 12), end)
      const frame = Buffer.concat([answer, body])
      bytes.copy(frame, 4, offset + 4, offset + 8)
      frame.writeUInt32BE(body.length, 12)
      frames.push(frame)
    })
    spent += line.feed(frames)
  }
  spent += await turn()
  for (const line of downstream) line.take(FrameType.RESPONSE, () => answered++)
  return spent
}

/** CPU time of this thread: what others do on the machine does not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** The gateway writes its batches when the turn ends. */
async function turn(): Promise<number> {
  const startedAt = cpuMs()
  await nextTurn()
  return cpuMs() - startedAt
}

/** Opens a connection and sends a request on it; resolves with its answer. */
function greet(port: number): Promise<void> {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1')
    const reader = new FrameReader(MMTP_LAYOUT, (bytes, offset) => {
      if (bytes[offset + 1] === FrameType.HELLO_ACK) socket.write(request)
      else if (bytes[offset + 1] === FrameType.RESPONSE) done()
    })
    socket.on('data', (chunk: Buffer) => reader.push(chunk, chunk.length))
    socket.write(helloFrame(FrameType.HELLO, 1))
  })
}

/** A business process for as long as connections are being made. */
const business = net.createServer((socket) => {
  const reader = new FrameReader(MMTP_LAYOUT, (bytes, offset) => {
    if (bytes[offset + 1] === FrameType.HELLO) socket.write(helloFrame(FrameType.HELLO_ACK, 4))
    if (bytes[offset + 1] !== FrameType.REQUEST) return
    const frame = Buffer.from(answer)
    bytes.copy(frame, 4, offset + 4, offset + 8)
    socket.write(frame)
  })
  socket.on('data', (chunk: Buffer) => reader.push(chunk, chunk.length))
})

const modules = (file: string) => import(join(checkout, 'lib', file))
const { Connection: OpenConnection } = await modules('net/connection.ts')
const { Gateway } = await modules('gateway.ts')
const { tuneEngine } = await modules('tuning.ts')

const opened: Connection[] = []
const { start } = OpenConnection.prototype
OpenConnection.prototype.start = function (this: Connection, ...args: unknown[]) {
  opened.push(this)
  return start.apply(this, args)
}

await new Promise<void>((done) => business.listen(0, '127.0.0.1', done))
const directory = mkdtempSync(join(tmpdir(), 'mmtp-path-'))
const file = join(directory, 'gateway.yaml')
const backendPort = (business.address() as net.AddressInfo).port
const path = { downstream: 'mmtp', upstream: 'mmtp' } as const
writeFileSync(file, gatewayConfig({ port: 0, adminPort: 0, backendPort }, { path }))
const gateway = new Gateway({ file, isWatching: false })
await gateway.start()
tuneEngine()
const [listener] = [...gateway.listeners.values()]
for (let i = 0; i < CONNECTIONS; i++) await greet(Number(listener.part.address.split(':')[1]))

let answered = 0
const lines = opened.map((connection) => new Line(connection))
const downstream = lines.filter((line) => line.isDownstream)
const upstream = lines.filter((line) => !line.isDownstream)
const results: number[] = []
for (let i = 0; i < WARM_UP_WINDOWS + windows; i++) {
  const before = answered
  const until = performance.now() + WINDOW_MS
  let spent = 0
  while (performance.now() < until) spent += await round(downstream, upstream)
  if (answered === before) throw new Error('the gateway stopped answering')
  if (i >= WARM_UP_WINDOWS) results.push((spent * 1000) / (answered - before))
}
results.sort((a, b) => a - b)
const median = results[results.length >> 1]!
console.log(`${checkout}: best ${results[0]!.toFixed(2)} µs, median ${median.toFixed(2)} µs a request`)
rmSync(directory, { recursive: true, force: true })
process.exit(0)
