/** SOFARPC for Node: as business process behind meshgate, as client through it, and as callee of translated operations. */
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { call, until } from '../support/http.ts'
import { type Rig, startRig } from '../support/rig.ts'
import { Running } from '../support/running.ts'
import { prepareJava, startJava } from './support/java.ts'
import { PEER_TYPES } from './support/peer-types.ts'
import { CLASS_MAP, type Consumer, loadSofaRpcNode, QUIET, SERVICE } from './support/sofa-node.ts'

const PROGRAM = fileURLToPath(new URL('support/sofa-node.ts', import.meta.url))
const AT_ONCE = 500
const IDLE_MS = 700

t.setTimeout(200_000)

const noJava = await prepareJava()

t.teardown(() => loadSofaRpcNode().scheduler.clear())

async function startNodeBusiness(t: Test): Promise<{ port: number; running: Running }> {
  const running = new Running(t, [PROGRAM])
  const [, port] = await running.until(/^port (\d+)$/m)
  return { port: Number(port), running }
}

function gatewayTo(
  t: Test,
  port: number,
  more: { filters?: string; timeout?: string; sharing?: string } = {},
): Promise<Rig> {
  const { filters = '', timeout = '5s', sharing = 'caller' } = more
  return startRig(
    t,
    `
log: { level: silent }
listeners:
  - { name: bolt, protocol: auto, address: 127.0.0.1:0 }
  - { name: web, protocol: http1, address: 127.0.0.1:0 }
clusters: [{ name: out, protocol: bolt, endpoints: ['127.0.0.1:${port}'], heartbeat: 200ms, sharing: ${sharing} }]
filters: [${filters}]
types: ${JSON.stringify(PEER_TYPES)}
routes:
  - { match: { service: '${SERVICE}:1.0' }, to: { cluster: out }, timeout: ${timeout} }
  - { match: { path: /text }, to: { cluster: out, service: ${SERVICE}, method: text, parameters: [String] } }
  - { match: { path: /item }, to: { cluster: out, service: ${SERVICE}, method: item, parameters: [com.example.peers.Item] } }
  - { match: { path: /anything }, to: { cluster: out, service: ${SERVICE}, method: anything, parameters: [Object] } }
  - { match: { path: /fail }, to: { cluster: out, service: ${SERVICE}, method: fail, parameters: [String], json: { exceptions: message } } }
  - { match: { path: /missing }, to: { cluster: out, service: ${SERVICE}, method: missing, parameters: [String] } }
`,
  )
}

async function connect(t: Test, port: number): Promise<Consumer> {
  const { RpcClient } = loadSofaRpcNode().client
  const client = new RpcClient({ logger: QUIET, classMap: CLASS_MAP })
  const consumer = client.createConsumer({
    interfaceName: SERVICE,
    serverHost: `127.0.0.1:${port}`,
    classMap: CLASS_MAP,
    // A closed consumer ends at the next of these; until then the process lives.
    retryFaultInterval: 300,
  })
  t.teardown(() => client.close())
  await consumer.ready()
  return consumer
}

/** A value, or what was thrown. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: Error) => `threw ${error.name}: ${error.message.split('\n')[0]}`)
}

const ITEM = { $class: 'com.example.peers.Item', $: { sku: 'é 中文 😀', count: 41, price: null } }
const CALLS: [name: string, method: string, args: unknown[]][] = [
  ['text', 'text', ['hello']],
  ['text, three scripts', 'text', ['é 中文 😀']],
  ['text of 65600', 'text', ['中'.repeat(65_600)]],
  ['null', 'text', [{ $class: 'java.lang.String', $: null }]],
  ['typed object', 'item', [ITEM]],
  ['list', 'texts', [{ $class: 'java.util.List', $: ['a', 'b'] }]],
  ['map', 'anything', [{ $class: 'java.util.Map', $: { a: 1, b: ['c', true] } }]],
  ['void', 'nothing', []],
  ['exception', 'fail', ['own']],
  ['unknown method', 'missing', ['x']],
]

async function sameAsDirectly(t: Test, direct: Consumer, through: Consumer): Promise<void> {
  for (const [name, method, args] of CALLS) {
    const expected = await outcome(direct.invoke(method, args))
    t.same(await outcome(through.invoke(method, args)), expected, name)
  }
  t.equal(await through.invoke('text', ['still']), 'still')
}

t.test('Node client → meshgate → Node business process', async (t) => {
  const { port, running } = await startNodeBusiness(t)
  const rig = await gatewayTo(t, port)
  const [direct, through] = await Promise.all([connect(t, port), connect(t, rig.port('bolt'))])

  await t.test('all calls end as they do without meshgate', (t) => sameAsDirectly(t, direct, through))

  await t.test(`${AT_ONCE} calls at once over one connection`, async (t) => {
    const calls = Array.from({ length: AT_ONCE }, (_, i) => through.invoke('text', [`call ${i}`]))
    for (const [i, answer] of (await Promise.all(calls)).entries())
      if (answer !== `call ${i}`) t.fail(`call ${i} got ${answer}`)
    t.equal(rig.gateway.clusters.get('out')?.part.report()[0]?.connections, 1)
  })

  await t.test('heartbeats keep the connection', async (t) => {
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS))
    t.equal(rig.gateway.clusters.get('out')?.part.report()[0]?.connections, 1)
    t.equal(await through.invoke('text', ['alive']), 'alive')
  })

  await t.test('a client that gives up does not disturb the others', async (t) => {
    const late = outcome(through.invoke('slow', [400], { responseTimeout: 100 }))
    t.match(await late, /threw .*[Tt]imeout/)
    await new Promise((resolve) => setTimeout(resolve, 400))
    t.equal(await through.invoke('text', ['next']), 'next')
  })

  await t.test('operations become calls', async (t) => {
    const send = (path: string, body: unknown) =>
      call(rig.port('web'), {
        path,
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      })
    t.match(await send('/text', ['é 中文 😀']), { status: 200, text: '"é 中文 😀"' })
    t.same(JSON.parse((await send('/item', { sku: 'a', count: 1, price: null })).text), {
      sku: 'a seen',
      count: 2,
      price: null,
    })
    t.same(JSON.parse((await send('/anything', [{ a: [1, 'b', null] }])).text), { a: [1, 'b', null] })
    const failed = await send('/fail', ['own'])
    t.ok(failed.status >= 400, `${failed.status}`)
    t.match(failed.text, /own failure/)
    t.ok((await send('/missing', ['x'])).status >= 400)
  })

  await t.test('its death ends the calls at once', async (t) => {
    const lost = Promise.all(
      [1, 2, 3].map(() => outcome(through.invoke('slow', [3000], { responseTimeout: 5000 }))),
    )
    await until('the calls are with it', () => rig.gateway.dispatcher.live === 3)
    const startedAt = performance.now()
    running.kill('SIGKILL')
    for (const one of await lost) t.match(one, /^threw /)
    t.ok(performance.now() - startedAt < 1500)
  })
})

t.test('meshgate’s own errors reach the client before its own time is up', async (t) => {
  const { port } = await startNodeBusiness(t)
  const slow = await connect(t, (await gatewayTo(t, port, { timeout: '150ms' })).port('bolt'))
  t.match(await outcome(slow.invoke('slow', [1000])), /^threw Error: /)
  const filters = '{ use: rate-limit, qps: 0.01, burst: 1 }'
  const limited = await connect(t, (await gatewayTo(t, port, { filters })).port('bolt'))
  t.equal(await limited.invoke('text', ['first']), 'first')
  t.match(await outcome(limited.invoke('text', ['second'])), /^threw Error: /)
})

t.test('Node and Java', noJava === false ? {} : { skip: noJava }, async (t) => {
  const [java, { port: nodePort }] = await Promise.all([startJava(t), startNodeBusiness(t)])
  const javaPort = await java.serve('sofa')

  await t.test('Node client → meshgate → Java server', async (t) => {
    const rig = await gatewayTo(t, javaPort)
    const [direct, through] = await Promise.all([connect(t, javaPort), connect(t, rig.port('bolt'))])
    await sameAsDirectly(t, direct, through)
    t.match(await through.invoke('item', [ITEM]), { sku: ITEM.$.sku, count: 41 })
  })

  await t.test('Java client → meshgate → Node business process', async (t) => {
    const rig = await gatewayTo(t, nodePort)
    for (const variant of ['v1', 'v2'] as const) {
      const calls = { framework: 'sofa', variant, port: rig.port('bolt') } as const
      t.same(
        await java.calls({ ...calls, method: 'text', text: '中文 😀', count: 50 }),
        { '中文 😀': 50 },
        variant,
      )
      t.same(
        await java.calls({ ...calls, method: 'slow', delayMs: 20, count: 5 }),
        { 'slept 20': 5 },
        variant,
      )
    }
    const node = await connect(t, rig.port('bolt'))
    t.equal(await node.invoke('text', ['after Java']), 'after Java', 'a Node client beside it')
    const connections = () => rig.gateway.clusters.get('out')?.part.report()[0]?.connections ?? 0
    t.ok(connections() > 1, 'each has a connection of its own')
    await java.close(rig.port('bolt'))
    await until('the connections of Java to close', () => connections() === 1)
  })
})
