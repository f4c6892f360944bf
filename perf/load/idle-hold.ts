/**
 * Opens connections, has one request answered on each, and holds them until it is killed.
 * Prints `{"open":N,"failed":M}` when all are there.
 *
 *   node perf/load/idle-hold.ts --port 8190 --count 10000 [--path /]
 */
import { parseArgs } from 'node:util'
import { HttpConnection, requestBytes } from './http-connection.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    count: { type: 'string', default: '10000' },
    path: { type: 'string', default: '/' },
  },
})
/** Opened at a time, so that no accept queue overflows. */
const AT_ONCE = 64
/** One source address has about 28,000 ports; beyond this many the next 127.0.0.x is used. */
const PER_ADDRESS = 20_000
const port = Number(values.port)
const count = Number(values.count)
const request = requestBytes(port, values.path)
let started = 0
let open = 0
let failed = 0

for (let i = 0; i < Math.min(AT_ONCE, count); i++) next()

function next(): void {
  if (started === count) return
  const address = Math.floor(started++ / PER_ADDRESS)
  new HttpConnection(
    port,
    {
      onOpen: (connection) => connection.send(request),
      onResponse(_connection, failure) {
        if (failure === null) open++
        else failed++
        settle()
      },
      onClose(_connection, _wasBusy, reason) {
        failed++
        process.stderr.write(`a connection was lost: ${reason}\n`)
        settle()
      },
    },
    address === 0 ? undefined : `127.0.0.${address + 1}`,
  )
}

function settle(): void {
  if (open + failed === count) process.stdout.write(`${JSON.stringify({ open, failed })}\n`)
  else next()
}

// Idle sockets alone keep the process running; this keeps it should all of them fail.
setInterval(() => {}, 60_000)
