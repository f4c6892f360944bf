/** A configuration takes the place of another while requests run. */
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type net from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { call, freePort, readAnswer, simpleConfig, until } from '../support/http.ts'
import { HttpLoad } from '../support/load.ts'
import { type Rig, startBusiness, startRawBusiness, startRig } from '../support/rig.ts'

/** Neither a watch nor its timers keep a process alive; the test has to. */
const alive = setInterval(() => {}, 10_000)
t.teardown(() => clearInterval(alive))

interface Shape {
  readonly port: number | string
  readonly business: number
  readonly filters?: string
  readonly routes?: number
  readonly limits?: string
  readonly more?: string
}

function configOf({ port, business, filters = '', routes = 1, limits = '', more = '' }: Shape): string {
  const list = Array.from(
    { length: routes },
    (_, i) => `  - { match: { path: /extra/${i} }, to: { cluster: out } }\n`,
  )
  return `
log: { level: silent }
admin: { address: 127.0.0.1:0 }
drain: { grace: 2s }
listeners:
  - { name: in, protocol: http1, address: '127.0.0.1:${port}'${limits} }
${more}clusters: [{ name: out, protocol: http1, endpoints: ['127.0.0.1:${business}'] }]
filters: [${filters}]
routes:
${list.join('')}  - { match: {}, to: { cluster: out } }
`
}

/** A business process that says its name. */
function startNamed(t: Test, name: string): Promise<number> {
  return startBusiness(t, (_request, response) => response.end(name))
}

t.test('no request fails while the file changes in every way', async (t) => {
  const [first, second] = [await startNamed(t, 'first'), await startNamed(t, 'second')]
  const port = await freePort()
  const other = await freePort()
  const rig = await startRig(t, configOf({ port, business: first }))
  const load = new HttpLoad(port, { connections: 8 })
  const extra = `  - { name: extra, protocol: auto, address: '127.0.0.1:${other}' }\n`
  const renamed = (text: string): string => text.replace('name: in,', 'name: door,')
  const changes = [
    configOf({ port, business: first, routes: 300 }),
    configOf({ port, business: second }),
    configOf({ port, business: second, filters: 'trace-context, { use: rate-limit, qps: 1000000 }' }),
    configOf({ port, business: first, limits: ', limits: { headers: 50 }, timeouts: { idle: 9s }' }),
    configOf({ port, business: first, more: extra }),
    renamed(configOf({ port, business: first, more: extra })),
    renamed(configOf({ port, business: first })).replace(
      'protocol: http1, address',
      'protocol: auto, address',
    ),
    configOf({ port, business: second, filters: '{ use: headers, response: { set: { x-a: b } } }' }),
  ]
  let accepted = 1
  for (let round = 0; round < 2; round++) {
    for (const text of changes) {
      await rig.reconfigure(text)
      t.equal(rig.gateway.refused, null)
      t.equal(rig.gateway.serving.version, ++accepted)
      const before: number = load.answered
      await until('requests go on', () => load.answered > before + 20)
    }
  }
  await load.stop()
  t.same(load.lost, [])
  t.equal(load.refused, 0)
  t.same([...load.statuses.keys()], [200])
  t.equal(rig.gateway.clusters.size, 1)
})

t.test('what is wrong is refused as a whole, and the old configuration serves on', async (t) => {
  const business = await startNamed(t, 'here')
  const rig = await startRig(t, configOf({ port: 0, business }))
  const before = rig.gateway.serving
  const taken = await startBusiness(t, () => undefined)
  const sound = configOf({ port: 0, business })
  const wrong: [string, RegExp][] = [
    [sound.replace('cluster: out }', 'cluster: uot }'), /no cluster "uot" — did you mean "out"\?/],
    ['listeners: [', /./],
    [
      sound.replace('filters: []', 'filters: [{ use: headers, request: { set: { "a b": c } } }]'),
      /filters\[0\].*a b/,
    ],
    [
      sound.replace('filters: []', 'filters: [./gone.ts]'),
      /filters\[0\]\.use: .*gone\.ts: there is no such file/,
    ],
    [sound.replace('match: {}', 'match: { path: "~(" }'), /routes\[1\].*regular expression/],
    [
      configOf({
        port: 0,
        business,
        more: `  - { name: b, protocol: http1, address: '127.0.0.1:${taken}' }\n`,
      }),
      /in use/,
    ],
    ['', /listeners/],
  ]
  for (const [text, reason] of wrong) {
    await rig.reconfigure(text)
    t.match(rig.gateway.refused?.join('\n'), reason)
    t.equal(rig.gateway.serving, before)
    t.match(await call(rig.port()), { status: 200, text: 'here' })
  }
  const { port } = await adminOf(rig)
  const report = JSON.parse((await call(port, { path: '/config' })).text)
  t.match(report, { version: 1, refused: [/listeners/] })
  const metrics = (await call(port, { path: '/metrics' })).text
  t.match(metrics, new RegExp(`\\nmeshgate_config_refusals_total(\\{[^}]*\\})? ${wrong.length}\\n`))
  t.match(metrics, /\nmeshgate_config_refused(\{[^}]*\})? 1\n/)
  t.equal(rig.gateway.listeners.size, 1)

  await rig.reconfigure(`${sound}# mended\n`)
  t.equal(rig.gateway.refused, null)
  t.match(JSON.parse((await call(port, { path: '/config' })).text), {
    version: 2,
    refused: null,
    checksum: rig.gateway.serving.checksum,
  })
})

/** The port that answers for the gateway's operator. */
async function adminOf(rig: Rig): Promise<{ port: number }> {
  return { port: Number(rig.gateway.adminAddress?.split(':').at(-1)) }
}

t.test('the file is followed: renames of editors, links of config maps, deletion and return', async (t) => {
  const business = await startNamed(t, 'here')
  const rig = await startRig(t, configOf({ port: 0, business }), { isWatching: true })
  const version = (): number => rig.gateway.serving.version
  const load = new HttpLoad(rig.port(), { connections: 2, pauseMs: 1 })

  const next = path.join(rig.folder, '.meshgate.yaml.swp')
  await writeFile(next, configOf({ port: 0, business, routes: 2 }))
  await rename(next, rig.file)
  await until('the renamed file serves', () => version() === 2)

  await rm(rig.file)
  await writeFile(path.join(rig.folder, 'other'), '')
  await writeFile(rig.file, configOf({ port: 0, business, routes: 3 }))
  await until('the file that came back serves', () => version() === 3)

  // As the kubelet does it: file → ..data/file, ..data → a folder, and the link is exchanged.
  for (const [name, routes] of [
    ['..1', 4],
    ['..2', 5],
  ] as const) {
    await mkdir(path.join(rig.folder, name))
    await writeFile(path.join(rig.folder, name, 'meshgate.yaml'), configOf({ port: 0, business, routes }))
  }
  await symlink('..1', path.join(rig.folder, '..data'))
  await symlink('..data/meshgate.yaml', path.join(rig.folder, 'link'))
  await rename(path.join(rig.folder, 'link'), rig.file)
  await until('the linked file serves', () => version() === 4)
  await symlink('..2', path.join(rig.folder, '..next'))
  await rename(path.join(rig.folder, '..next'), path.join(rig.folder, '..data'))
  await until('the exchanged link serves', () => version() === 5)
  t.equal(rig.gateway.serving.config.routes.length, 6)

  await writeFile(path.join(rig.folder, '..2', 'meshgate.yaml'), 'nonsense: true\n')
  await until('nonsense is refused', () => rig.gateway.refused !== null)
  t.equal(version(), 5)
  await writeFile(path.join(rig.folder, '..2', 'meshgate.yaml'), configOf({ port: 0, business, routes: 5 }))
  await until('the text that serves came back', () => rig.gateway.refused === null)
  t.equal(version(), 5)
  await load.stop()
  t.same(load.lost, [])
})

t.test(
  'an exchange keeps its filters and its cluster until it is over, whatever is swapped meanwhile',
  async (t) => {
    const closed: string[] = []
    const held: http.ServerResponse[] = []
    const business = await startBusiness(t, (request, response) => {
      if (request.url === '/hold') {
        response.writeHead(200, { 'x-from': 'old' })
        response.write('one ')
        held.push(response)
      } else response.end('new')
    })
    const filters = `'${path.join(t.testdir({ 'counting.ts': COUNTING }), 'counting.ts')}'`
    const rig = await startRig(t, configOf({ port: 0, business, filters }))
    ;(globalThis as { onCountingClosed?: (name: string) => void }).onCountingClosed = (name) =>
      closed.push(name)
    const agent = new http.Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    const answer = new Promise<http.IncomingMessage>((resolve) => {
      http.get({ port: rig.port(), host: '127.0.0.1', path: '/hold', agent }, resolve)
    })
    const response = await answer
    t.equal(response.headers['x-counted'], 'yes')
    const oldCluster = rig.gateway.clusters.get('out')?.part
    const other = await startNamed(t, 'other')

    // Two changes: the exchange is two configurations behind when its cluster goes.
    await rig.reconfigure(configOf({ port: 0, business, filters, routes: 2 }))
    await rig.reconfigure(configOf({ port: 0, business: other }))
    t.same(closed, ['filter'], 'only the filters of the one that nobody uses are closed')
    t.equal((await call(rig.port())).text, 'other')
    t.equal(oldCluster?.report()[0]?.connections, 1, 'the connection of the removed cluster is still in use')
    held[0]?.end('two')
    t.equal((await readAnswer(response)).text, 'one two')
    await until('the old filters are closed', () => closed.length === 2)
    await until(
      'the connection of the removed cluster is closed',
      () => oldCluster?.report()[0]?.connections === 0,
    )
  },
)

const COUNTING = `
export default (options, services) => ({
  name: services.name,
  onResponse(exchange) { exchange.response.headers.set('x-counted', 'yes') },
  close() { globalThis.onCountingClosed?.('filter') },
})
`

t.test('a request that waits for a connection when its cluster is removed is still sent', async (t) => {
  let onConnected: ((socket: net.Socket) => void) | null = null
  const accepted: net.Socket[] = []
  const business = await startRawBusiness(t, (socket) => {
    accepted.push(socket)
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    onConnected?.(socket)
  })
  const filter = `export default (options, { name }) => ({ name, onRequest: () => new Promise((resolve) => { globalThis.letGo = resolve }) })`
  const filters = `'${path.join(t.testdir({ 'wait.ts': filter }), 'wait.ts')}'`
  const rig = await startRig(t, configOf({ port: 0, business, filters }))
  const answer = call(rig.port())
  await until('the hook waits', () => (globalThis as { letGo?: unknown }).letGo !== undefined)
  const other = await startNamed(t, 'other')
  await rig.reconfigure(configOf({ port: 0, business: other }))
  await rig.reconfigure(configOf({ port: 0, business: other, routes: 2 }))
  onConnected = () => undefined
  ;(globalThis as { letGo?: () => void }).letGo?.()
  t.match(await answer, { status: 200, text: 'ok' })
  t.equal(accepted.length, 1)
})

t.test('a listener that is removed or moved ends its connections without losing a request', async (t) => {
  const business = await startNamed(t, 'here')
  const [port, moved] = [await freePort(), await freePort()]
  const rig = await startRig(t, configOf({ port, business }))
  const load = new HttpLoad(port, { connections: 4 })
  await until('requests run', () => load.answered > 50)
  load.port = moved
  await rig.reconfigure(configOf({ port: moved, business }))
  const before = load.answered
  await until('they go to the new port', () => load.answered > before + 200)
  await load.stop()
  t.same(load.lost, [])
  t.equal(load.refused, 0)
  await t.rejects(call(port), { code: 'ECONNREFUSED' })
})

t.test('the admin port moves, goes and comes with the configuration', async (t) => {
  const business = await startNamed(t, 'here')
  const rig = await startRig(t, configOf({ port: 0, business }))
  const before = (await adminOf(rig)).port
  t.equal((await call(before, { path: '/ready' })).status, 200)
  await rig.reconfigure(`${configOf({ port: 0, business })}# same address\n`)
  t.equal((await adminOf(rig)).port, before, 'port 0 stays what it became')
  const socket = path.join(rig.folder, 'admin.sock')
  await rig.reconfigure(
    configOf({ port: 0, business }).replace('address: 127.0.0.1:0 }', `address: 'unix:${socket}' }`),
  )
  t.equal((await call(0, { path: '/ready', socketPath: socket })).status, 200)
  await t.rejects(call(before, { path: '/ready' }))
  await rig.reconfigure(configOf({ port: 0, business }).replace('admin:', '#'))
  t.equal(rig.gateway.adminAddress, null)
  await t.rejects(call(0, { path: '/ready', socketPath: socket }))
})

t.test('loading the same text again changes nothing', async (t) => {
  const business = await startNamed(t, 'here')
  const rig = await startRig(t, simpleConfig(business))
  const { serving } = rig.gateway
  await rig.gateway.reload()
  await writeFile(rig.file, await readFile(rig.file))
  await rig.gateway.reload()
  t.equal(rig.gateway.serving, serving)
})

t.test('stopping in the middle of a change leaves nothing behind', async (t) => {
  const business = await startNamed(t, 'here')
  const rig = await startRig(t, simpleConfig(business))
  await writeFile(rig.file, configOf({ port: 0, business, routes: 500 }))
  const reloading = rig.gateway.reload()
  await rig.gateway.destroy()
  await reloading
  t.equal(rig.gateway.serving.version, 1)
})
