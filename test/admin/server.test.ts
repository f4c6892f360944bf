import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Script } from 'node:vm'
import t, { type Test } from 'tap'
import { ENDPOINTS } from '../../lib/admin/endpoints.ts'
import { call, startAdmin } from './call.ts'
import { FakeGateway, MemoryLog, recentError, scope } from './fake-gateway.ts'

async function start(t: Test, address = '127.0.0.1:0') {
  const gateway = new FakeGateway()
  const log = new MemoryLog()
  const server = await startAdmin(address, gateway, log)
  t.teardown(() => server.close())
  return { gateway, log, server, address: server.address }
}

t.test('reads', async (t) => {
  const { gateway, address } = await start(t)
  const get = (path: string) => call(address, `GET ${path}`)

  await t.test('/ready answers 200 when ready and 503 in every other phase', async (t) => {
    for (const phase of ['starting', 'ready', 'draining', 'stopped'] as const) {
      gateway.phase = phase
      const answer = await get('/ready')
      t.equal(answer.status, phase === 'ready' ? 200 : 503)
      t.same(answer.json(), { phase })
      t.equal((await get('/livez')).status, 200, `${phase} is alive`)
    }
    gateway.phase = 'ready'
  })

  await t.test('every report comes as the inspector gives it', async (t) => {
    gateway.errorReports = [recentError('NO_ROUTE', 'no route matches')]
    t.same((await get('/stats')).json(), gateway.stats())
    t.same((await get('/config')).json(), gateway.configReport)
    t.same((await get('/listeners')).json(), { listeners: gateway.listenerReports })
    t.same((await get('/clusters')).json(), { clusters: gateway.clusterReports })
    t.same((await get('/filters')).json(), { filters: gateway.filterReports })
    t.same((await get('/errors')).json(), { errors: gateway.errorReports })
    t.same((await get('/routes')).json(), { total: 1, routes: gateway.routeReports })
    t.same((await get('/connections')).json(), { total: 1, connections: gateway.connectionReports })
    t.same((await get('/log-level')).json(), { level: 'info' })
  })

  await t.test('/routes and /connections take a limit, and refuse one that is none', async (t) => {
    gateway.routeReports = Array.from({ length: 300 }, (_, i) => ({
      name: `r${i}`,
      match: '',
      to: 'web',
      ...scope(300 - i),
    }))
    t.equal((await get('/routes')).json().routes.length, 100)
    t.equal((await get('/routes?limit=7')).json().routes.length, 7)
    t.equal((await get('/routes?limit=7')).json().total, 300)
    for (const limit of ['0', '-1', '1.5', 'x', '', '1e3', '999999999']) {
      const answer = await get(`/routes?limit=${limit}`)
      t.equal(answer.status, 400)
      t.match(answer.json(), { error: 'BAD_PARAMETER', message: /whole number from 1 to 100000/ })
    }
    t.equal((await get('/connections?limit=0')).status, 400)
  })

  await t.test('/metrics is Prometheus text', async (t) => {
    const { status, headers, text } = await get('/metrics')
    t.equal(status, 200)
    t.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    t.equal(text, gateway.metrics)
  })

  await t.test('/overview holds all that the page shows, without the configuration', async (t) => {
    const overview = (await get('/overview')).json()
    t.match(overview, { logLevel: 'info', stats: { phase: 'ready' }, config: { version: 3, refused: null } })
    t.equal(overview.config.config, undefined)
    t.equal(overview.routes.routes.length, 50)
    t.equal(overview.routes.total, 300)
  })

  await t.test('JSON is one line, or indented with ?pretty', async (t) => {
    t.equal((await get('/stats')).text.trimEnd().split('\n').length, 1)
    t.ok((await get('/stats?pretty')).text.includes('\n  "phase": "ready"'))
    t.equal((await get('/stats?pretty=false')).text.trimEnd().split('\n').length, 1)
    t.ok((await get('/nowhere?pretty')).text.includes('\n  "error"'))
  })

  await t.test('HEAD answers like GET without a body', async (t) => {
    const { status, text, headers } = await call(address, 'HEAD /stats')
    t.equal(status, 200)
    t.equal(text, '')
    t.match(headers['content-type'], 'application/json')
  })

  await t.test('every answer forbids caching, sniffing, framing and foreign reading', async (t) => {
    for (const line of ['GET /stats', 'GET /', 'GET /metrics', 'GET /nowhere', 'POST /stats']) {
      const { headers } = await call(address, line)
      t.equal(headers['cache-control'], 'no-store', line)
      t.equal(headers['x-content-type-options'], 'nosniff')
      t.equal(headers['cross-origin-resource-policy'], 'same-origin')
      t.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/)
      t.equal(headers['access-control-allow-origin'], undefined)
    }
  })
})

t.test('a path that does not exist gets the list of those that do', async (t) => {
  const { address } = await start(t)
  const answer = await call(address, 'GET /nowhere?x=1')
  t.equal(answer.status, 404)
  t.match(answer.json(), { error: 'NOT_FOUND', message: 'there is no /nowhere' })
  t.equal(answer.json().endpoints.length, ENDPOINTS.length)
})

t.test('changes are made by POST only, reads by GET: anything else gets 405 with Allow', async (t) => {
  const { gateway, address } = await start(t)
  for (const { path } of ENDPOINTS) {
    const methods = ENDPOINTS.filter((endpoint) => endpoint.path === path).map(({ method }) => method)
    const allow = [...(methods.includes('GET') ? ['HEAD'] : []), ...methods].join(', ')
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      if (methods.includes(method as 'GET')) continue
      const answer = await call(address, `${method} ${path}`)
      t.equal(answer.status, 405, `${method} ${path}`)
      t.equal(answer.headers.allow, allow)
      t.equal(answer.json().error, 'METHOD_NOT_ALLOWED')
    }
  }
  t.equal(gateway.drains, 0)
})

t.test('POST /log-level', async (t) => {
  const { gateway, log, address } = await start(t)
  const post = (path: string, body?: string, headers?: Record<string, string>) =>
    call(address, `POST ${path}`, {
      ...(body === undefined ? {} : { body }),
      ...(headers ? { headers } : {}),
    })
  t.same((await post('/log-level?level=debug')).json(), { level: 'debug', before: 'info' })
  t.equal(gateway.level, 'debug')
  const asJson = { 'content-type': 'application/json' }
  t.equal((await post('/log-level', '{"level":"warn"}', asJson)).json().level, 'warn')
  const asForm = { 'content-type': 'application/x-www-form-urlencoded' }
  t.equal(
    (await post('/log-level', '{"level":"trace"}', asForm)).json().level,
    'trace',
    'as curl -d sends it',
  )
  t.match(log.lines[0], { level: 'info', fields: { before: 'info', level: 'debug' } })
  for (const [path, body, error, message] of [
    ['/log-level?level=loud', undefined, 'BAD_PARAMETER', /unknown log level "loud"/],
    ['/log-level', undefined, 'BAD_PARAMETER', /the level is missing/],
    ['/log-level', '{"level":5}', 'BAD_PARAMETER', /the level is missing/],
    ['/log-level', 'null', 'BAD_PARAMETER', /the level is missing/],
    ['/log-level', '{level', 'BAD_BODY', /no JSON/],
  ] as const) {
    const answer = await post(path, body)
    t.equal(answer.status, 400, `${path} ${body}`)
    t.match(answer.json(), { error, message })
  }
  const large = await post('/log-level', 'x'.repeat(5000))
  t.equal(large.status, 413)
  t.match(large.json(), { message: /too large/ })
  t.equal(gateway.level, 'trace')
})

t.test('POST /drain starts the drain and does not wait for its end', async (t) => {
  const { gateway, log, address } = await start(t)
  let fail = (_: Error) => {}
  gateway.drained = new Promise((_, reject) => {
    fail = reject
  })
  const answer = await call(address, 'POST /drain')
  t.equal(answer.status, 202)
  t.same(answer.json(), { phase: 'draining' })
  t.equal(gateway.drains, 1)
  fail(new Error('stuck'))
  await new Promise(setImmediate)
  t.match(log.lines, [{ level: 'info' }, { level: 'error', fields: { err: { message: 'stuck' } } }])
})

t.test('POST /heap-snapshot streams a snapshot; another one may follow', async (t) => {
  const { address } = await start(t)
  for (let i = 0; i < 2; i++) {
    const { status, headers, text } = await call(address, 'POST /heap-snapshot')
    t.equal(status, 200)
    t.match(headers['content-disposition'], /filename="meshgate-\d+\.heapsnapshot"/)
    t.ok(text.startsWith('{"snapshot":{"meta"'))
    t.ok(text.trimEnd().endsWith('}'))
  }
})

t.test('POST /cpu-profile', async (t) => {
  const { address, server } = await start(t)
  for (const seconds of ['0', '61', '1.5', 'x', '-1']) {
    const answer = await call(address, `POST /cpu-profile?seconds=${seconds}`)
    t.equal(answer.status, 400)
    t.match(answer.json().message, /from 1 to 60/)
  }

  await t.test('gives a profile, and one at a time', async (t) => {
    const first = call(address, 'POST /cpu-profile?seconds=1')
    await call(address, 'GET /livez')
    for (const path of ['/cpu-profile?seconds=1', '/heap-snapshot']) {
      const second = await call(address, `POST ${path}`)
      t.equal(second.status, 409)
      t.match(second.json(), { error: 'BUSY', message: /a CPU profile is being taken/ })
    }
    const { status, headers, text } = await first
    t.equal(status, 200)
    t.match(headers['content-disposition'], /\.cpuprofile"/)
    t.match(JSON.parse(text), { nodes: Array, samples: Array, timeDeltas: Array })
  })

  await t.test('ends at once when the caller goes away', async (t) => {
    const [host, port] = address.split(':')
    const outgoing = request({ host, port, method: 'POST', path: '/cpu-profile?seconds=60', agent: false })
    outgoing.on('error', () => {})
    outgoing.end()
    let status = 0
    while (status !== 409) status = (await call(address, 'POST /heap-snapshot')).status
    outgoing.destroy()
    while (status === 409) status = (await call(address, 'POST /heap-snapshot')).status
    t.equal(status, 200)
  })

  await t.test('ends at once when the admin port closes', async (t) => {
    const profile = call(address, 'POST /cpu-profile?seconds=60').catch((error: Error) => error)
    await call(address, 'GET /livez')
    await server.close()
    await profile
    t.pass()
  })
})

t.test('an inspector that fails gives 500 and a line in the log', async (t) => {
  const { gateway, log, address } = await start(t)
  gateway.listeners = () => {
    throw new Error('listeners are broken')
  }
  const answer = await call(address, 'GET /listeners')
  t.equal(answer.status, 500)
  t.same(answer.json(), { error: 'INTERNAL', message: 'listeners are broken' })
  t.match(log.lines, [{ level: 'error', fields: { path: '/listeners' } }])
})

t.test('a request that names the port by a foreign name is refused: DNS rebinding', async (t) => {
  const { address } = await start(t)
  const port = address.split(':')[1]
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::2]',
  ]) {
    const answer = await call(address, 'GET /stats', { headers: { host } })
    t.equal(answer.status, 403, host)
    t.equal(answer.json().error, 'WRONG_HOST')
  }
  for (const host of [
    'localhost',
    'LOCALHOST:1',
    'localhost.',
    `127.0.0.1:${port}`,
    '127.8.9.1',
    '[::1]:15000',
    '[::1]',
  ]) {
    t.equal((await call(address, 'GET /stats', { headers: { host } })).status, 200, host)
  }
})

t.test('a request without a host name is refused', async (t) => {
  const { address } = await start(t)
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  socket.end('GET /stats HTTP/1.0\r\n\r\n')
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.[01] 403 /)
  await once(socket, 'close')
})

t.test('bound to every address, the one that the connection came to is a name too', async (t) => {
  const { server } = await start(t, '0.0.0.0:0')
  const port = server.address.split(':')[1]
  const answer = await call(`127.0.0.2:${port}`, 'GET /stats', { headers: { host: `127.0.0.2:${port}` } })
  t.equal(answer.status, 200)
  t.equal((await call(`127.0.0.1:${port}`, 'GET /stats', { headers: { host: '10.9.9.9' } })).status, 403)
})

t.test('other sites can change nothing and read nothing', async (t) => {
  const { gateway, address } = await start(t)
  for (const headers of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: 'http://localhost:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  ]) {
    const answer = await call(address, 'POST /drain', { headers: headers as Record<string, string> })
    t.equal(answer.status, 403, JSON.stringify(headers))
    t.equal(answer.json().error, 'CROSS_ORIGIN')
  }
  t.equal(gateway.drains, 0)
  const image = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }
  t.equal((await call(address, 'GET /metrics', { headers: image })).status, 403)
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
  t.equal((await call(address, 'GET /', { headers: link })).status, 200, 'a link may be followed')
  const own = { origin: `http://${address}`, 'sec-fetch-site': 'same-origin' }
  t.equal((await call(address, 'POST /log-level?level=debug', { headers: own })).status, 200)
})

t.test('the page runs nothing but its own script', async (t) => {
  const { address } = await start(t)
  const { headers, text } = await call(address, 'GET /')
  t.equal(headers['content-type'], 'text/html; charset=utf-8')
  const policy = String(headers['content-security-policy'])
  t.match(policy, /script-src 'sha256-[^']+';/)
  t.match(policy, /require-trusted-types-for 'script'/)
  t.notMatch(policy, /unsafe/)
  const [, script] = /<script>([\s\S]*)<\/script>/.exec(text) ?? []
  t.doesNotThrow(() => new Script(script))
  t.notMatch(text, /innerHTML|insertAdjacentHTML|document\.write|\bimport\b|https?:\/\/(?!www\.w3\.org)/)
})

t.test('a Unix socket', { skip: process.platform === 'win32' && 'no Unix sockets here' }, async (t) => {
  const path = join(t.testdir(), 'admin.sock')

  await t.test('is served under any host name', async (t) => {
    const { address, server } = await start(t, `unix:${path}`)
    t.equal(address, path)
    t.equal((await call(path, 'GET /ready', { headers: { host: 'whatever' } })).status, 200)
    await server.close()
    t.equal(existsSync(path), false)
  })
})

t.test('closing does not wait for idle connections', async (t) => {
  const { server, address } = await start(t)
  const [host, port] = address.split(':')
  const idle = connect(Number(port), host)
  await once(idle, 'connect')
  const gone = once(idle, 'close')
  await server.close()
  await gone
  await server.close()
  t.pass()
})
