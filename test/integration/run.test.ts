/** `meshgate run` as a process: what it prints, how it ends, and that `check` tells the same. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { connectMmtp } from '../../lib/mmtp.ts'
import { call, freePort, until } from '../support/http.ts'
import { startBusiness, startRig } from '../support/rig.ts'
import { startMeshgate } from '../support/running.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))

interface Ports {
  readonly admin?: number
  readonly listener?: number
  readonly business?: number
}

/** The configuration of the measurements, with other ports. */
function bench({ admin = 0, listener = 0, business = 1 }: Ports = {}): string {
  return `node: { app: bench, cell: RZ01A }
admin: { address: 127.0.0.1:${admin} }
listeners: [ { name: in, protocol: http1, address: 127.0.0.1:${listener} } ]
clusters: [ { name: out, protocol: http1, endpoints: [127.0.0.1:${business}] } ]
filters:
  - { use: access-log, path: access.log, sample: 0.01 }
  - trace-context
  - { use: headers, request: { set: { x-gateway: meshgate } } }
  - { use: rate-limit, qps: 100000000 }
routes:
  - { match: { path: /api/v1/things }, to: { cluster: out } }
  - { match: {}, to: { cluster: out } }
`
}

function startEcho(t: Test): Promise<number> {
  return startBusiness(t, ({ url, headers }, response) =>
    response.end(`${url} ${headers['x-gateway']} ${headers.traceparent}`),
  )
}

t.test('the measurements’ configuration: one line when it is ready, silence, 0 after SIGTERM', async (t) => {
  const [listener, admin] = [await freePort(), await freePort()]
  const gateway = await startMeshgate(t, bench({ listener, admin, business: await startEcho(t) }))
  await gateway.ready()
  const answer = await call(listener, { path: '/api/v1/things' })
  t.match(answer, { status: 200, text: /^\/api\/v1\/things meshgate 00-[0-9a-f]{32}-/ })
  t.equal((await call(admin, { path: '/ready' })).status, 200)
  t.match((await call(admin, { path: '/metrics' })).text, /target_info\{[^}]*app="bench"[^}]*cell="RZ01A"/)
  gateway.kill('SIGTERM')
  t.same(await gateway.ended, { code: 0, signal: null })
  t.equal(gateway.stdout, `meshgate ready: in http1 127.0.0.1:${listener}, admin 127.0.0.1:${admin}\n`)
  t.equal(gateway.stderr, '')
})

t.test('SIGHUP loads the file, with and without following it, and the log tells', async (t) => {
  const business = await startEcho(t)
  const gateway = await startMeshgate(t, bench({ business }), ['--no-watch'])
  const { admin = 0 } = await gateway.ready()
  const config = async () => JSON.parse((await call(admin, { path: '/config' })).text)
  await writeFile(gateway.file, `${bench({ business })}# changed\n`)
  gateway.kill('SIGHUP')
  await gateway.until(/"version":2.*configuration accepted/, 'stderr')
  t.match(await config(), { version: 2, refused: null })
  await writeFile(gateway.file, bench({ business }).replace('qps:', 'qsp:'))
  gateway.kill('SIGHUP')
  await gateway.until(/configuration refused, the old one serves on/, 'stderr')
  t.match(gateway.stderr, /did you mean \\"qps\\"\?/)
  t.match(await config(), { version: 2, refused: [/"qps" is missing/, /qsp/] })
  gateway.kill('SIGINT')
  t.same(await gateway.ended, { code: 0, signal: null })
})

t.test('a port in use is one clear message and 1, whichever port it is', async (t) => {
  const taken = await startBusiness(t, () => undefined)
  for (const [ports, what] of [
    [{ listener: taken }, ''],
    [{ admin: taken }, 'the admin port '],
  ] as const) {
    const gateway = await startMeshgate(t, bench(ports))
    t.same(await gateway.ended, { code: 1, signal: null })
    const remedy = 'the address is in use: stop the other process or choose another address'
    t.equal(gateway.stderr, `meshgate: ${what}cannot listen on 127.0.0.1:${taken}: ${remedy}\n`)
    t.equal(gateway.stdout, '')
  }
})

t.test('a file that cannot be read is one clear message and 1', async (t) => {
  const gateway = await startMeshgate(t, bench())
  await gateway.ready()
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, 'run', '-c', `${gateway.file}.gone`],
    {
      encoding: 'utf8',
    },
  )
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /^meshgate: cannot read \S+\.gone: the file does not exist\n$/)
})

t.test('a stale socket of a process that was killed is no obstacle', async (t) => {
  const business = await startEcho(t)
  // Short: a socket's path has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'mg-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const config = bench({ business })
    .replace('admin: { address: 127.0.0.1:0 }', `admin: { address: 'unix:${folder}/admin' }`)
    .replace('address: 127.0.0.1:0 } ]', `address: 'unix:${folder}/in' } ]`)
  const killed = await startMeshgate(t, config)
  await killed.until(/ready/)
  killed.kill('SIGKILL')
  await killed.ended
  const gateway = await startMeshgate(t, config)
  await gateway.until(/ready/)
  t.equal((await call(0, { socketPath: join(folder, 'in') })).status, 200)
  t.equal((await call(0, { socketPath: join(folder, 'admin'), path: '/ready' })).status, 200)
  const second = await startMeshgate(t, config)
  t.same(await second.ended, { code: 1, signal: null })
  t.match(second.stderr, /^meshgate: cannot listen on unix:\S+in: the address is in use/)
  t.equal((await call(0, { socketPath: join(folder, 'in') })).status, 200, 'the first one is not disturbed')
})

/** What is wrong in a configuration, and how the one line of `check` and `run` tells. */
const WRONG: readonly (readonly [what: string, from: string | RegExp, to: string, line: RegExp])[] = [
  ['bad YAML', 'routes:\n', 'routes: [\n', /:1[01]:\d+ /],
  [
    'an unknown key',
    'listeners:',
    'lsteners:',
    /:3:1 +lsteners: unknown key "lsteners" — did you mean "listeners"\?/,
  ],
  [
    'an unknown option',
    'qps:',
    'qsp:',
    /:9:\d+ +filters\[3\]\.qsp: unknown key "qsp" — did you mean "qps"\?/,
  ],
  [
    'duplicate names',
    'clusters: [ ',
    'clusters: [ { name: out, protocol: http1, endpoints: [127.0.0.1:2] }, ',
    /:4:\d+ +clusters\[1\]\.name: the name "out" is taken by clusters\[0\]/,
  ],
  [
    'an unknown cluster',
    /cluster: out \} \}\n$/,
    'cluster: uot } }\n',
    /:12:\d+ +routes\[1\]\.to\.cluster: there is no cluster "uot" — did you mean "out"\?/,
  ],
  [
    'a typo in a template',
    'x-gateway: meshgate',
    "x-gateway: '${request.methd}'",
    /:8:\d+ +filters\[2\]: headers: .*there is no field "request\.methd"; did you mean/,
  ],
  ['a header that is not allowed', 'x-gateway:', '"x gateway":', /:8:\d+ +filters\[2\].*x gateway/],
  [
    'a field that does not exist',
    'qps: 100000000',
    'qps: 1, key: request.hedder.x',
    /:9:\d+ +filters\[3\]: rate-limit: .*request\.hedder\.x/,
  ],
  [
    'a hash key that does not exist',
    '/things }, to',
    '/things }, hashKey: clint.ip, to',
    /:11:\d+ +routes\[0\]\.hashKey: .*clint\.ip/,
  ],
  [
    'a rule that cannot be',
    'match: {}',
    "match: { query: { a: { regex: '(' } } }",
    /:12:\d+ +routes\[1\]\.match\.query\.a/,
  ],
  [
    'a module that is not there',
    '- trace-context',
    '- ./gone.ts',
    /:7:\d+ +filters\[1\]\.use: \S+gone\.ts: there is no such file/,
  ],
]

t.test('what is wrong is told with file, line and column, alike by check and by run, with 78', async (t) => {
  await Promise.all(
    [0, 1].map(async (half) => {
      for (const [what, from, to, line] of WRONG.filter((_, index) => index % 2 === half)) {
        const gateway = await startMeshgate(t, bench().replace(from, to))
        t.same(await gateway.ended, { code: 78, signal: null }, what)
        t.equal(gateway.stdout, '')
        t.match(gateway.stderr, line, what)
        t.match(gateway.stderr, /: \d+ problems?\n$/)
        const { check } = await import('../../lib/cli/check.ts')
        let told = ''
        const output = { write: (text: string) => (told += text) }
        t.equal(await check(gateway.file, {}, output, output), 78)
        t.equal(gateway.stderr, told, `${what}: check tells the same`)
      }
    }),
  )
})

t.test('every problem of filters, their modules and routes is told at once', async (t) => {
  const text = bench()
    .replace('x-gateway:', '"x gateway":')
    .replace('- trace-context', '- ./broken.ts\n  - ./throws.ts\n  - { use: ./strict.ts, limt: 3 }')
    .replace('match: {}, to', 'match: {}, hashKey: clint.ip, to')
  const folder = t.testdir({
    'meshgate.yaml': text,
    'broken.ts': 'export default {\n  x: = 3\n}\n',
    'throws.ts': "export default () => {\n  throw new Error('no table')\n}\n",
    'strict.ts': `export default {
      schema: { type: 'object', additionalProperties: false, properties: { limit: { type: 'integer' } } },
      create: (options: object, { name }: { name: string }) => ({ name, onRequest(): void {} }),
    }`,
  })
  const file = join(folder, 'meshgate.yaml')
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'run', '-c', file], { encoding: 'utf8' })
  t.equal(status, 78)
  t.match(stderr, /yaml:7:\d+ +filters\[1\]\.use: \S+broken\.ts:2:6: /)
  t.match(stderr, /yaml:8:\d+ +filters\[2\]: \S+throws\.ts:2:9: no table\n/)
  t.match(stderr, /yaml:9:\d+ +filters\[3\]\.limt: unknown key "limt" — did you mean "limit"\?\n/)
  t.match(stderr, /yaml:10:\d+ +filters\[4\].*x gateway/)
  t.match(stderr, /yaml:14:\d+ +routes\[1\]\.hashKey: .*clint\.ip/)
  t.match(stderr, /: 5 problems\n$/)
})

t.test('a listener with protocol auto speaks HTTP/1.1 and Mmtp on one port', async (t) => {
  const business = await startBusiness(t, (request, response) =>
    response.end(`${request.method} ${request.url}`),
  )
  const rig = await startRig(
    t,
    `
log: { level: silent }
listeners: [{ name: both, protocol: auto, address: 127.0.0.1:0 }]
clusters: [{ name: out, protocol: http1, endpoints: [127.0.0.1:${business}] }]
routes:
  - { match: { operation: demo.create }, to: { cluster: out, method: POST, path: /orders } }
  - { match: {}, to: { cluster: out } }
`,
  )
  t.match(await call(rig.port(), { path: '/plain' }), { status: 200, text: 'GET /plain' })
  const caller = await connectMmtp(`127.0.0.1:${rig.port()}`)
  const { status, body } = await caller.call('demo.create', '{}', { timeoutMs: 5000 })
  t.equal(status, 1000)
  t.equal(body.toString(), 'POST /orders')
  await caller.close()
})

t.test('a filter that keeps the process busy does not keep it from ending', async (t) => {
  const folder = t.testdir({
    'busy.ts':
      'export default (options: object, { name }: { name: string }) => (setInterval(() => {}, 1000), { name, onEnd() {} })',
  })
  const gateway = await startMeshgate(t, bench().replace('- trace-context', `- ${folder}/busy.ts`))
  await gateway.ready()
  gateway.kill('SIGTERM')
  t.same(await gateway.ended, { code: 0, signal: null })
})

t.test('the access log is complete when the process has ended', async (t) => {
  const config = bench({ business: await startEcho(t) }).replace(', sample: 0.01', '')
  const gateway = await startMeshgate(t, config)
  const { in: port = 0 } = await gateway.ready()
  for (let i = 0; i < 5; i++) await call(port, { path: `/${i}` })
  gateway.kill('SIGTERM')
  await gateway.ended
  const lines = (await readFile(join(gateway.folder, 'access.log'), 'utf8')).trimEnd().split('\n')
  t.equal(lines.length, 5)
})

t.test(
  'a change that only shows trouble at the swap is refused: a log file that cannot be opened',
  async (t) => {
    const business = await startEcho(t)
    const rig = await startRig(t, bench({ business }))
    await rig.reconfigure(bench({ business }).replace('access.log', 'no/such/folder/access.log'))
    t.match(rig.gateway.refused, [/filters\[0\]: access-log: .*no such file or directory/])
    t.equal((await call(rig.port())).status, 200)
    await rename(rig.file, `${rig.file}.away`)
    await rig.gateway.reload()
    t.match(rig.gateway.refused, [/cannot read .*the file does not exist/])
    await rename(`${rig.file}.away`, rig.file)
    await rig.reconfigure(bench({ business }))
    await until('all is well again', () => rig.gateway.refused === null)
  },
)
