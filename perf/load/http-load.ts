/**
 * Closed-loop HTTP/1.1 load: every connection sends its next request when its answer is there.
 * Used where wrk is absent.
 *
 *   node perf/load/http-load.ts --port 8190 --connections 32 --seconds 3 [--path /] [--body TEXT]
 */
import { parseArgs } from 'node:util'
import { HttpConnection, requestBytes } from './http-connection.ts'
import { Recorder } from './load-result.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    connections: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '3' },
    path: { type: 'string', default: '/' },
    /** POST with this body; GET when empty. */
    body: { type: 'string', default: '' },
  },
})
const port = Number(values.port)
const request = requestBytes(port, values.path, values.body)
const recorder = new Recorder(performance.now())
const live = new Set<HttpConnection>()
let isOver = false
let refused = 0

for (let i = 0; i < Number(values.connections); i++) open()
setTimeout(stop, Number(values.seconds) * 1000)

function open(): void {
  const connection = new HttpConnection(port, {
    onOpen: send,
    onResponse(from, failure) {
      if (failure === null) recorder.ok(from.dueAt, performance.now())
      else recorder.fail(failure)
      if (!isOver) send(from)
    },
    onClose(from, wasBusy, reason) {
      live.delete(from)
      if (isOver) return
      if (wasBusy) recorder.fail(reason)
      // A port that refuses would otherwise be tried in a tight loop.
      if (!wasBusy && ++refused > 1000) recorder.fail(reason)
      else open()
    },
  })
  live.add(connection)
}

function send(connection: HttpConnection): void {
  connection.dueAt = performance.now()
  connection.send(request)
}

function stop(): void {
  isOver = true
  recorder.print(performance.now())
  for (const connection of live) connection.destroy()
}
