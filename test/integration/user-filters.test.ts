/** Users' filter modules in a running gateway: taken up on save, refused when broken, never at the cost of a request. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { FilterReport } from '../../lib/core/inspect.ts'
import { call, until } from '../support/http.ts'
import { HttpLoad } from '../support/load.ts'
import { type Rig, startBusiness, startRig } from '../support/rig.ts'
import { startMeshgate } from '../support/running.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

/** Neither a watch nor its timers keep a process alive; the test has to. */
const alive = setInterval(() => {}, 10_000)
t.teardown(() => clearInterval(alive))

/** A filter that marks answers with its version. */
function mark(version: string): string {
  return `
import type { FilterFactory } from 'meshgate'
interface Options { readonly prefix?: string }
globalThis.imports = (globalThis.imports ?? 0) + 1
const create: FilterFactory<Options> = ({ prefix = '' }, { name }) => ({
  name,
  onResponse(exchange) { exchange.response?.headers.set('x-version', prefix + '${version}') },
})
export default {
  schema: { type: 'object', additionalProperties: false, properties: { prefix: { type: 'string' } } },
  perRoute: true,
  create,
}
`
}

interface Setup {
  readonly rig: Rig
  readonly module: string
  config(more?: string): string
  version(): Promise<unknown>
  save(text: string): Promise<void>
  admin(path: string): Promise<string>
}

async function setUp(t: Test, isWatching = true): Promise<Setup> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-filter-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const module = path.join(folder, 'mark.ts')
  await writeFile(module, mark('1'))
  const business = await startBusiness(t, (_request, response) => response.end('ok'))
  const config = (more = ''): string => `
log: { level: silent }
admin: { address: 127.0.0.1:0 }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${business}] }]
filters: [{ use: ${module}${more} }]
routes: [{ match: {}, to: { cluster: out } }]
`
  const rig = await startRig(t, config(), { isWatching })
  const adminPort = Number(rig.gateway.adminAddress?.split(':').at(-1))
  return {
    rig,
    module,
    config,
    version: async () => (await call(rig.port())).headers['x-version'],
    save: (text) => writeFile(module, text),
    admin: async (path) => (await call(adminPort, { path })).text,
  }
}

async function filterReport({ admin }: Setup): Promise<FilterReport> {
  return JSON.parse(await admin('/filters')).filters[0]
}

async function untilVersion(setup: Setup, wanted: string): Promise<void> {
  const untilMs = performance.now() + 10_000
  while ((await setup.version()) !== wanted) {
    if (performance.now() > untilMs) throw new Error(`${wanted} does not serve`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

t.test('a saved module serves at once, under load and without a failed request', async (t) => {
  const setup = await setUp(t)
  const load = new HttpLoad(setup.rig.port(), { connections: 4 })
  for (const version of ['2', '3', '4']) {
    await setup.save(mark(version))
    await untilVersion(setup, version)
  }
  await writeFile(`${setup.module}.new`, mark('renamed'))
  await rename(`${setup.module}.new`, setup.module)
  await untilVersion(setup, 'renamed')
  await load.stop()
  t.same([load.lost, [...load.statuses.keys()]], [[], [200]])
  t.equal(setup.rig.gateway.serving.version, 5)
})

t.test('a module that cannot be loaded is refused with file and line, and the old one serves', async (t) => {
  const setup = await setUp(t)
  await setup.save('export default {\n  create: = 3\n}\n')
  await until('it is refused', () => setup.rig.gateway.userFilters.refusals().length === 1)
  t.equal(await setup.version(), '1')
  const reason = `${setup.module}:2:11: `
  t.match(await filterReport(setup), { module: setup.module, refused: new RegExp(`^${reason}`) })
  t.match(JSON.parse(await setup.admin('/config')), { version: 1, refused: [new RegExp(`^${reason}`)] })
  t.match(await setup.admin('/metrics'), /\nmeshgate_filter_modules_refused_total(\{[^}]*\})? 1\n/)

  await setup.rig.reconfigure(setup.config(', prefix: v'))
  t.equal(setup.rig.gateway.refused, null)
  t.equal(await setup.version(), 'v1', 'the configuration may change meanwhile')
  t.match(await filterReport(setup), { refused: new RegExp(`^${reason}`) })

  await setup.save(mark('2'))
  await untilVersion(setup, 'v2')
  t.match(await filterReport(setup), { refused: null })
  t.match(JSON.parse(await setup.admin('/config')), { refused: null })
})

t.test('a module whose factory throws is refused alike', async (t) => {
  const setup = await setUp(t)
  await setup.save(`export default () => {\n  throw new Error('no table')\n}\n`)
  await until('it is refused', () => setup.rig.gateway.userFilters.refusals().length === 1)
  t.equal(await setup.version(), '1')
  t.match(await filterReport(setup), { refused: `${setup.module}:2:9: no table` })
  t.equal(setup.rig.gateway.refused, null, 'the configuration itself is not at fault')
  t.equal(setup.rig.gateway.serving.version, 1)

  await setup.rig.reconfigure(setup.config(', prefix: v'))
  t.equal(await setup.version(), 'v1', 'the configuration may change meanwhile')
  t.match(await filterReport(setup), { refused: /no table/ })
  t.match(
    await setup.admin('/metrics'),
    /\nmeshgate_filter_modules_refused_total(\{[^}]*\})? 1\n/,
    'told once',
  )
  await setup.save(mark('2'))
  await untilVersion(setup, 'v2')
  t.equal((await filterReport(setup)).refused, null)
})

t.test('a module that asks for other options serves once the configuration gives them', async (t) => {
  const setup = await setUp(t)
  await setup.save(mark('2').replaceAll('prefix', 'before'))
  await untilVersion(setup, '2')
  await setup.rig.reconfigure(setup.config(', before: v'))
  t.equal(await setup.version(), 'v2')
  // Now the module first: it refuses what the configuration says, until that follows.
  await setup.save(mark('3'))
  await until('it is refused', () => setup.rig.gateway.userFilters.refusals().length === 1)
  t.match((await filterReport(setup)).refused, /mark\.ts: before: unknown key "before"/)
  t.equal(await setup.version(), 'v2')
  await setup.rig.reconfigure(setup.config(', prefix: v'))
  t.equal(await setup.version(), 'v3')
  t.equal((await filterReport(setup)).refused, null)
  await setup.rig.reconfigure(setup.config(', perfix: v'))
  t.match(setup.rig.gateway.refused, [/filters\[0\]\.perfix: unknown key "perfix" — did you mean "prefix"\?/])
})

t.test('a module is loaded again only when its text is another', async (t) => {
  const setup = await setUp(t)
  const counter = globalThis as { imports?: number }
  const before = counter.imports
  await setup.rig.reconfigure(`${setup.config()}# changed\n`)
  await setup.save(mark('1'))
  await setup.rig.gateway.reload()
  t.equal(counter.imports, before)
  await rm(setup.module)
  await until('it is gone', () => setup.rig.gateway.userFilters.refusals().length === 1)
  t.match((await filterReport(setup)).refused, /there is no such file/)
  await setup.save(mark('1'))
  await until('it is back', () => setup.rig.gateway.userFilters.refusals().length === 0)
  t.equal(counter.imports, before)
  t.equal(await setup.version(), '1')
})

t.test('without following files a reload takes up saved modules', async (t) => {
  const setup = await setUp(t, false)
  await setup.save(mark('2'))
  t.equal(await setup.version(), '1')
  await setup.rig.gateway.reload()
  t.equal(await setup.version(), '2')
})

t.test('a new module that is broken refuses the change, and mending it is enough', async (t) => {
  const setup = await setUp(t)
  const other = path.join(path.dirname(setup.module), 'other.ts')
  await writeFile(other, 'export default (')
  await setup.rig.reconfigure(setup.config().replace(/filters: .*/, `filters: [${other}]`))
  t.match(setup.rig.gateway.refused, [/other\.ts:1/])
  t.equal(await setup.version(), '1')
  await writeFile(other, mark('other'))
  await untilVersion(setup, 'other')
  t.equal(setup.rig.gateway.refused, null)
})

t.test('a filter that throws fails its own request, and the next one is served', async (t) => {
  const setup = await setUp(t)
  await setup.save(`
export default (options, { name }) => ({
  name,
  onRequest({ request }) { if (request.path === '/boom') throw new Error('boom') },
  onResponse({ response }) { response.headers.set('x-version', 'boom') },
})
`)
  await untilVersion(setup, 'boom')
  t.equal((await call(setup.rig.port(), { path: '/boom' })).status, 500)
  t.equal((await call(setup.rig.port())).status, 200)
})

t.test('what `filter new` writes serves as it is, and its test passes', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-new-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const env = { PATH: process.env.PATH }
  const made = spawnSync(process.execPath, [MAIN, 'filter', 'new', 'tenant-check'], {
    cwd: folder,
    env,
    encoding: 'utf8',
  })
  t.same([made.status, made.stderr], [0, ''])
  const tested = spawnSync(process.execPath, ['--test', 'filters/tenant-check.test.ts'], {
    cwd: folder,
    env,
    encoding: 'utf8',
  })
  t.equal(tested.status, 0, tested.stdout)
  const business = await startBusiness(t, (_request, response) => response.end('ok'))
  const gateway = await startMeshgate(
    t,
    `
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${business}] }]
filters:
  - { use: ${folder}/filters/tenant-check.ts, header: x-tenant }
routes: [{ match: {}, to: { cluster: out } }]
`,
  )
  const { in: port = 0 } = await gateway.ready()
  t.match(await call(port), { status: 400, text: 'header x-tenant is missing\n' })
  const passed = await call(port, { headers: { 'x-tenant': 'blue' } })
  t.match(passed, { status: 200, text: 'ok', headers: { 'x-checked-by': 'tenant-check' } })
  gateway.kill('SIGTERM')
  await gateway.ended
  t.equal(gateway.stderr, '')
})
