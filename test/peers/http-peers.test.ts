/** Chains of meshgate with servers and proxies that others wrote. A chain whose programs are not here is skipped. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { call, curl, simpleConfig } from '../support/http.ts'
import { runBattery } from '../support/http-battery.ts'
import {
  missingAny,
  startEnvoy,
  startHaproxy,
  startNginxBusiness,
  startNginxProxy,
  startNode,
  startPython,
} from '../support/peers.ts'
import { type Rig, startRig } from '../support/rig.ts'

const NGINX_TEXT = 'hello from nginx'
const NODE_TEXT = 'hello from node'

t.setTimeout(280_000)

const unless = (skip: string | false): { skip?: string } => (skip === false ? {} : { skip })

/** What a chain of the battery needs to know of meshgate. */
function liveOf(rig: Rig): () => number {
  return () => rig.gateway.dispatcher.live
}

t.test('caller → Envoy → meshgate → nginx', unless(missingAny('envoy', 'nginx', 'curl')), async (t) => {
  const chat = await startNode(t)
  const business = await startNginxBusiness(t, chat.port)
  const rig = await startRig(t, simpleConfig(business.port))
  const front = await startEnvoy(t, rig.port())
  await runBattery(t, { port: front.port, text: NGINX_TEXT, business, front, live: liveOf(rig) })
})

t.test('caller → meshgate → Envoy → node:http', unless(missingAny('envoy', 'curl')), async (t) => {
  const business = await startNode(t)
  const envoy = await startEnvoy(t, business.port)
  const rig = await startRig(t, simpleConfig(envoy.port))
  await runBattery(t, { port: rig.port(), text: NODE_TEXT, business, live: liveOf(rig) })
})

t.test('caller → haproxy → meshgate → nginx', unless(missingAny('haproxy', 'nginx', 'curl')), async (t) => {
  const chat = await startNode(t)
  const business = await startNginxBusiness(t, chat.port)
  const config = simpleConfig(business.port).replace(
    'address: 127.0.0.1:0 }',
    'address: 127.0.0.1:0, proxyProtocol: required }',
  )
  const rig = await startRig(t, config)
  const front = await startHaproxy(t, rig.port())
  await t.test('without the PROXY header nobody comes in', async (t) => {
    await t.rejects(call(rig.port()))
  })
  await runBattery(t, { port: front.port, text: NGINX_TEXT, business, front, live: liveOf(rig) })
})

t.test('caller → nginx → meshgate → node:http', unless(missingAny('nginx', 'curl')), async (t) => {
  const business = await startNode(t)
  const rig = await startRig(t, simpleConfig(business.port))
  const front = await startNginxProxy(t, rig.port())
  await runBattery(t, { port: front.port, text: NODE_TEXT, business, front, live: liveOf(rig) })
})

t.test('a business process that closes its connections', unless(missingAny('nginx')), async (t) => {
  const business = await startNginxBusiness(t, 1, 7)
  const rig = await startRig(t, simpleConfig(business.port))
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const statuses: number[] = []
      for (let i = 0; i < 50; i++) statuses.push((await call(rig.port())).status)
      return statuses
    }),
  )
  t.same(new Set(answers.flat()), new Set([200]), 'nobody notices')
})

for (const version of ['HTTP/1.0', 'HTTP/1.1']) {
  t.test(`Python’s http.server, ${version}`, unless(missingAny('python', 'curl')), async (t) => {
    const files = { 'a.txt': 'from a file', 'large.bin': 'x'.repeat(3 << 20) }
    const business = await startPython(t, files, version)
    const rig = await startRig(t, simpleConfig(business.port))
    const url = `http://127.0.0.1:${rig.port()}`
    t.match(await curl([`${url}/a.txt`, `${url}/a.txt`]), { code: 0, stdout: 'from a filefrom a file' })
    t.match((await curl(['-I', `${url}/a.txt`])).stdout, /^HTTP\/1\.1 200 .*content-length: 11\r\n/is)
    t.equal((await curl([`${url}/large.bin`])).stdout.length, 3 << 20)
    t.match((await curl(['-i', `${url}/none`])).stdout, /^HTTP\/1\.1 404 /)
    // It answers 501 at once and closes with the body unread; the reset may overtake its answer. The next request must not meet that.
    const body = 'y'.repeat(300_000)
    t.match(await curl(['-i', '--data-binary', '@-', `${url}/a.txt`], body), {
      stdout: /^HTTP\/1\.1 50[12] /,
    })
    t.match(await curl([`${url}/a.txt`]), { stdout: 'from a file' })
  })
}

/** Runs a load generator and gives what it printed. */
async function print(program: string, args: string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await once(child, 'close')
  return text
}

async function startSimple(t: Test): Promise<string> {
  const business = await startNginxBusiness(t, 1)
  const rig = await startRig(t, simpleConfig(business.port))
  return `http://127.0.0.1:${rig.port()}/`
}

t.test('wrk sees no error', unless(missingAny('wrk', 'nginx')), async (t) => {
  const text = await print('wrk', ['-t1', '-c64', '-d2s', await startSimple(t)])
  t.match(text, /\n +[1-9]\d+ requests in /)
  t.notMatch(text, /Socket errors|Non-2xx/)
})

t.test('ab sees no error', unless(missingAny('ab', 'nginx')), async (t) => {
  const url = await startSimple(t)
  for (const more of [['-k'], []]) {
    const text = await print('ab', ['-q', '-n', '2000', '-c', '50', ...more, url])
    t.match(text, /Complete requests: +2000\n/)
    t.match(text, /Failed requests: +0\n/)
    t.notMatch(text, /Non-2xx/)
  }
})
