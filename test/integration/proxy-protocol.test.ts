/** The PROXY protocol from end to end: what a load balancer says about its client is what filters and the business process see. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { connectMmtp } from '../../lib/mmtp.ts'
import { call, connectRaw, freePort, logLines, stopWith } from '../support/http.ts'
import { exchangeRaw, type Rig, startBusiness, startRig } from '../support/rig.ts'

const CLIENT = '127.9.8.7'
const HAPROXY = ['haproxy', '/usr/sbin/haproxy'].find((path) => spawnSync(path, ['-v']).error === undefined)

/** One listener a mode; every client may call twice. */
async function startProxied(t: Test): Promise<Rig> {
  const business = await startBusiness(t, (request, response) => {
    request.resume()
    response.end(String(request.headers['x-forwarded-for']))
  })
  return startRig(
    t,
    `
log: { level: silent }
listeners:
  - { name: required, protocol: http1, address: 127.0.0.1:0, proxyProtocol: required, timeouts: { header: 500ms } }
  - { name: optional, protocol: auto, address: 127.0.0.1:0, proxyProtocol: optional }
  - { name: off, protocol: http1, address: 127.0.0.1:0 }
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${business}] }]
filters:
  - { use: access-log, path: access.log, format: json, fields: { ip: client.ip, listener: listener } }
  - { use: rate-limit, key: client.ip, qps: 0.001, burst: 2 }
routes: [{ match: {}, to: { cluster: out, method: POST, path: / } }]
`,
  )
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

function v1(client: string): string {
  return `PROXY TCP4 ${client} 127.0.0.1 56324 443\r\n`
}

t.test('the client of the header is the client of the log, the limit and X-Forwarded-For', async (t) => {
  const rig = await startProxied(t)
  const port = rig.port('required')
  const send = (client: string): Promise<string> => exchangeRaw(port, v1(client) + REQUEST, false)
  t.match(await send('192.0.2.1'), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n192\.0\.2\.1$/)
  t.match(await send('192.0.2.1'), /^HTTP\/1\.1 200 /)
  t.match(await send('192.0.2.1'), /^HTTP\/1\.1 429 /)
  t.match(await send('192.0.2.2'), /^HTTP\/1\.1 200 /, 'another client has its own limit')
  const lines = await logLines(rig, 4)
  t.same(
    lines.map((line) => JSON.parse(line).ip),
    ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'],
  )
})

t.test('version 2, in pieces, with IPv6 and with what follows in one packet', async (t) => {
  const rig = await startProxied(t)
  const header = Buffer.concat([
    Buffer.from('0d0a0d0a000d0a515549540a' + '21' + '21' + '0024', 'hex'),
    Buffer.from('20010db8000000000000000000000001' + '20010db8000000000000000000000002', 'hex'),
    Buffer.from('dc0401bb', 'hex'),
  ])
  t.match(
    await exchangeRaw(rig.port('required'), Buffer.concat([header, Buffer.from(REQUEST)]), false),
    /\r\n\r\n2001:db8::1$/,
  )
  const peer = await connectRaw(t, rig.port('required'))
  peer.socket.setNoDelay(true)
  for (const byte of header) {
    peer.send(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  peer.send(REQUEST)
  t.match(await peer.untilOver(), /\r\n\r\n2001:db8::1$/)
})

t.test('where it is required nobody comes in without it, where it is optional everybody does', async (t) => {
  const rig = await startProxied(t)
  t.equal(await exchangeRaw(rig.port('required'), REQUEST, false).catch(() => ''), '')
  t.equal(await exchangeRaw(rig.port('required'), 'PROXY TCP4 nonsense\r\n', false).catch(() => ''), '')
  const silent = await connectRaw(t, rig.port('required'))
  t.equal(await silent.untilOver(5000), '', 'who says nothing is closed after the header timeout')
  t.match(await exchangeRaw(rig.port('optional'), REQUEST, false), /\r\n\r\n127\.0\.0\.1$/)
  t.match(await exchangeRaw(rig.port('optional'), v1('192.0.2.9') + REQUEST, false), /\r\n\r\n192\.0\.2\.9$/)
  t.match(await exchangeRaw(rig.port('off'), v1('192.0.2.9') + REQUEST, false), /^HTTP\/1\.1 400 /)
  const caller = await connectMmtp(`127.0.0.1:${rig.port('optional')}`)
  t.equal(
    (await caller.call('demo.any', '{}', { timeoutMs: 5000 })).status,
    1000,
    'Mmtp without a header, too',
  )
  await caller.close()
})

/** One haproxy with a port for each version; its clients are known by their source address. */
async function startHaproxy(t: Test, gatewayPort: number): Promise<{ v1: number; v2: number }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-haproxy-'))
  const ports = { v1: await freePort(), v2: await freePort() }
  const listen = (name: 'v1' | 'v2', send: string): string => `
listen ${name}
  bind 127.0.0.1:${ports[name]}
  mode tcp
  server gateway 127.0.0.1:${gatewayPort} ${send}
`
  await writeFile(
    path.join(folder, 'haproxy.cfg'),
    `defaults\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n${listen('v1', 'send-proxy')}${listen('v2', 'send-proxy-v2')}`,
  )
  const child = spawn(HAPROXY as string, ['-db', '-q', '-f', path.join(folder, 'haproxy.cfg')], {
    stdio: 'inherit',
  })
  stopWith(t, child, 'SIGKILL')
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  for (;;) {
    const socket = net.connect(ports.v2, '127.0.0.1')
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isUp) return ports
    if (child.exitCode !== null) throw new Error(`haproxy ended with ${child.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const haproxyIsMissing = HAPROXY === undefined && 'haproxy is not installed'

t.test('behind a real haproxy', { skip: haproxyIsMissing }, async (t) => {
  const rig = await startProxied(t)
  const ports = await startHaproxy(t, rig.port('required'))
  for (const version of ['v1', 'v2'] as const) {
    const client = version === 'v1' ? CLIENT : CLIENT.replace('9', '10')
    // Linux lets a client come from any address of 127/8.
    const socketOptions = { localAddress: client } as object
    const answer = await call(ports[version], { ...socketOptions })
    t.match(answer, { status: 200, text: client }, version)
  }
  const seen = (await logLines(rig, 2)).map((line) => JSON.parse(line).ip)
  t.ok(seen.includes(CLIENT))
})
