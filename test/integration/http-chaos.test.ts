/** Well-behaved and unruly callers and answers at once: nobody gets another one's answer, and the well-behaved ones get theirs. */
import http from 'node:http'
import t, { type Test } from 'tap'
import { call, readBody, simpleConfig, until } from '../support/http.ts'
import { startBusiness, startRig } from '../support/rig.ts'

/** How a business process answers; what follows `/` in the path. */
const GOOD = [
  'length',
  'chunked',
  'close',
  'early',
  'hints',
  'slow',
  'trailers',
  'large',
  'unframed',
] as const
const BAD = ['reset', 'reset-middle', 'end-middle', 'garbage', 'never'] as const
const REQUESTS = 120
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))

/** Numbers that a seed decides (mulberry32). */
function createRandom(state: number): (below: number) => number {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 4294967296) * below)
  }
}

/** The body that only the answer to `id` has. */
function bodyFor(id: string, mode: string): string {
  return `<${id}>`.repeat(mode === 'large' ? 40_000 : 20)
}

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const mode = request.url?.slice(1) ?? ''
  const id = String(request.headers['x-id'])
  const { socket } = request
  const body = bodyFor(id, mode)
  if (mode !== 'early') {
    const sent = (await readBody(request).catch(() => Buffer.alloc(0))).toString()
    // A request that got another one's body would be answered with an id that nobody asked for.
    if (request.complete && sent !== 'x'.repeat(sent.length)) response.setHeader('x-mixed', 'yes')
    if (request.complete && request.headers['x-length'] !== String(sent.length))
      response.setHeader('x-mixed', 'yes')
  } else request.on('error', () => undefined)
  response.setHeader('x-answer', id)
  switch (mode) {
    case 'chunked':
      for (const piece of [body.slice(0, 7), body.slice(7)]) response.write(piece)
      response.end()
      break
    case 'close':
      response.setHeader('connection', 'close')
      response.end(body)
      break
    case 'hints':
      response.writeEarlyHints({ link: '</a>; rel=preload' })
      response.end(body)
      break
    case 'slow':
      setTimeout(() => response.end(body), 15)
      break
    case 'trailers':
      response.writeHead(200, { trailer: 'x-t' })
      response.write(body)
      response.addTrailers({ 'x-t': id })
      response.end()
      break
    case 'unframed':
      socket.end(`HTTP/1.0 200 OK\r\nx-answer: ${id}\r\n\r\n${body}`)
      break
    case 'reset':
      socket.resetAndDestroy()
      break
    case 'reset-middle':
    case 'end-middle':
      response.writeHead(200, { 'content-length': body.length + 1 })
      response.write(body, () => (mode === 'reset-middle' ? socket.resetAndDestroy() : socket.end()))
      break
    case 'garbage':
      socket.end('\x00\x01\x02 what is this\r\n\r\n')
      break
    case 'never':
      break
    default:
      response.end(body)
  }
}

interface Asked {
  readonly id: string
  readonly mode: string
}

function check(t: Test, { id, mode }: Asked, headers: http.IncomingHttpHeaders, text: string): void {
  if (headers['x-answer'] !== id || text !== bodyFor(id, mode) || 'x-mixed' in headers) {
    t.fail(`${id} (${mode}) got the answer of ${headers['x-answer']}, ${text.length} bytes`)
  }
}

/** Asks for good answers over kept connections; each must come. */
async function behave(t: Test, port: number, name: string, random: (below: number) => number): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (let i = 0; i < REQUESTS; i++) {
    const asked = { id: `${name}.${i}`, mode: GOOD[random(GOOD.length)] as string }
    const isPost = random(2) === 0
    const body = isPost ? 'x'.repeat([0, 10, 5000, 150_000][random(4)] as number) : undefined
    const chunked = random(2) === 0 && isPost ? { 'transfer-encoding': 'chunked' } : {}
    const headers = { 'x-id': asked.id, 'x-length': body?.length ?? 0, ...chunked }
    try {
      const given = await call(port, {
        path: `/${asked.mode}`,
        headers,
        agent,
        ...(body === undefined ? {} : { body }),
      })
      if (given.status !== 200) t.fail(`${asked.id} (${asked.mode}): ${given.status} ${given.text}`)
      else check(t, asked, given.headers, given.text)
      if (asked.mode === 'trailers' && given.trailers['x-t'] !== asked.id)
        t.fail(`${asked.id}: trailers are lost`)
    } catch (error) {
      t.fail(`${asked.id} (${asked.mode}, ${body?.length} bytes): ${error}`)
    }
  }
  agent.destroy()
}

/** Asks for answers of every kind and leaves whenever it likes; what comes whole must be right. */
async function misbehave(
  t: Test,
  port: number,
  name: string,
  random: (below: number) => number,
): Promise<number> {
  let whole = 0
  for (let i = 0; i < REQUESTS; i++) {
    const modes = random(2) === 0 ? GOOD : BAD
    const asked = { id: `${name}.${i}`, mode: modes[random(modes.length)] as string }
    const length = [0, 10, 200_000][random(3)] as number
    const headers = { 'x-id': asked.id, 'x-length': length }
    const request = http.request({
      port,
      host: '127.0.0.1',
      path: `/${asked.mode}`,
      method: 'POST',
      agent: false,
      headers,
    })
    request.on('error', () => undefined)
    const closed = new Promise((resolve) => request.on('close', resolve))
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('latin1').on('data', (chunk) => (text += chunk))
      response.on('error', () => undefined)
      response.on('end', () => {
        if (!response.complete || response.statusCode !== 200) return
        whole++
        check(t, asked, response.headers, text)
      })
    })
    request.write('x'.repeat(Math.floor(length / 2)))
    const isPatient = random(2) === 0 && asked.mode !== 'never'
    const timer = setTimeout(() => request.destroy(), isPatient ? 5000 : random(40))
    request.end('x'.repeat(length - Math.floor(length / 2)))
    await closed
    clearTimeout(timer)
  }
  return whole
}

t.test(`every answer finds its own caller (SEED=${seed})`, async (t) => {
  const port = await startBusiness(t, (request, response) => void answer(request, response))
  // A caller that leaves with FIN behind its whole request may still wait for the answer: the timeout ends its exchange.
  const rig = await startRig(
    t,
    simpleConfig(port).replace('{ cluster: out }', '{ cluster: out }, timeout: 3s'),
  )
  const wholes = await Promise.all([
    ...Array.from({ length: 6 }, (_, i) => misbehave(t, rig.port(), `bad${i}`, createRandom(seed + i))),
    ...Array.from({ length: 6 }, (_, i) =>
      behave(t, rig.port(), `good${i}`, createRandom(seed - i - 1)).then(() => 0),
    ),
  ])
  const whole = wholes.reduce((sum, count) => sum + count, 0)
  t.ok(whole > 0, `${whole} answers to unruly callers were whole`)
  await until('the last exchange is over', () => rig.gateway.dispatcher.live === 0)
  t.equal(
    rig.gateway.recentErrors.list().filter(({ code }) => code === 'INTERNAL').length,
    0,
    'no defect of ours',
  )
})
