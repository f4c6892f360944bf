/** The load generators find out what a gateway must not do. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import * as bolt from '../../perf/load/bolt-frames.ts'
import { FrameReader } from '../../perf/load/frame-stream.ts'
import type { LoadResult } from '../../perf/load/load-result.ts'
import { MARK_LENGTH, MarkFinder } from '../../perf/load/mark.ts'

const LOAD = join(import.meta.dirname, '..', '..', 'perf', 'load')
const answer = bolt.responseFrame(bolt.resultOf('text', 256))
const markOffset = new MarkFinder().find(answer, 0, answer.length)

/** Answers each request frame with what `respond` makes of it. */
async function serve(t: Test, respond: (request: Buffer) => Buffer | null): Promise<number> {
  const server = net.createServer((socket) => {
    const reader = new FrameReader(bolt.BOLT_LAYOUT, (bytes, offset, end) => {
      const response = respond(Buffer.from(bytes.subarray(offset, end)))
      if (response === null) socket.destroy()
      else socket.write(response)
    })
    socket.on('data', (chunk: Buffer) => reader.push(chunk, chunk.length))
    socket.on('error', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as net.AddressInfo).port
}

/** A good answer, as its own copy. */
function echo(request: Buffer): Buffer {
  const response = Buffer.from(answer)
  request.copy(response, bolt.ID_OFFSET, bolt.ID_OFFSET, bolt.ID_OFFSET + 4)
  const mark = new MarkFinder().find(request, bolt.requestContent(request, 0), request.length)
  request.copy(response, markOffset, mark, mark + MARK_LENGTH)
  return response
}

async function load(port: number, ...args: string[]): Promise<LoadResult> {
  const options = [
    '--port',
    String(port),
    '--connections',
    '2',
    '--in-flight',
    '4',
    '--seconds',
    '0.4',
    ...args,
  ]
  const { stdout } = await promisify(execFile)(process.execPath, [join(LOAD, 'bolt-load.ts'), ...options])
  return JSON.parse(stdout) as LoadResult
}

t.jobs = 2

t.test('answers that are right count, and nothing fails', async (t) => {
  const result = await load(await serve(t, echo))
  t.match(result, { failed: 0, firstFailure: null })
  t.ok(result.requests > 10, `${result.requests} requests`)
})

t.test('an answer that bears the body of another request is a failure', async (t) => {
  let previous: Buffer | null = null
  const port = await serve(t, (request) => {
    const response = echo(request)
    // The id is right, the content is that of the request before.
    previous?.copy(response, markOffset, markOffset, markOffset + MARK_LENGTH)
    previous = echo(request)
    return response
  })
  const result = await load(port)
  t.equal(result.firstFailure, 'the answer to another request')
  t.ok(result.failed >= result.requests)
})

t.test('an answer with an id that is not under way is a failure', async (t) => {
  const port = await serve(t, (request) => {
    const response = echo(request)
    response.writeUInt32BE(0x7fffffff, bolt.ID_OFFSET)
    response.write('7fffffff', markOffset + 9, 'latin1')
    return response
  })
  t.equal((await load(port)).firstFailure, 'an answer to no open request')
})

t.test('a status other than 0 is a failure that names it', async (t) => {
  const port = await serve(t, (request) => {
    const response = bolt.bareResponse(bolt.Command.RESPONSE, 4)
    request.copy(response, bolt.ID_OFFSET, bolt.ID_OFFSET, bolt.ID_OFFSET + 4)
    return response
  })
  t.equal((await load(port)).firstFailure, 'status 4')
})

t.test('a connection that is closed fails what was under way on it', async (t) => {
  const result = await load(await serve(t, () => null))
  t.equal(result.requests, 0)
  t.equal(result.failed, 8, 'two connections with four requests each')
})

t.test('a rate is kept', async (t) => {
  // 200 are due; a late timer lets through some more, a closed loop would send thousands.
  const result = await load(await serve(t, echo), '--rate', '500')
  t.equal(result.failed, 0)
  t.ok(result.requests > 0 && result.requests < 500, `${result.requests} requests in 0.4 s`)
})
