/** Routes and balancers over HTTP/1.1, end to end: which business process a request reaches, and as what. */

import { once } from 'node:events'
import http from 'node:http'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { type Call, call } from '../support/http.ts'
import { type Rig, startBusiness, startRawBusiness, startRig } from '../support/rig.ts'

const NAMES = ['a', 'b', 'c'] as const

/** A gateway with a cluster for each of three business processes that say their name and what they were asked. */
async function startThree(test: Test, routes: string, more = ''): Promise<Rig> {
  const clusters: string[] = []
  for (const name of NAMES) {
    const port = await startBusiness(test, (request, response) => {
      const { method, url, headers } = request
      response.end(`${name} ${method} ${url} ${headers.host}`)
    })
    clusters.push(`  - { name: ${name}, protocol: http1, endpoints: [127.0.0.1:${port}] }`)
  }
  return startRig(
    test,
    `log: { level: silent }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters:
${clusters.join('\n')}
routes:${routes}
${more}`,
  )
}

/** What was answered, without the host. */
async function ask(rig: Rig, path: string, options: Call = {}): Promise<string> {
  const { status, text } = await call(rig.port(), { path, ...options })
  return status === 200 ? text.split(' ').slice(0, 3).join(' ') : String(status)
}

t.test('requests are told apart by host, method, header, query, cookie and regular expression', async (t) => {
  const rig = await startThree(
    t,
    `
  - { match: { host: shop.example, path: /x }, to: { cluster: b } }
  - { match: { host: '*.example', path: /x }, to: { cluster: c } }
  - { match: { path: /x }, to: { cluster: a } }
  - { match: { path: /m, method: [PUT, DELETE] }, to: { cluster: b } }
  - { match: { path: /m }, to: { cluster: a } }
  - { match: { path: /h, headers: { x-lane: grey } }, to: { cluster: b } }
  - { match: { path: /h, headers: { x-level: { range: [3, 7] } } }, to: { cluster: c } }
  - { match: { path: /h }, to: { cluster: a } }
  - { match: { path: /q, query: { beta: { present: true } } }, to: { cluster: b } }
  - { match: { path: /q, cookies: { lane: { prefix: gr } } }, to: { cluster: c } }
  - { match: { path: /q }, to: { cluster: a } }
  - { match: { path: '~/api/v[0-9]+/users/[^/]+' }, to: { cluster: b } }
  - { match: { path: /api/ }, to: { cluster: a } }`,
  )
  const cases: [string, Call, string][] = [
    ['/x', { headers: { host: 'shop.example' } }, 'b'],
    ['/x', { headers: { host: 'SHOP.example:8080' } }, 'b'],
    ['/x', { headers: { host: 'a.b.example' } }, 'c'],
    ['/x', {}, 'a'],
    ['/m', { method: 'PUT' }, 'b'],
    ['/m', {}, 'a'],
    ['/h', { headers: { 'X-Lane': 'grey' } }, 'b'],
    ['/h', { headers: { 'x-level': '6' } }, 'c'],
    ['/h', { headers: { 'x-level': '7' } }, 'a'],
    ['/q?a=1&beta=', {}, 'b'],
    ['/q', { headers: { cookie: 'x=1; lane=green' } }, 'c'],
    ['/q', { headers: { cookie: 'x=lane; lane=red' } }, 'a'],
    ['/api/v12/users/7', {}, 'b'],
    ['/api/v12/users/7/x', {}, 'a'],
    ['/api/../m', {}, 'a'],
  ]
  for (const [path, options, name] of cases) {
    t.match(await ask(rig, path, options), new RegExp(`^${name} `), `${path} ${JSON.stringify(options)}`)
  }
  t.equal(await ask(rig, '/none'), '404')
  t.equal(await ask(rig, '/api/../none'), '404')
})

t.test('weights share requests out', async (t) => {
  const rig = await startThree(
    t,
    '\n  - { match: {}, to: { clusters: [{ cluster: a, weight: 7 }, { cluster: b, weight: 3 }, { cluster: c, weight: 0 }] } }',
  )
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const counts: Record<string, number> = { a: 0, b: 0, c: 0 }
  for (let i = 0; i < 200; i++) {
    const name = (await ask(rig, '/', { agent }))[0] as string
    counts[name] = (counts[name] as number) + 1
  }
  t.same(counts.c, 0)
  t.ok((counts.a as number) > 110 && (counts.a as number) < 170, JSON.stringify(counts))
})

t.test('paths and hosts are rewritten', async (t) => {
  const rig = await startThree(
    t,
    `
  - { match: { path: /old }, to: { cluster: a }, rewrite: { path: /new } }
  - { match: { path: /api/ }, to: { cluster: a }, rewrite: { prefix: /v2/ } }
  - { match: { path: /shop/ }, to: { cluster: a }, rewrite: { regex: '^/shop/([a-z]+)/(.*)$', replace: '/$2/in/$1', host: shop.internal } }`,
  )
  t.equal(await ask(rig, '/old?q=1'), 'a GET /new?q=1')
  t.equal(await ask(rig, '/api/x/y?q=1'), 'a GET /v2/x/y?q=1')
  t.equal(await ask(rig, '/api'), 'a GET /v2')
  t.equal(
    (await call(rig.port(), { path: '/shop/books/7?q', body: 'x' })).text,
    'a POST /7/in/books?q shop.internal',
  )
})

t.test('a redirect says where to go instead', async (t) => {
  const rig = await startThree(
    t,
    `
  - { match: { host: old.example }, to: { redirect: { status: 301, scheme: https, host: www.example } } }
  - { match: { path: /v1/ }, to: { redirect: { status: 308, prefix: /v2/ } } }
  - { match: { path: /login }, to: { redirect: { path: /account, stripQuery: true } } }`,
  )
  const where = async (path: string, options: Call = {}): Promise<unknown[]> => {
    const { status, headers } = await call(rig.port(), { path, ...options })
    return [status, headers.location]
  }
  t.same(await where('/a?b=c', { headers: { host: 'old.example' } }), [301, 'https://www.example/a?b=c'])
  t.same(await where('/v1/x?y', { body: 'posted' }), [308, '/v2/x?y'])
  t.same(await where('/login?next=//evil'), [302, '/account'])
})

t.test('each route has its own timeout', async (t) => {
  const port = await startRawBusiness(t, () => undefined)
  const rig = await startRig(
    t,
    `log: { level: silent }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${port}] }]
routes:
  - { match: { path: /fast }, to: { cluster: out }, timeout: 50ms }
  - { match: {}, to: { cluster: out }, timeout: 400ms }`,
  )
  const order: string[] = []
  await Promise.all(
    ['/slow', '/fast'].map(async (path) => {
      t.equal((await call(rig.port(), { path })).status, 504)
      order.push(path)
    }),
  )
  t.same(order, ['/fast', '/slow'])
})

t.test('an operation over HTTP is routed by its name and answered with a result code', async (t) => {
  const port = await startBusiness(t, (request, response) => {
    if (request.url === '/fails') response.writeHead(500).end('broken')
    else if (request.url === '/coded') response.writeHead(200, { 'result-status': '7001' }).end()
    else response.end(`${request.method} ${request.url} ${request.headers['operation-type']}`)
  })
  const rig = await startRig(
    t,
    `log: { level: silent }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters:
  - { name: out, protocol: http1, endpoints: [127.0.0.1:${port}] }
  - { name: silent, protocol: http1, endpoints: [127.0.0.1:${await startRawBusiness(t, () => undefined)}] }
filters:
  - { use: rate-limit, enabled: false, qps: 0.001, burst: 1 }
  - { use: fault, enabled: false, abort: { status: 500, resultCode: 4003 } }
routes:
  - { match: { operation: shop.order.create }, to: { cluster: out } }
  - { match: { operation: shop.fails }, to: { cluster: out }, rewrite: { path: /fails } }
  - { match: { operation: shop.coded }, to: { cluster: out }, rewrite: { path: /coded } }
  - { match: { operation: shop.slow }, to: { cluster: silent }, timeout: 60ms }
  - { match: { operation: shop.limited }, to: { cluster: out }, filters: { rate-limit: true } }
  - { match: { operation: shop.fault }, to: { cluster: out }, filters: { fault: true } }
  - { match: { operation: shop.* }, to: { cluster: out }, rewrite: { path: /any } }`,
  )
  const operate = async (operation: string): Promise<unknown[]> => {
    const headers = { 'operation-type': operation, 'content-type': 'application/json' }
    const {
      status,
      headers: answered,
      text,
    } = await call(rig.port(), { path: '/mgw.htm', headers, body: '[{}]' })
    return [status, answered['result-status'], text]
  }
  t.same(await operate('shop.order.create'), [200, '1000', 'POST /mgw.htm shop.order.create'])
  t.same(await operate('shop.other'), [200, '1000', 'POST /any shop.other'])
  t.same((await operate('shop.fails')).slice(0, 2), [200, '4002'])
  t.same((await operate('shop.coded')).slice(0, 2), [200, '7001'], 'the business process has the last word')
  t.same(await operate('nobody.knows'), [200, '3000', ''])
  t.same(await operate('shop.slow'), [200, '4001', ''])
  await operate('shop.limited')
  t.same(await operate('shop.limited'), [200, '1002', ''])
  t.same((await operate('shop.fault')).slice(0, 2), [200, '4003'])
  const headers = { 'operation-type': 'shop.order.create' }
  t.equal((await call(rig.port(), { path: '/elsewhere', headers })).status, 404, 'on another path it is none')
})

/** Three business processes at ports that stay when one is stopped and started again. */
async function startFleet(
  t: Test,
  balancer: string,
  route = '',
): Promise<{
  rig: Rig
  ask(headers?: http.OutgoingHttpHeaders): Promise<string>
  stop(index: number): Promise<void>
  restart(index: number): Promise<void>
}> {
  const ports: number[] = []
  const servers: http.Server[] = []
  const start = async (index: number, port: number): Promise<void> => {
    const server = http.createServer((_, response) => response.end(String(index)))
    await once(server.listen(port, '127.0.0.1'), 'listening')
    servers[index] = server
    ports[index] = (server.address() as net.AddressInfo).port
  }
  const stop = async (index: number): Promise<void> => {
    const server = servers[index] as http.Server
    if (!server.listening) return
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  for (const index of [0, 1, 2]) await start(index, 0)
  t.teardown(() => Promise.all([0, 1, 2].map(stop)))
  const endpoints = ports.map(
    (port, index) => `{ address: '127.0.0.1:${port}', weight: ${index === 2 ? 2 : 1} }`,
  )
  const rig = await startRig(
    t,
    `log: { level: silent }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, balancer: ${balancer}, endpoints: [${endpoints}] }]
routes: [{ match: {}, to: { cluster: out }${route} }]`,
  )
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
  t.teardown(() => agent.destroy())
  return {
    rig,
    ask: async (headers = {}) => {
      const { status, text } = await call(rig.port(), { agent, headers })
      return status === 200 ? text : String(status)
    },
    stop,
    restart: (index) => start(index, ports[index] as number),
  }
}

function count(answers: readonly string[]): number[] {
  return ['0', '1', '2'].map((name) => answers.filter((answer) => answer === name).length)
}

for (const balancer of ['round-robin', 'random', 'least-request', 'weighted', 'ring-hash']) {
  t.test(
    `${balancer} shares out among three, does without the one that dies and takes it back`,
    async (t) => {
      const isHash = balancer === 'ring-hash'
      const { ask, stop, restart } = await startFleet(
        t,
        balancer,
        isHash ? ', hashKey: request.header.x-user' : '',
      )
      const askAll = async (): Promise<string[]> => {
        const answers: string[] = []
        for (let i = 0; i < 120; i += 4) {
          answers.push(...(await Promise.all([0, 1, 2, 3].map((j) => ask({ 'x-user': `user-${i + j}` })))))
        }
        return answers
      }
      const all = await askAll()
      const [first, second, third] = count(all) as [number, number, number]
      t.equal(first + second + third, 120, 'every request is served')
      t.ok(Math.min(first, second, third) >= 8, `each one has its share: ${count(all)}`)
      if (balancer === 'round-robin') t.same([first, second, third], [40, 40, 40])
      if (balancer === 'weighted') t.same([first, second, third], [30, 30, 60])
      if (isHash) t.same(await askAll(), all, 'the same key finds the same endpoint')

      await stop(1)
      const without = await askAll()
      t.equal(without.filter((answer) => answer === '1').length, 0)
      t.ok(without.filter((answer) => answer.length > 1).length === 0, `no request failed: ${count(without)}`)
      if (isHash)
        t.ok(
          all.every((answer, i) => answer === '1' || answer === without[i]),
          'the other keys stay',
        )

      await restart(1)
      let answers: string[] = []
      while (count(answers)[1] === 0) answers = await askAll()
      t.ok((count(answers)[1] as number) > 0)
      if (isHash) {
        while (String(await askAll()) !== String(all)) await new Promise((resolve) => setTimeout(resolve, 20))
        t.pass('all keys are back where they were')
      }
    },
  )
}
