/**
 * A business process that does nothing: a bare `net.Server` that answers every HTTP/1.1 request with a fixed body.
 * Stands in where nginx is absent, and is the bare server that `idle` compares with.
 *
 *   node perf/load/http-backend.ts --port 9000 [--body 650]     /64k answers 64 KiB
 */
import net from 'node:net'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { port: { type: 'string' }, body: { type: 'string', default: '650' } },
})
const HEAD_END = Buffer.from('\r\n\r\n')
const EMPTY = Buffer.alloc(0)
const small = response(Number(values.body))
const large = response(64 * 1024)

const server = net.createServer({ noDelay: true }, (socket) => {
  let rest: Buffer = EMPTY
  /** Bytes of a request body still to skip. */
  let skip = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const answers: Buffer[] = []
    let offset = 0
    while (offset < bytes.length) {
      const skipped = Math.min(skip, bytes.length - offset)
      skip -= skipped
      offset += skipped
      const headEnd = bytes.indexOf(HEAD_END, offset)
      if (headEnd < 0) break
      const head = bytes.latin1Slice(offset, headEnd)
      skip = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
      answers.push(head.startsWith('GET /64k') ? large : small)
      offset = headEnd + 4
    }
    rest = offset < bytes.length ? Buffer.from(bytes.subarray(offset)) : EMPTY
    if (answers.length > 0) socket.write(answers.length === 1 ? answers[0]! : Buffer.concat(answers))
  })
})
server.listen({ port: Number(values.port), host: '127.0.0.1', backlog: 4096 })

function response(length: number): Buffer {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.alloc(length, 'b')])
}
