/** JSON over HTTP and Mmtp → meshgate → Java servers of SOFARPC and Dubbo: every kind of value, every error. */
import t, { type Test } from 'tap'
import { connectMmtp, type MmtpCaller } from '../../lib/mmtp.ts'
import { call, curl, missing } from '../support/http.ts'
import { type Rig, startRig } from '../support/rig.ts'
import { type Framework, type JavaPeer, prepareJava, startJava } from './support/java.ts'
import { PEER_TYPES } from './support/peer-types.ts'
import { answerOf, CASES, ORDER, type TranslationCase } from './support/translation-cases.ts'
import { FAILURES, type FailingCase } from './support/translation-failures.ts'

const SERVICE = 'com.example.peers.PeerService'
const PROTOCOLS = { sofa: 'bolt', dubbo: 'dubbo' } as const
// Hessian of Dubbo loses floats and chars in public fields, with any client.
const KNOWN: Record<Framework, RegExp> = { sofa: /^$/, dubbo: /^numbers in a bean$/ }
const BUSY = { name: 'slow', method: 'slow', parameters: ['long'], body: '[800]' } as const

t.setTimeout(280_000)

const skip = await prepareJava()
const unlessSkipped = skip === false ? {} : { skip }

/** The operation of a case. */
function operationOf(index: number, kind: 'case' | 'failure'): string {
  return `peers.${kind}.n${index}`
}

function routeOf(operation: string, one: TranslationCase & Partial<FailingCase>): object {
  const { method, parameters, parameterNames, json, service = SERVICE, timeout = '10s' } = one
  const names = parameterNames === undefined ? {} : { parameterNames }
  const rules = json === undefined ? {} : { json }
  const to = { cluster: 'out', service, method, parameters, ...names, ...rules }
  return { match: { operation }, to, timeout }
}

/** A gateway with a route for each case. YAML is a superset of JSON. */
function configOf(framework: Framework, port: number, routes: readonly object[], types: object): string {
  return JSON.stringify({
    log: { level: 'silent' },
    listeners: [
      { name: 'web', protocol: 'http1', address: '127.0.0.1:0' },
      { name: 'rpc', protocol: 'mmtp', address: '127.0.0.1:0', trusted: true },
    ],
    clusters: [{ name: 'out', protocol: PROTOCOLS[framework], endpoints: [`127.0.0.1:${port}`] }],
    types,
    routes,
  })
}

/** What came back of an operation, over either protocol. */
interface Result {
  readonly status: number
  readonly memo: string
  readonly type: string
  readonly text: string
}

type Send = (operation: string, body: string) => Promise<Result>

function overHttp(rig: Rig): Send {
  return async (operation, body) => {
    const headers = { 'operation-type': operation, 'content-type': 'application/json' }
    const answer = await call(rig.port('web'), { method: 'POST', path: '/mgw.htm', headers, body })
    return {
      status: Number(answer.headers['result-status']),
      memo: decodeURIComponent(String(answer.headers['result-memo'] ?? '')),
      type: String(answer.headers['content-type']),
      text: answer.text,
    }
  }
}

function overMmtp(caller: MmtpCaller): Send {
  return async (operation, body) => {
    const { status, headers, body: bytes } = await caller.call(operation, Buffer.from(body))
    const memo = decodeURIComponent(headers['result-memo'] ?? '')
    return { status, memo, type: String(headers['content-type']), text: bytes.toString() }
  }
}

async function callersOf(t: Test, rig: Rig): Promise<Record<'HTTP' | 'Mmtp', Send>> {
  const caller = await connectMmtp(`127.0.0.1:${rig.port('rpc')}`)
  t.teardown(() => caller.close())
  return { HTTP: overHttp(rig), Mmtp: overMmtp(caller) }
}

async function testValues(t: Test, framework: Framework, port: number): Promise<void> {
  const routes = CASES.map((one, i) => routeOf(operationOf(i, 'case'), one))
  const rig = await startRig(t, configOf(framework, port, routes, PEER_TYPES))
  for (const [protocol, send] of Object.entries(await callersOf(t, rig))) {
    await t.test(`values over ${protocol}`, async (t) => {
      for (const [i, one] of CASES.entries()) {
        if (KNOWN[framework].test(one.name)) continue
        const result = await send(operationOf(i, 'case'), one.body)
        if (result.status !== 1000) {
          t.fail(`${one.name}: ${result.status} ${result.memo} ${result.text.slice(0, 300)}`)
          continue
        }
        t.same(JSON.parse(result.text), answerOf(one), one.name)
        t.match(result.type, /^application\/json/)
      }
    })
  }
}

async function testFailures(t: Test, framework: Framework, port: number): Promise<void> {
  const routes = FAILURES.map((one, i) => routeOf(operationOf(i, 'failure'), one))
  const rig = await startRig(t, configOf(framework, port, routes, PEER_TYPES))
  for (const [protocol, send] of Object.entries(await callersOf(t, rig))) {
    await t.test(`errors over ${protocol}`, async (t) => {
      for (const [i, { name, body, status, memo }] of FAILURES.entries()) {
        const result = await send(operationOf(i, 'failure'), body)
        t.equal(result.status, status, `${name}: ${result.memo} ${result.text.slice(0, 300)}`)
        t.match(result.memo, memo, `${name}: memo`)
        t.notMatch(result.text, /\bat com\.example|stackTrace/, `${name}: no stack`)
      }
    })
  }
}

/** One thread, nobody may wait. */
async function testBusy(t: Test, framework: Framework, server: JavaPeer): Promise<void> {
  const port = await server.serve(framework, { threads: 1, queues: 0 })
  const rig = await startRig(t, configOf(framework, port, [routeOf('peers.slow', BUSY)], {}))
  for (const [protocol, send] of Object.entries(await callersOf(t, rig))) {
    const results = await Promise.all([1, 2, 3].map(() => send('peers.slow', BUSY.body)))
    const statuses = results.map(({ status }) => status).sort()
    t.same(
      statuses,
      [1000, 1002, 1002],
      `${protocol}: one is served, the others are told that the server is busy`,
    )
  }
}

/** Without `types`: objects are what the JSON says, of the class that the route names. */
async function testUndescribed(t: Test, framework: Framework, port: number): Promise<void> {
  // SOFARPC needs to be told what a nested object is; Dubbo finds out by the field.
  const nested = { ...(framework === 'sofa' && { class: 'com.example.peers.Item' }), sku: 'a', count: 2 }
  const cases: TranslationCase[] = [
    {
      name: 'bean',
      method: 'item',
      parameters: ['com.example.peers.Item'],
      body: JSON.stringify([{ sku: 'a', count: 2 }]),
      answer: { sku: 'a', count: 2, price: null },
    },
    {
      name: 'list of beans',
      method: 'items',
      parameters: ['java.util.List<com.example.peers.Item>'],
      body: JSON.stringify([[{ sku: 'a', count: 2 }]]),
      answer: [{ sku: 'a', count: 2, price: null }],
    },
    { name: 'text', method: 'text', parameters: ['java.lang.String'], body: '["x"]', answer: 'x' },
    {
      name: 'nested bean',
      method: 'order',
      parameters: ['com.example.peers.Order'],
      body: JSON.stringify([{ id: 'o', first: nested }]),
      answer: undefined,
    },
  ]
  const routes = cases.map((one, i) => routeOf(operationOf(i, 'case'), one))
  const rig = await startRig(t, configOf(framework, port, routes, {}))
  const { HTTP } = await callersOf(t, rig)
  for (const [i, one] of cases.entries()) {
    const result = await HTTP(operationOf(i, 'case'), one.body)
    t.equal(result.status, 1000, `${one.name}: ${result.memo} ${result.text.slice(0, 300)}`)
    if (result.status !== 1000) continue
    if (one.answer !== undefined) t.same(JSON.parse(result.text), one.answer, one.name)
    else t.match(JSON.parse(result.text), { id: 'o', first: { sku: 'a', count: 2 } }, one.name)
  }
}

/** Nothing but YAML and curl. */
async function testCurl(t: Test, framework: Framework, port: number): Promise<void> {
  const to = `{ cluster: out, service: ${SERVICE}, method: order, parameters: [com.example.peers.Order] }`
  const rig = await startRig(
    t,
    `
listeners: [{ name: web, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: ${PROTOCOLS[framework]}, endpoints: ['127.0.0.1:${port}'] }]
types: ${JSON.stringify(PEER_TYPES)}
routes:
  - { match: { path: /orders }, to: ${to} }
  - { match: { path: /fail }, to: { cluster: out, service: ${SERVICE}, method: fail, parameters: [String] } }
`,
  )
  const url = `http://127.0.0.1:${rig.port('web')}`
  const { stdout } = await curl(['-i', '-d', JSON.stringify(ORDER), `${url}/orders`])
  t.match(stdout, /^HTTP\/1\.1 200 /)
  t.same(JSON.parse(Buffer.from(stdout.split('\r\n\r\n').at(-1) ?? '', 'latin1').toString()), ORDER)
  t.match(
    (await curl(['-i', '-d', '{"paid": 1}', `${url}/orders`])).stdout,
    /^HTTP\/1\.1 400 .*\.paid: expected/s,
  )
  t.match((await curl(['-i', '-d', '["own"]', `${url}/fail`])).stdout, /^HTTP\/1\.1 [45]\d\d /)
}

for (const framework of ['sofa', 'dubbo'] as const) {
  t.test(`JSON → meshgate → Java server, ${framework}`, unlessSkipped, async (t) => {
    const server = await startJava(t)
    const port = await server.serve(framework)
    await t.test('values', (t) => testValues(t, framework, port))
    await t.test('errors', (t) => testFailures(t, framework, port))
    await t.test('without descriptions of types', (t) => testUndescribed(t, framework, port))
    await t.test('a busy server', (t) => testBusy(t, framework, server))
    const noCurl = missing('curl')
    await t.test('curl', noCurl === false ? {} : { skip: noCurl }, (t) => testCurl(t, framework, port))
  })
}
