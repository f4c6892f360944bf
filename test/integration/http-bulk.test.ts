/** A GiB through the gateway in each direction, fast and slow: every byte arrives and its memory stays bounded. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { type ChildGateway, type Growth, startChildGateway } from '../support/child-gateway.ts'
import { simpleConfig, until } from '../support/http.ts'
import { startBusiness } from '../support/rig.ts'

const PIECE = randomBytes(1 << 20)
const PIECES = 1024
const GIB = PIECES * PIECE.length
/** MiB. Buffers on the way are a few hundred KiB; the rest is V8's heap at work. */
const MAX_GROWTH = 150
/** Far more than the kernel's buffers and the gateway's watermarks hold together. */
const FAR_AHEAD = 64 << 20

t.setTimeout(100_000)

let sent = 0
let received = 0
let checksum = 0

/** A GiB; counts in `sent` what was asked for. */
function* pieces(): Generator<Buffer> {
  for (let i = 0; i < PIECES; i++) {
    sent += PIECE.length
    yield PIECE
  }
}

/** CRC-32 of the GiB: tells what is lost, doubled or out of order, at a tenth of the cost of SHA-256. */
function wholeChecksum(): number {
  let sum = 0
  for (let i = 0; i < PIECES; i++) sum = crc32(PIECE, sum)
  return sum
}

/** Takes a body in, `pause` before each piece. */
async function take(body: AsyncIterable<Buffer>, pause: () => unknown = () => undefined): Promise<void> {
  for await (const chunk of body) {
    received += chunk.length
    checksum = crc32(chunk, checksum)
    await pause()
  }
}

/** A gateway in its own process before `business`. */
async function start(test: Test, business: http.RequestListener): Promise<ChildGateway> {
  sent = received = checksum = 0
  const port = await startBusiness(test, business)
  return startChildGateway(test, simpleConfig(port, 'admin: { address: 127.0.0.1:0 }'))
}

async function get(port: number): Promise<http.IncomingMessage> {
  const request = http.get({ port, host: '127.0.0.1', agent: false })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return response
}

/** Sends the GiB and gives what is answered. */
async function post(port: number, headers: http.OutgoingHttpHeaders): Promise<string> {
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false, headers })
  const answered = once(request, 'response') as Promise<[http.IncomingMessage]>
  await pipeline(Readable.from(pieces()), request)
  const [response] = await answered
  return String(await response.setEncoding('latin1').toArray())
}

function isBounded(test: Test, growth: Growth): void {
  test.ok(growth.rss < MAX_GROWTH && growth.external < MAX_GROWTH, `grew by ${JSON.stringify(growth)} MiB`)
}

const sleep = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

t.test('a GiB uploaded arrives whole in bounded memory', async (t) => {
  const hash = createHash('sha256')
  const gateway = await start(t, async (request, response) => {
    await pipeline(request, hash, { end: false })
    response.end(hash.digest('hex'))
  })
  const growth = await gateway.growthDuring(async () => {
    const expected = createHash('sha256')
    const digest = await post(gateway.port, { 'content-length': GIB })
    for (let i = 0; i < PIECES; i++) expected.update(PIECE)
    t.equal(digest, expected.digest('hex'))
  })
  isBounded(t, growth)
})

t.test('a GiB downloaded arrives whole in bounded memory', async (t) => {
  const gateway = await start(t, (_, response) => {
    response.writeHead(200, { 'content-length': GIB })
    Readable.from(pieces()).pipe(response)
  })
  const growth = await gateway.growthDuring(async () => take(await get(gateway.port)))
  t.equal(received, GIB)
  t.equal(checksum, wholeChecksum())
  isBounded(t, growth)
})

t.test('a GiB in chunks for a slow reader waits at the business process, not in the gateway', async (t) => {
  const gateway = await start(t, (_, response) => void Readable.from(pieces()).pipe(response))
  const growth = await gateway.growthDuring(async () => {
    const response = await get(gateway.port)
    let pieces = 0
    await take(response, async () => {
      // A second of about 3 MiB/s: the business process could send hundreds of MiB in that time.
      if (++pieces < 50) await sleep()
      if (pieces !== 50) return
      t.ok(sent - received < FAR_AHEAD, `the business process is ${(sent - received) >> 20} MiB ahead`)
      t.ok((await gateway.stats()).slabs.leased < 64, 'few slabs are in use')
    })
  })
  t.equal(received, GIB, 'and then arrives whole')
  t.equal(checksum, wholeChecksum())
  isBounded(t, growth)
})

t.test('a GiB in chunks for a slow business process waits at the caller, not in the gateway', async (t) => {
  let pieces = 0
  const gateway = await start(t, async (request, response) => {
    await take(request, async () => {
      if (++pieces < 50) await sleep()
      if (pieces === 50)
        t.ok(sent - received < FAR_AHEAD, `the caller is ${(sent - received) >> 20} MiB ahead`)
    })
    response.end(String(received))
  })
  const growth = await gateway.growthDuring(async () => {
    t.equal(await post(gateway.port, {}), String(GIB), 'and then arrives whole')
  })
  t.equal(checksum, wholeChecksum())
  isBounded(t, growth)
})

t.test('a caller that leaves in the middle of a GiB stops it at its source', async (t) => {
  let isCutOff = false
  const gateway = await start(t, (_, response) => {
    Readable.from(pieces()).pipe(response)
    response.on('close', () => (isCutOff = !response.writableFinished))
  })
  const response = await get(gateway.port)
  await once(response, 'data')
  response.destroy()
  await until('the business process is told', () => isCutOff)
  t.ok(sent < GIB, `${sent >> 20} MiB were sent`)
  t.equal((await gateway.stats()).exchanges.live, 0)
})
