/** Filters over HTTP/1.1, end to end: what the caller, the business process and the access log see of them. */
import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import t, { type Test } from 'tap'
import {
  type Answer,
  call,
  connectRaw,
  echo,
  freePort,
  logLines,
  simpleConfig,
  until,
} from '../support/http.ts'
import { exchangeRaw, type Rig, startBusiness, startRawBusiness, startRig } from '../support/rig.ts'

async function startEcho(test: Test, more: string): Promise<Rig> {
  const port = await startBusiness(test, (request, response) => void echo(request, response))
  return startRig(test, simpleConfig(port, more))
}

/** Writes a user's filter beside the configuration of a rig, then makes it serve. */
async function useFilter(rig: Rig, source: string, before = ''): Promise<void> {
  await writeFile(path.join(rig.folder, 'package.json'), '{ "type": "module" }')
  await writeFile(path.join(rig.folder, 'user.ts'), source)
  const endpoint = rig.gateway.clusters.get('out')?.config.endpoints[0]?.address as string
  await rig.reconfigure(`${simpleConfig(endpoint)}\nfilters: [${before}{ use: ./user.ts, name: user }]`)
  t.equal(rig.gateway.refused, null)
}

t.test('rate-limit answers 429 with Retry-After, for each user alone', async (t) => {
  const rig = await startEcho(
    t,
    'filters: [{ use: rate-limit, qps: 0.1, burst: 2, key: request.header.x-user }]',
  )
  const ask = (user: string): Promise<Answer> => call(rig.port(), { headers: { 'x-user': user } })
  t.same([(await ask('a')).status, (await ask('a')).status], [200, 200])
  const refused = await ask('a')
  t.match(refused, { status: 429, headers: { 'x-meshgate-error': 'RATE_LIMITED' } })
  t.ok(Number(refused.headers['retry-after']) > 1 && Number(refused.headers['retry-after']) <= 10)
  t.equal((await ask('b')).status, 200, 'another user has a bucket of its own')
})

t.test('rate-limit lets the next caller through once its bucket has filled', async (t) => {
  const rig = await startEcho(t, 'filters: [{ use: rate-limit, qps: 4, burst: 1 }]')
  let statuses = ''
  while (!statuses.endsWith('429 200 ')) statuses += `${(await call(rig.port())).status} `
  t.match(statuses, /^200 (200 )*(429 )+200 $/)
})

t.test('fault delays and aborts those that ask for it', async (t) => {
  const rig = await startEcho(
    t,
    `filters:
  - { use: fault, name: slow, header: 'x-fault: slow', delay: { for: 100ms } }
  - { use: fault, name: abort, header: 'x-fault: abort', abort: { status: 418 } }
  - { use: fault, name: fail, header: 'x-fault: fail', abort: {} }`,
  )
  const startMs = performance.now()
  t.equal((await call(rig.port(), { headers: { 'x-fault': 'slow' }, body: 'held' })).status, 200)
  t.ok(performance.now() - startMs >= 99)
  t.equal((await call(rig.port(), { headers: { 'x-fault': 'abort' } })).status, 418)
  const failed = await call(rig.port(), { headers: { 'x-fault': 'fail' } })
  t.match(failed, { status: 503, headers: { 'x-meshgate-error': 'FAULT_INJECTED' } })
  t.equal((await call(rig.port())).status, 200)
})

t.test('a body that comes while a filter holds its request arrives whole', async (t) => {
  const rig = await startEcho(t, 'filters: [{ use: fault, delay: { for: 50ms } }]')
  for (const size of [1, 60_000, 2_000_000]) {
    const seen = JSON.parse((await call(rig.port(), { body: Buffer.alloc(size, 'b') })).text)
    t.equal(seen.length, size)
  }
})

t.test('direct-reply answers in place of the business process, also to a body and to HEAD', async (t) => {
  const rig = await startEcho(
    t,
    'filters: [{ use: direct-reply, status: 203, json: { a: 1 }, headers: { x-b: c } }]',
  )
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  t.match(await call(rig.port(), { agent }), { status: 203, text: '{"a":1}', headers: { 'x-b': 'c' } })
  t.match(await call(rig.port(), { agent, body: 'x'.repeat(50_000) }), { status: 203, text: '{"a":1}' })
  t.match(await call(rig.port(), { agent, method: 'HEAD' }), {
    status: 203,
    text: '',
    headers: { 'x-b': 'c' },
  })
  t.equal(rig.gateway.clusters.get('out')?.part.stats.requests, 0)
})

t.test('headers carry values of the exchange to both sides', async (t) => {
  const rig = await startEcho(
    t,
    `node: { app: shop, cell: RZ01A }
filters:
  - use: headers
    request:
      remove: [x-debug]
      set: { x-client: '\${client.ip}', x-from: '\${node.app}@\${node.cell}', x-user: '\${cookie.uid}', x-q: '\${query.q}' }
      add: { x-list: last }
    response: { remove: [content-type], set: { x-route: '\${route}', x-to: '\${endpoint}', x-state: '\${status}' } }`,
  )
  const headers = { 'x-debug': '1', cookie: 'a=b; uid=u7', 'x-list': 'first' }
  const answer = await call(rig.port(), { path: '/?q=%C3%BC', headers })
  const seen = JSON.parse(answer.text).headers
  t.match(seen, { 'x-client': '127.0.0.1', 'x-from': 'shop@RZ01A', 'x-user': 'u7', 'x-list': 'first, last' })
  t.notOk('x-debug' in seen)
  t.equal(decodeURIComponent(seen['x-q']), 'ü')
  t.match(answer.headers, { 'x-to': /^127\.0\.0\.1:\d+$/, 'x-state': '200' })
  t.notOk('content-type' in answer.headers)
})

t.test('trace ids that came are passed on, others are made, and logs carry them', async (t) => {
  const rig = await startEcho(
    t,
    "filters: [{ use: access-log, path: access.log, format: '${trace_id}' }, trace-context]",
  )
  const id = '0af7651916cd43dd8448eb211c80319c'
  const traceparent = `00-${id}-b7ad6b7169203331-01`
  const kept = JSON.parse(
    (await call(rig.port(), { headers: { traceparent, tracestate: 'a=1' } })).text,
  ).headers
  t.match(kept, { traceparent, tracestate: 'a=1' })
  const made = JSON.parse((await call(rig.port())).text).headers
  t.match(made.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
  const replaced = JSON.parse(
    (await call(rig.port(), { headers: { traceparent: '00-zz', tracestate: 'a=1' } })).text,
  ).headers
  t.match(replaced.traceparent, /^00-[0-9a-f]{32}-/)
  t.notOk('tracestate' in replaced)
  const lines = await logLines(rig, 3)
  t.equal(lines[0], id)
  t.equal(lines[1], made.traceparent.slice(3, 35))
})

t.test('the access log has the flag of every failure, as text and as JSON', async (t) => {
  const closing = await startRawBusiness(t, (socket) => socket.on('data', () => socket.destroy()))
  const garbling = await startRawBusiness(t, (socket) =>
    socket.on('data', () => socket.write('what?\r\n\r\n')),
  )
  const silent = await startRawBusiness(t, () => undefined)
  const rig = await startRig(
    t,
    `
log: { level: silent }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0, limits: { body: 10B } }]
clusters:
  - { name: uf, protocol: http1, endpoints: [127.0.0.1:${await freePort()}] }
  - { name: uc, protocol: http1, endpoints: [127.0.0.1:${closing}] }
  - { name: upe, protocol: http1, endpoints: [127.0.0.1:${garbling}] }
  - { name: ut, protocol: http1, endpoints: [127.0.0.1:${silent}] }
filters:
  - { use: access-log, name: text, path: text.log }
  - { use: access-log, name: json, path: access.log, format: json }
  - { use: fault, name: fi, enabled: false, abort: {} }
  - { use: rate-limit, name: rl, enabled: false, qps: 0.001, burst: 1 }
routes:
  - { match: { path: /uf }, to: { cluster: uf } }
  - { match: { path: /uc }, to: { cluster: uc } }
  - { match: { path: /upe }, to: { cluster: upe } }
  - { match: { path: /ut }, to: { cluster: ut }, timeout: 100ms }
  - { match: { path: /fi }, to: { cluster: uf }, filters: { fi: true } }
  - { match: { path: /rl }, to: { redirect: { path: /elsewhere } }, filters: { rl: true } }
  - { match: { path: /dc }, to: { cluster: ut } }
`,
  )
  const expected: [string, number, string][] = [
    ['/uf', 503, 'UF'],
    ['/uc', 502, 'UC'],
    ['/upe', 502, 'UPE'],
    ['/ut', 504, 'UT'],
    ['/none', 404, 'NR'],
    ['/fi', 503, 'FI'],
    ['/rl', 302, '-'],
    ['/rl', 429, 'RL'],
  ]
  for (const [target, status] of expected)
    t.equal((await call(rig.port(), { path: target })).status, status, target)
  const peer = await connectRaw(t, rig.port())
  peer.send('GET /dc HTTP/1.1\r\nHost: a\r\n\r\n')
  await until('it is under way', () => rig.gateway.dispatcher.live === 1)
  peer.socket.resetAndDestroy()
  await until('it is over', () => rig.gateway.dispatcher.live === 0)
  const chunked = 'POST /dc HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n'
  t.match(await exchangeRaw(rig.port(), `${chunked}${'x'.repeat(255)}\r\n`, false), /^HTTP\/1\.1 413 /)
  expected.push(['/dc', 0, 'DC'], ['/dc', 413, 'DPE'])

  const json = (await logLines(rig, expected.length)).map((line) => JSON.parse(line))
  t.same(
    json.map(({ target, flags }) => [target, flags]),
    expected.map(([target, , flag]) => [target, flag === '-' ? undefined : flag]),
  )
  for (const [i, [target, status]] of expected.entries())
    if (status !== 0) t.equal(json[i].status, status, target)
  const text = await logLines(rig, expected.length, 'text.log')
  for (const [i, [target, status, flag]] of expected.entries()) {
    t.ok(text[i]?.includes(`"GET ${target} http1" ${status} ${flag} `) || i >= 8, text[i])
  }
  t.match(text[9], '"POST /dc http1" 413 DPE ')
  t.equal(rig.gateway.recentErrors.list().length >= 8, true)
})

t.test("a user's filter", async (t) => {
  t.test('that throws costs its own request 500, wherever it throws', async (t) => {
    const rig = await startEcho(t, '')
    await useFilter(
      rig,
      `const at = (exchange, hook) => { if (exchange.request.headers.get('x-fail') === hook) throw new Error('oh') }
       const later = async (exchange) => { await null; at(exchange, 'later') }
       export default () => ({
         name: 'user',
         onRequest: (exchange) => at(exchange, 'request'),
         onRoute: (exchange) => { at(exchange, 'route'); return exchange.request.headers.has('x-fail') ? later(exchange) : undefined },
         onResponse: (exchange) => at(exchange, 'response'),
         onEnd: (exchange) => at(exchange, 'end'),
       })`,
    )
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    for (const hook of ['request', 'route', 'later', 'response']) {
      const failed = await call(rig.port(), { headers: { 'x-fail': hook }, agent })
      t.match(failed, { status: 500, headers: { 'x-meshgate-error': 'FILTER_FAILED' } }, hook)
      t.notMatch(failed.text, 'oh', 'the caller is not told more')
      t.equal((await call(rig.port(), { agent })).status, 200)
    }
    t.equal((await call(rig.port(), { headers: { 'x-fail': 'end' }, agent })).status, 200)
  })

  t.test('reads and replaces whole bodies, whatever their framing was', async (t) => {
    const rig = await startEcho(t, '')
    await useFilter(
      rig,
      `export default {
         create: () => ({
           name: 'user',
           needsBody: 'both',
           onRoute(exchange) {
             const text = exchange.requestBody.toString()
             if (text === 'refuse') return exchange.reply(400, 'refused')
             if (text !== 'keep') exchange.requestBody = Buffer.from('[' + text + ']')
           },
           onResponse(exchange) {
             if (exchange.request.headers.has('x-empty')) exchange.responseBody = Buffer.alloc(0)
             else exchange.responseBody = Buffer.from(exchange.responseBody.toString().replace('"method"', '"verb"'))
           },
         }),
       }`,
    )
    const chunked = { 'transfer-encoding': 'chunked' }
    for (const [headers, body] of [
      [{ 'content-length': '4' }, 'body'],
      [chunked, 'body'],
    ] as const) {
      const request = http.request({
        port: rig.port(),
        host: '127.0.0.1',
        method: 'POST',
        agent: false,
        headers,
      })
      request.write(body.slice(0, 2))
      const [answer] = await Promise.all([
        new Promise<http.IncomingMessage>((resolve) => request.on('response', resolve)),
        new Promise((resolve) => setImmediate(() => resolve(request.end(body.slice(2))))),
      ])
      const text = (await answer.setEncoding('utf8').toArray()).join('')
      const seen = JSON.parse(text)
      t.equal(seen.verb, 'POST')
      t.equal(seen.body, '[body]')
      t.equal(seen.headers['content-length'], '6')
      t.notOk('transfer-encoding' in seen.headers)
      t.equal(answer.headers['content-length'], String(Buffer.byteLength(text)))
    }
    t.equal(JSON.parse((await call(rig.port(), { body: 'keep' })).text).body, 'keep')
    t.equal((await call(rig.port(), { body: 'keep', headers: { 'x-empty': '1' } })).text, '')
    t.match(await call(rig.port(), { body: 'refuse' }), { status: 400 })
    t.equal(JSON.parse((await call(rig.port())).text).body, '[]', 'a request without a body has an empty one')
    t.equal((await call(rig.port(), { method: 'HEAD' })).status, 200)
    const large = Buffer.alloc(3 << 20, 'l')
    t.equal(JSON.parse((await call(rig.port(), { body: large })).text).length, large.length + 2)
    t.match(await call(rig.port(), { body: Buffer.alloc(5 << 20) }), { status: 413 })
  })

  t.test('asks a caller that waits with its body to send it', async (t) => {
    const rig = await startEcho(t, '')
    await useFilter(
      rig,
      `export default () => ({ name: 'user', needsBody: 'request', onRoute: () => undefined })`,
    )
    const peer = await connectRaw(t, rig.port())
    peer.send(
      'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n',
    )
    await peer.untilText('HTTP/1.1 100 Continue\r\n\r\n')
    peer.send('body')
    t.match(await peer.untilOver(), /HTTP\/1\.1 200 OK[\s\S]*"body":"body"/)
  })

  t.test('waits, answers and refuses', async (t) => {
    const rig = await startEcho(t, '')
    await useFilter(
      rig,
      `const wait = () => new Promise((resolve) => setTimeout(resolve, 20))
       export default () => ({
         name: 'user',
         async onRequest(exchange) {
           await wait()
           const wish = exchange.request.headers.get('x-wish')
           if (wish === 'reply') return exchange.reply(202, 'mine', { 'x-made': 'here' })
           if (wish === 'refuse') return exchange.refuse('OVERLOADED', { retryAfterMs: 1500 })
         },
         async onResponse(exchange) { await wait(); exchange.response.headers.set('x-waited', '1') },
       })`,
    )
    const ask = (wish: string) => call(rig.port(), { headers: { 'x-wish': wish }, body: 'x'.repeat(100_000) })
    t.match(await ask('reply'), { status: 202, text: 'mine', headers: { 'x-made': 'here', 'x-waited': '1' } })
    t.match(await ask('refuse'), { status: 503, headers: { 'retry-after': '2', 'x-waited': '1' } })
    t.match(await ask('none'), { status: 200, headers: { 'x-waited': '1' } })
    t.equal(JSON.parse((await ask('none')).text).length, 100_000)
  })
})
