/** What must hold for a Java client and server of either framework with meshgate between them. */
import type { Test } from 'tap'
import { until } from '../../support/http.ts'
import { type Rig, startRig } from '../../support/rig.ts'
import { type Calls, type Framework, type JavaPeer, type Seen, startJava, type Variant } from './java.ts'

const SERVICE = 'com.example.peers.PeerService'
const CONNECTIONS = 32
const AT_ONCE = 500

/** What differs between the frameworks. */
export interface PassThrough {
  readonly framework: Framework
  /** Of listeners and clusters. */
  readonly protocol: 'bolt' | 'dubbo'
  readonly variants: readonly Variant[]
  /** Checks that fail without meshgate too. */
  readonly known: RegExp
  /** What a client sees of a timeout, a limit, a connection that breaks, no endpoint, and no route. */
  readonly errors: Readonly<Record<'timeout' | 'busy' | 'broken' | 'unreachable' | 'noRoute', RegExp>>
}

/** The configuration of a gateway between the peers; `filters` and `cluster` are YAML. */
function configOf(
  { protocol }: PassThrough,
  port: number,
  more: { timeout?: string; filters?: string; service?: string; renaming?: string } = {},
): string {
  const { timeout = '10s', filters = '', service = SERVICE, renaming = '' } = more
  return `
log: { level: silent }
listeners:
  - { name: own, protocol: ${protocol}, address: 127.0.0.1:0 }
  - { name: auto, protocol: auto, address: 127.0.0.1:0 }
clusters: [{ name: out, protocol: ${protocol}, endpoints: ['127.0.0.1:${port}'] }]
filters: [${filters}]
routes:
${renaming}  - { name: known, match: { service: ${service} }, to: { cluster: out }, timeout: ${timeout} }
  - { name: others, match: { service: com.example.peers.Nowhere }, to: { cluster: out } }
`
}

/** The checks that failed. */
function failedOf(seen: ReadonlyMap<string, Seen>): string[] {
  return [...seen].filter(([, { isOk }]) => !isOk).map(([name]) => name)
}

/** Fails for every check that passed directly, and did not pass or saw something else through the gateway. */
function passAlike(t: Test, direct: ReadonlyMap<string, Seen>, through: ReadonlyMap<string, Seen>): void {
  let passed = 0
  for (const [name, seen] of direct) {
    if (!seen.isOk) continue
    const other = through.get(name)
    if (other?.isOk && other.saw === seen.saw) passed++
    else t.fail(`${name}: saw ${other?.saw} in place of ${seen.saw}`)
  }
  t.ok(passed > 0, `${passed} checks saw the same`)
}

/** Runs everything as subtests of `t`. */
export async function testPassThrough(t: Test, kind: PassThrough): Promise<void> {
  const { framework, variants } = kind
  const [server, client] = await Promise.all([startJava(t), startJava(t)])
  const port = await server.serve(framework)
  const checkAll = (to: number): Promise<Map<string, Seen>[]> =>
    Promise.all(variants.map((variant) => client.check({ framework, variant, port: to })))

  let direct: Map<string, Seen>[] = []
  await t.test('Java client → Java server', async (t) => {
    direct = await checkAll(port)
    for (const [i, variant] of variants.entries()) {
      const seen = direct[i] as Map<string, Seen>
      t.ok(seen.size > 200, `${variant}: ${seen.size} checks`)
      const failed = failedOf(seen).filter((name) => !kind.known.test(name))
      t.same(failed, [], `${variant}: none fails that is not known to`)
    }
  })

  for (const listener of ['own', 'auto']) {
    await t.test(`Java client → meshgate, listener ${listener} → Java server`, async (t) => {
      const rig = await startRig(t, configOf(kind, port))
      const through = await checkAll(rig.port(listener))
      for (const [i, variant] of variants.entries()) {
        await t.test(variant, async (t) =>
          passAlike(t, direct[i] as Map<string, Seen>, through[i] as Map<string, Seen>),
        )
      }
      await client.close(rig.port(listener))
    })
  }

  await t.test('many connections of clients share few to the server', async (t) => {
    const rig = await startRig(t, configOf(kind, port))
    for (const variant of variants) {
      const calls: Calls = { framework, variant, port: rig.port('own'), connections: CONNECTIONS }
      t.same(
        await client.calls({ ...calls, method: 'text', text: 'x', count: AT_ONCE }),
        { x: AT_ONCE },
        variant,
      )
    }
    const callers = rig.gateway.listeners.get('own')?.part.connections.size ?? 0
    const shared = rig.gateway.clusters.get('out')?.part.report()[0]?.connections ?? 0
    t.ok(callers >= CONNECTIONS, `${callers} connections came`)
    t.ok(shared >= 1 && shared <= variants.length * 2, `${shared} connections to the server`)
    await client.close(rig.port('own'))
  })

  await t.test('a route renames the service of calls of one application', async (t) => {
    const version = kind.protocol === 'dubbo' ? '2.0.0' : '1.0'
    const renaming = `
  - name: renamed
    match: { service: ${SERVICE}, group: old, app: [other, peer-client] }
    to: { cluster: out, service: ${SERVICE}, version: '${version}', group: special }
`
    const rig = await startRig(t, configOf(kind, port, { renaming }))
    for (const variant of variants) {
      const calls: Calls = { framework, variant, port: rig.port('own'), group: 'old', isVerbose: true }
      t.same(
        await client.calls({ ...calls, method: 'text', text: 'renamed', count: 3 }),
        { renamed: 3 },
        variant,
      )
    }
    await client.close(rig.port('own'))
  })

  await testErrors(t, kind, client, port)
  await testKill(t, kind, client)
}

async function testErrors(t: Test, kind: PassThrough, client: JavaPeer, port: number): Promise<void> {
  const { framework, variants, errors } = kind
  /** What two calls at once see. */
  async function outcomes(rig: Rig, variant: Variant, delayMs: number): Promise<string> {
    const calls: Calls = { framework, variant, port: rig.port('own'), isVerbose: true }
    const seen = await client.calls({ ...calls, method: 'slow', delayMs, count: 2 })
    await client.close(rig.port('own'))
    return Object.entries(seen)
      .map(([outcome, count]) => `${count} × ${outcome}`)
      .join('; ')
  }
  for (const variant of variants) {
    await t.test(`errors of meshgate as the client understands them, ${variant}`, async (t) => {
      const slow = await startRig(t, configOf(kind, port, { timeout: '200ms' }))
      t.match(await outcomes(slow, variant, 1500), errors.timeout, 'timeout')
      const limited = await startRig(
        t,
        configOf(kind, port, { filters: '{ use: rate-limit, qps: 0.01, burst: 1 }' }),
      )
      const limits = await outcomes(limited, variant, 1)
      t.match(limits, /1 × slept 1/, 'one passes')
      t.match(limits, errors.busy, 'the other is refused')
      const lost = await startRig(t, configOf(kind, 1))
      t.match(await outcomes(lost, variant, 1), errors.unreachable, 'nobody listens')
      const elsewhere = await startRig(t, configOf(kind, port, { service: 'com.example.Other' }))
      t.match(await outcomes(elsewhere, variant, 1), errors.noRoute, 'no route')
    })
  }
}

async function testKill(t: Test, kind: PassThrough, client: JavaPeer): Promise<void> {
  const { framework, variants, errors } = kind
  await t.test('the server is killed during calls, and comes back', async (t) => {
    const first = await startJava(t)
    const port = await first.serve(framework)
    const rig = await startRig(t, configOf(kind, port))
    const clients = variants.map((variant): Calls => ({ framework, variant, port: rig.port('own') }))
    const lost = clients.map((calls) =>
      client.calls({ ...calls, method: 'slow', delayMs: 4000, count: 10, isVerbose: true }),
    )
    await until('all calls are with the server', () => rig.gateway.dispatcher.live === 10 * clients.length)
    const [, second] = await Promise.all([first.kill(), startJava(t)])
    const killedAt = performance.now()
    for (const [i, seen] of (await Promise.all(lost)).entries()) {
      const [[outcome, count] = ['', 0], ...others] = Object.entries(seen)
      t.same(others, [], `${variants[i]}: all see the same`)
      t.match(outcome, errors.broken)
      t.equal(count, 10)
    }
    t.ok(performance.now() - killedAt < 2000, 'at once')
    await second.serve(framework, { port })
    for (const [i, calls] of clients.entries())
      t.same(
        await client.calls({ ...calls, method: 'text', text: 'back' }),
        { back: 1 },
        `${variants[i]}: served again`,
      )
    await client.close(rig.port('own'))
  })
}
