/** Calls from the configuration to the routes that make them. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import {
  clusterOptions,
  compileCall,
  createRoute,
  listenerOptions,
  type RouteParts,
} from '../lib/assemble.ts'
import { check } from '../lib/cli/check.ts'
import { ExitCode } from '../lib/cli/exit-codes.ts'
import type { Config } from '../lib/config/config.ts'
import { checkConfig, loadConfig } from '../lib/config/load.ts'
import { ConfigError, describeProblem } from '../lib/config/problem.ts'
import type { ProtocolName } from '../lib/core/message.ts'
import type { CallTarget, Destination, Route, TypeDescriptions } from '../lib/core/route.ts'
import { CATALOG } from '../lib/filter-specs.ts'
import { makeInertServices } from '../lib/filters/services.ts'
import { Gateway } from '../lib/gateway.ts'
import { loadProtocols, protocolNamed } from '../lib/protocols/index.ts'
import { findRouteProblems } from '../lib/route-problems.ts'
import { makeStats } from '../lib/testing-exchange.ts'

const TEXT = `node: { app: shop, cell: RZ01A }
listeners:
  - { name: in, protocol: bolt, address: 127.0.0.1:0, boltGoAway: true, limits: { frame: 2MiB } }
  - { name: auto, protocol: auto, address: 127.0.0.1:0 }
clusters:
  - { name: order, protocol: bolt, endpoints: [127.0.0.1:12200], limits: { frame: 3MiB } }
  - { name: stock, protocol: dubbo, endpoints: [127.0.0.1:20880], heartbeat: 5s }
routes:
  - { match: { operation: shop.create }, to: { cluster: order, service: 'a.b.C:2.0', method: create, parameters: [PARAMETER] } }
  - { match: { operation: shop.take }, to: { cluster: stock, service: a.b.S, group: g, method: take, parameters: [a.b.Order] } }
  - { match: { service: a.b.C }, to: { cluster: order, version: '3.0' } }
  - { match: {}, to: { cluster: order } }
types:
  a.b.Order: { fields: { id: long } }
`
const GOOD = TEXT.replace('PARAMETER', 'a.b.Order')
/** What only the protocol that makes the call can tell. */
const BAD = TEXT.replace('PARAMETER', "'List<int>'")

const loaded = (text: string) => loadConfig(text, CATALOG).config as Config

function routeOf(config: Config, index: number): Route {
  const protocols = new Map(config.clusters.map(({ name, protocol }) => [name, protocol]))
  const parts: RouteParts = {
    index,
    chain: null,
    fields: makeInertServices({ app: '', cell: '', labels: {} })('routes'),
    types: config.types,
    cluster: (name) => ({ name }) as Destination,
    protocol: (cluster) => protocols.get(cluster) as ProtocolName,
    stats: makeStats,
  }
  return createRoute(`r${index}`, config.routes[index]!, parts)
}

/** In place of the protocols' own: what is tested here is who asks them, and what becomes of their answer. */
const compiled: { protocol: string; target: CallTarget; types: TypeDescriptions }[] = []

t.before(async () => {
  await loadProtocols(['auto'])
  for (const name of ['bolt', 'dubbo'] as const) {
    const compileCall = (target: CallTarget, types: TypeDescriptions) => {
      compiled.push({ protocol: name, target, types })
      if (target.parameters[0] === 'List<int>')
        throw new Error('parameters[0]: int cannot be a type argument')
      return { method: target.method }
    }
    Object.assign(protocolNamed(name), { compileCall })
  }
})

t.test('a route with a call gets it compiled by the protocol of its cluster', async (t) => {
  const config = loaded(GOOD)
  t.match(routeOf(config, 0).translation, {
    service: 'a.b.C',
    version: '2.0',
    group: '',
    call: { method: 'create' },
  })
  t.match(routeOf(config, 1).translation, { service: 'a.b.S', group: 'g', call: { method: 'take' } })
  t.match(routeOf(config, 2).translation, { service: '', version: '3.0', call: null })
  t.equal(routeOf(config, 3).translation, null)
  t.same(
    compiled.map(({ protocol, target }) => [protocol, target.service, target.version, target.parameters]),
    [
      ['bolt', 'a.b.C', '2.0', ['a.b.Order']],
      ['dubbo', 'a.b.S', '', ['a.b.Order']],
    ],
  )
  t.equal(compiled[0]?.types, config.types)
})

t.test('codecs get the options that are theirs', async (t) => {
  const { node, listeners, clusters } = loaded(GOOD)
  const [bolt, auto] = listeners.map((listener) => listenerOptions(listener, node.cell).codec)
  t.match(bolt, { maxFrameBytes: 2 * 2 ** 20, boltGoAway: true, idleTimeoutMs: 90_000, cell: 'RZ01A' })
  t.match(auto, { maxFrameBytes: 16 * 2 ** 20, boltGoAway: false, idleTimeoutMs: 240_000 })
  const [order, stock] = clusters.map((cluster) => clusterOptions(cluster, node))
  t.match(order, { protocol: { name: 'bolt' }, sharedConnections: 1 })
  t.match(order?.codec, { maxFrameBytes: 3 * 2 ** 20, heartbeatMs: 15_000, app: 'shop', cell: 'RZ01A' })
  t.match(stock?.codec, { maxFrameBytes: 16 * 2 ** 20, heartbeatMs: 5000, app: 'shop' })
})

t.test('what a protocol finds wrong with a call is a finding of its route, with its place', async (t) => {
  t.same(await findRouteProblems(loaded(GOOD)), [])
  const { problems } = await checkConfig(BAD, CATALOG, findRouteProblems)
  t.equal(problems.length, 1)
  t.match(describeProblem(problems[0]!), /^routes\[0\]\.to: .*parameters\[0\].*int cannot be a type argument/)
  t.equal(problems[0]?.line, 9)
})

t.test('a call to a protocol that takes none is refused', async (t) => {
  t.throws(() => compileCall({} as CallTarget, 'http1', {}), /a cluster that speaks http1 takes no calls/)
})

t.test('check and start refuse a call that cannot be made', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'meshgate-calls-'))
  const file = path.join(folder, 'gateway.yaml')
  writeFileSync(file, BAD)
  let output = ''
  const code = await check(file, {}, {
    isTTY: false,
    write: (text: string) => void (output += text),
  } as never)
  t.equal(code, ExitCode.Config)
  t.match(output, /gateway\.yaml:9:\d+ +routes\[0\]\.to: .*int cannot be a type argument/)
  const gateway = new Gateway({ file, isWatching: false })
  const refused = await gateway.start().catch((error: unknown) => error)
  t.ok(refused instanceof ConfigError)
  t.match((refused as ConfigError).problems, [{ path: 'routes[0].to', line: 9 }])
})

t.test(
  'a gateway starts with Bolt and Dubbo and makes its clusters anew when node.app changes',
  async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'meshgate-calls-'))
    const file = path.join(folder, 'gateway.yaml')
    writeFileSync(file, GOOD)
    const gateway = new Gateway({ file, isWatching: false })
    t.teardown(() => gateway.destroy())
    await gateway.start()
    const before = gateway.clusters.get('order')?.part
    t.ok(before)
    writeFileSync(file, GOOD.replace('app: shop', 'app: till'))
    await gateway.reload()
    t.equal(gateway.refused, null)
    t.not(gateway.clusters.get('order')?.part, before)
  },
)
