/** The composition root: what a start leaves when it fails, and what the admin port says about what serves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { poolUsage } from '../lib/buffer/pools.ts'
import { ConfigError } from '../lib/config/problem.ts'
import { Gateway } from '../lib/gateway.ts'
import { ScopeRegistry } from '../lib/scopes.ts'
import { call, freePort, until } from './support/http.ts'
import { type Rig, startBusiness, startRig } from './support/rig.ts'

async function startWith(t: Test, config: string): Promise<Gateway> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-gateway-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = path.join(folder, 'meshgate.yaml')
  await writeFile(file, config)
  return new Gateway({ file, isWatching: true })
}

async function ask(rig: Rig, path: string): Promise<string> {
  const port = Number(rig.gateway.adminAddress?.split(':').at(-1))
  return (await call(port, { path })).text
}

t.test('a start that fails frees what it had', async (t) => {
  const [free, taken] = [await freePort(), await startBusiness(t, () => undefined)]
  const gateway = await startWith(
    t,
    `
admin: { address: 127.0.0.1:0 }
listeners:
  - { name: a, protocol: http1, address: 127.0.0.1:${free} }
  - { name: b, protocol: mmtp, address: 127.0.0.1:${taken} }
clusters: [{ name: out, protocol: http1, endpoints: [localhost:1] }]
routes: [{ match: {}, to: { cluster: out } }]
`,
  )
  await t.rejects(gateway.start(), { message: new RegExp(`cannot listen on 127\\.0\\.0\\.1:${taken}: `) })
  t.equal(gateway.phase, 'stopped')
  t.same([gateway.loop.wheel.count, poolUsage().leased], [0, 0])
  await t.rejects(call(free), { code: 'ECONNREFUSED' })
})

t.test(
  'a start with a wrong configuration rejects with every problem in the order of the file',
  async (t) => {
    const gateway = await startWith(
      t,
      'listeners: []\nroutes: [{ match: {}, to: { cluster: x } }]\nnonsense: 1\n',
    )
    const error = await gateway.start().catch((error: unknown) => error)
    t.ok(error instanceof ConfigError)
    t.match(
      (error as ConfigError).problems.map(({ line }) => line),
      [1, 2, 3],
    )
  },
)

t.test('the admin port shows routes by their use, filters, and errors by code', async (t) => {
  const business = await startBusiness(t, (_request, response) => response.end('ok'))
  const rig = await startRig(
    t,
    `
admin: { address: 127.0.0.1:0 }
listeners: [{ name: in, protocol: http1, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${business}] }]
filters: [{ use: rate-limit, qps: 0.001, burst: 3 }, { use: direct-reply, enabled: false }]
routes:
  - { match: { path: /a }, to: { cluster: out } }
  - { name: busy, match: { path: /b }, to: { cluster: out } }
  - { match: { path: /a, method: POST }, to: { cluster: out } }
`,
  )
  for (const path of ['/b', '/b', '/a', '/b', '/none']) await call(rig.port(), { path })
  const { total, routes } = JSON.parse(await ask(rig, '/routes'))
  t.equal(total, 3)
  t.match(routes, [
    { name: 'busy', requests: 3 },
    { name: '/a', match: '/a', to: 'out', requests: 1 },
    { name: 'POST /a', requests: 0 },
  ])
  t.match(JSON.parse(await ask(rig, '/routes?limit=1')).routes, [{ name: 'busy' }])
  t.match(JSON.parse(await ask(rig, '/filters')).filters, [
    { name: 'rate-limit', replies: 1, module: null, refused: null },
    { name: 'direct-reply', hooks: [] },
  ])
  await until('errors are counted', () => rig.gateway.recentErrors.list().length >= 1)
  const metrics = await ask(rig, '/metrics')
  t.match(metrics, /\nmeshgate_errors_total\{[^}]*code="NO_ROUTE"[^}]*\} 1\n/)
})

t.test('scopes of former configurations are kept, up to a thousand of them', async (t) => {
  const scopes = new ScopeRegistry()
  const names = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const config = { listeners: [], clusters: [] } as never
  const old = names('old', 600)
  for (const name of old) scopes.route(name).requests++
  scopes.prune(config, names('new', 10))
  t.equal([...scopes.all('route')].length, 600)
  const more = names('more', 600)
  for (const name of more) scopes.route(name)
  scopes.route('running').active++
  scopes.prune(config, more)
  t.equal([...scopes.all('route')].length, 1201, 'six hundred former ones and one that is in use')
  for (const name of names('most', 600)) scopes.route(name)
  scopes.prune(config, more)
  t.equal([...scopes.all('route')].length, 601)
  t.equal(scopes.routeIfUsed('old0'), null)
  t.ok(scopes.routeIfUsed('running'))
})
