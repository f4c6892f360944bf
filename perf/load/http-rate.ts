/**
 * Open-loop HTTP/1.1 load at a fixed rate. Request i is due at `start + i / rate`, whatever the answers do, and its
 * latency counts from that moment: a stall shows in every request that it delayed (no coordinated omission).
 *
 *   node perf/load/http-rate.ts --port 8190 --rate 20000 --connections 64 --seconds 5 [--path /]
 *
 * Timers of Node tick in milliseconds, which would send bursts. Instead the loop sleeps 50 µs at a time (the kernel's
 * timer slack makes about 110 of it), sends what is due and polls; so each latency may read up to that much too high,
 * for every peer alike.
 */
import { parseArgs } from 'node:util'
import { HttpConnection, requestBytes } from './http-connection.ts'
import { Recorder } from './load-result.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    rate: { type: 'string' },
    connections: { type: 'string', default: '64' },
    /** Measured time; the warm-up comes before it. */
    seconds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '1' },
    path: { type: 'string', default: '/' },
    /** How long answers may be late at the end before they count as failed. */
    grace: { type: 'string', default: '2' },
  },
})
const PAUSE_MS = 0.05
const port = Number(values.port)
const intervalMs = 1000 / Number(values.rate)
const total = Math.floor(Number(values.rate) * (Number(values['warm-up']) + Number(values.seconds)))
const request = requestBytes(port, values.path)
const sleeper = new Int32Array(new SharedArrayBuffer(4))
const idle: HttpConnection[] = []
const wanted = Number(values.connections)
let openCount = 0
let startedAt = 0
let recorder: Recorder
let nextIndex = 0
let busyCount = 0
let closedWhileIdle = 0

for (let i = 0; i < wanted; i++) open()

function open(): void {
  new HttpConnection(port, {
    onOpen(connection) {
      openCount++
      idle.push(connection)
      if (openCount === wanted && startedAt === 0) begin()
    },
    onResponse(connection, failure) {
      busyCount--
      if (failure === null) recorder.ok(connection.dueAt, performance.now())
      else recorder.fail(failure)
      idle.push(connection)
    },
    onClose(connection, wasBusy, reason) {
      if (startedAt === 0) return giveUp(reason)
      if (wasBusy) {
        busyCount--
        recorder.fail(reason)
      } else {
        closedWhileIdle++
        const index = idle.indexOf(connection)
        if (index >= 0) idle.splice(index, 1)
      }
      if (recorder.failed + closedWhileIdle < 10_000) open()
    },
  })
}

function begin(): void {
  startedAt = performance.now()
  recorder = new Recorder(startedAt, Number(values['warm-up']) * 1000, true)
  setImmediate(turn)
}

function turn(): void {
  const now = performance.now()
  while (nextIndex < total && idle.length > 0) {
    const dueAt = startedAt + nextIndex * intervalMs
    if (dueAt > now) break
    const connection = idle.pop()!
    connection.dueAt = dueAt
    busyCount++
    nextIndex++
    connection.send(request)
  }
  const lateMs = now - (startedAt + total * intervalMs)
  if ((nextIndex === total && busyCount === 0) || lateMs > Number(values.grace) * 1000) end(now)
  Atomics.wait(sleeper, 0, 0, PAUSE_MS)
  setImmediate(turn)
}

function end(now: number): never {
  const missing = total - nextIndex + busyCount
  if (missing > 0) recorder.fail(`${missing} requests got no answer in time`, missing)
  recorder.print(now)
  process.exit(0)
}

function giveUp(reason: string): never {
  process.stderr.write(`cannot connect to port ${port}: ${reason}\n`)
  process.exit(1)
}
