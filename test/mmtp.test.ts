import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { poolUsage } from '../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../lib/buffer/slab-pool.ts'
import { mmtpCall } from '../lib/cli/mmtp-call.ts'
import { connectMmtp, type IncomingCall, type MmtpAnswer, serveMmtp } from '../lib/mmtp.ts'
import { decodeBody } from '../lib/protocols/mmtp/body.ts'

poisonReleasedSlabs(true)

/** Operations of the test server. */
const operations: Record<
  string,
  (call: IncomingCall) => Promise<MmtpAnswer | Buffer | string> | MmtpAnswer | Buffer | string
> = {
  echo: (call) => call.body,
  head: ({ headers, budgetMs, shard, isIdempotent }) =>
    JSON.stringify({ headers, budgetMs, shard, isIdempotent }),
  fail: () => {
    throw new Error('tea is out: ☕ 100%')
  },
  refuse: () => ({ status: 1002, headers: { 'x-why': 'ünïcode' }, retryAfterMs: 250 }),
  hang: ({ signal }) =>
    new Promise((resolve) => {
      hanging++
      signal.addEventListener('abort', () => {
        cancelled++
        resolve('too late')
      })
    }),
  big: (call) => Buffer.alloc(Number(call.body.toString()), 'x'),
}
let hanging = 0
let cancelled = 0

const server = await serveMmtp({
  address: '127.0.0.1:0',
  maxStreams: 64,
  handler: (call) => operations[call.operation]?.(call) ?? { status: 3000 },
})
t.teardown(() => server.close())

const until = async (isTrue: () => boolean): Promise<void> => {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

t.test('answers a call with status, headers, body and cost', async (t) => {
  const client = await connectMmtp(server.address)
  const echo = await client.call('echo', '{"a":1}')
  t.match(echo, { status: 1000, origin: 1, retryAfterMs: 0 })
  t.equal(echo.body.toString(), '{"a":1}')
  t.equal((await client.call('echo')).body.length, 0)
  const refused = await client.call('refuse')
  t.match(refused, { status: 1002, retryAfterMs: 250, headers: { 'x-why': 'ünïcode' } })
  const failed = await client.call('fail')
  t.equal(failed.status, 6666)
  t.equal(decodeURIComponent(failed.headers['result-memo']!), 'tea is out: ☕ 100%')
  t.equal((await client.call('nope')).status, 3000)
  await client.close()
  t.equal(client.isUsable, false)
  await t.rejects(client.call('echo'), { code: 'UPSTREAM_REFUSED' })
})

t.test('sends headers, budget, shard and marks', async (t) => {
  const client = await connectMmtp(server.address)
  const options = {
    headers: { 'app-id': 'A', 'x-long': 'ü'.repeat(300) },
    timeoutMs: 5000,
    shard: 68,
    idempotent: true,
  }
  const seen = JSON.parse((await client.call('head', '', options)).body.toString())
  t.same(seen.headers, options.headers)
  t.equal(seen.shard, 68)
  t.equal(seen.isIdempotent, true)
  t.ok(seen.budgetMs > 4000 && seen.budgetMs <= 5000)
  t.throws(() => client.call('head', '', { headers: { 'X-Upper': '1' } }), TypeError)
  await client.close()
})

t.test('runs more calls at once than the server takes', async (t) => {
  const client = await connectMmtp(server.address)
  const calls = Array.from({ length: 500 }, (_, index) => client.call('echo', `${index}`))
  t.equal(client.pending, 500)
  const bodies = (await Promise.all(calls)).map(({ body }) => body.toString())
  t.same(
    bodies,
    Array.from({ length: 500 }, (_, index) => `${index}`),
  )
  t.equal(client.pending, 0)
  await client.close()
})

t.test('carries bodies above every window both ways', async (t) => {
  const client = await connectMmtp(server.address)
  const body = Buffer.alloc(3_000_000)
  for (let i = 0; i < body.length; i++) body[i] = (i * 7) >> 3
  const answers = await Promise.all([
    client.call('echo', body),
    client.call('echo', body),
    client.call('big', '5000000'),
  ])
  t.ok(answers[0]!.body.equals(body))
  t.ok(answers[1]!.body.equals(body))
  t.equal(answers[2]!.body.length, 5_000_000)
  await client.close()
})

t.test('a call without an answer resolves once it is on its way', async (t) => {
  const client = await connectMmtp(server.address)
  const { status, origin } = await client.call('echo', 'x', { oneway: true })
  t.same([status, origin], [1000, 0])
  t.equal((await client.call('echo', 'y')).body.toString(), 'y')
  await client.close()
})

t.test('a timeout or a signal cancels the call at the server', async (t) => {
  const client = await connectMmtp(server.address)
  const before = cancelled
  await t.rejects(client.call('hang', '', { timeoutMs: 20 }), { code: 'UPSTREAM_TIMEOUT' })
  const controller = new AbortController()
  const aborted = client.call('hang', '', { signal: controller.signal })
  const started = hanging
  await until(() => hanging > started || hanging >= 2)
  controller.abort(new Error('changed my mind'))
  await t.rejects(aborted, { message: 'changed my mind' })
  await t.rejects(client.call('echo', '', { signal: controller.signal }), { message: 'changed my mind' })
  await until(() => cancelled === before + 2)
  t.equal(client.pending, 0)
  t.equal((await client.call('echo', 'still here')).body.toString(), 'still here')
  await client.close()
})

t.test('running calls fail when the connection dies', async (t) => {
  const client = await connectMmtp(server.address)
  const call = client.call('hang')
  client.destroy()
  await t.rejects(call, { code: 'UPSTREAM_RESET' })
})

t.test('names the address that cannot be reached', async (t) => {
  await t.rejects(connectMmtp('127.0.0.1:1'), { code: 'UPSTREAM_CONNECT_FAILED', message: /127\.0\.0\.1:1/ })
  t.throws(() => connectMmtp('nonsense'), /host:port/)
  const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  await t.rejects(connectMmtp(`127.0.0.1:${port}`), { code: 'UPSTREAM_CONNECT_FAILED', message: /greeting/ })
  other.close()
})

t.test('listens on a Unix socket, and lets running calls finish when it closes', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mmtp-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  let release: (text: string) => void = () => undefined
  const own = await serveMmtp({
    address: `unix:${folder}/s`,
    handler: ({ operation }) =>
      operation === 'wait' ? new Promise<string>((resolve) => (release = resolve)) : 'ok',
  })
  const client = await connectMmtp(own.address)
  t.equal((await client.call('x')).body.toString(), 'ok')
  const waiting = client.call('wait')
  await client.call('x')
  const closed = own.close()
  await until(() => !client.isUsable)
  release('done')
  t.equal((await waiting).body.toString(), 'done')
  await closed
  t.equal(own.connections, 0)
})

t.test('decodes encoded bodies within a limit', async (t) => {
  const text = Buffer.from('x'.repeat(10_000))
  t.ok((await decodeBody(1, zstdCompressSync(text), 20_000)).equals(text))
  t.ok((await decodeBody(3, gzipSync(text), 20_000)).equals(text))
  t.equal(await decodeBody(0, text, 1), text)
  await t.rejects(decodeBody(1, zstdCompressSync(text), 100), { code: 'ERR_BUFFER_TOO_LARGE' })
  await t.rejects(decodeBody(3, Buffer.from('no gzip'), 100))
  await t.rejects(decodeBody(9, text, 100), /unknown/)
})

/** Runs the command and keeps what it printed. */
async function run(
  address: string,
  operation: string,
  options: Parameters<typeof mmtpCall>[2],
  isTTY = false,
) {
  let out = ''
  let err = ''
  const output = {
    out: { write: (text: string) => (out += text), isTTY },
    err: { write: (text: string) => (err += text) },
  }
  const code = await mmtpCall(address, operation, options, output)
  return { code, out, err }
}

t.test('mmtp call prints the answer and says by its exit code whether it was a success', async (t) => {
  const { address } = server
  const ok = await run(address, 'echo', { data: '{"a":[1]}' })
  t.equal(ok.code, 0)
  t.match(ok.out, /^1000 from business/)
  t.match(ok.out, /\{"a":\[1\]\}\n$/)
  t.match((await run(address, 'echo', { data: '{"a":1}' }, true)).out, /\{\n {2}"a": 1\n\}\n$/)
  const refused = await run(address, 'refuse', { verbose: true })
  t.equal(refused.code, 1)
  t.match(refused.out, /1002.*retry after 250 ms\nx-why: ünïcode\n/)
  const json = await run(address, 'head', { json: true, header: ['App-Id=A', 'x-b: c=d'], timeout: '3s' })
  t.match(JSON.parse(json.out), { status: 1000, body: { headers: { 'app-id': 'A', 'x-b': 'c=d' } } })
})

t.test('mmtp call --repeat sums up', async (t) => {
  const summary = await run(server.address, 'echo', { data: '1', repeat: 200, concurrency: 16, json: true })
  t.equal(summary.code, 0)
  t.match(JSON.parse(summary.out), { count: 200, ok: 200, errors: {} })
  const failed = await run(server.address, 'refuse', { repeat: 3 })
  t.equal(failed.code, 1)
  t.match(failed.out, /calls {2}3, ok 0, .*\n {2}1002 {2}3\nms {5}min/)
})

t.test('mmtp call tells what is wrong with the command line or the server', async (t) => {
  const { address } = server
  t.match(await run(address, 'echo', { data: '{a' }), { code: 64, err: /--data is not JSON/ })
  t.match(await run(address, 'echo', { timeout: 'soon' }), { code: 64, err: /soon is no duration/ })
  t.match(await run(address, 'echo', { header: ['no'] }), { code: 64, err: /name=value/ })
  t.match(await run(address, 'echo', { repeat: 0 }), { code: 64, err: /--repeat/ })
  t.match(await run('nonsense', 'echo', {}), { code: 64, err: /host:port/ })
  t.match(await run('127.0.0.1:1', 'echo', {}), { code: 1, err: /127\.0\.0\.1:1/ })
  t.match(await run(address, 'hang', { timeout: '20ms' }), { code: 1, err: /no answer within 20 ms/ })
})

t.test('leaves nothing behind', async (t) => {
  await server.close()
  t.equal(server.connections, 0)
  t.equal(poolUsage().leased, 0, 'nothing stays leased')
})
