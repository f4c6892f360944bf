/** What a newcomer does: `npm start`, the two commands that it prints, Ctrl-C. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { call, freePort, missing, readAnswer } from '../support/http.ts'
import { startBusiness } from '../support/rig.ts'
import { Running } from '../support/running.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const START = 'examples/quickstart/start.ts'

async function freePorts(): Promise<Record<string, string>> {
  const ports: Record<string, string> = {}
  for (const name of ['ADMIN_PORT', 'HTTP_PORT', 'MMTP_PORT', 'BUSINESS_PORT'])
    ports[name] = String(await freePort())
  return ports
}

/** Runs a command line as it was printed. */
function shell(command: string): { status: number | null; stdout: string; stderr: string } {
  const env = {
    ...process.env,
    PATH: `${path.join(ROOT, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}`,
  }
  return spawnSync('sh', ['-c', command], { cwd: ROOT, env, encoding: 'utf8', timeout: 30_000 })
}

t.test('it says where it listens, both commands work, and Ctrl-C stops both processes', async (t) => {
  const ports = await freePorts()
  const running = new Running(t, [START], { env: ports })
  await running.until(/Ctrl-C/)
  const lines = running.stdout.split('\n')
  t.match(lines[0], /^meshgate ready: /)
  t.ok(lines.length < 20, 'a few lines')
  for (const name of ['HTTP_PORT', 'MMTP_PORT', 'ADMIN_PORT', 'BUSINESS_PORT'])
    t.match(running.stdout, `:${ports[name]}`)
  const commands = lines.filter((line) => /^ {2}(curl|npm) /.test(line)).map((line) => line.trim())
  t.equal(commands.length, 2)
  const [curl, mmtp] = commands as [string, string]

  if (missing('curl') === false) {
    const { status, stdout } = shell(curl.replace('curl -i', 'curl -sSi'))
    t.equal(status, 0)
    t.match(stdout, /^HTTP\/1\.1 200 OK\r\n/)
    t.match(stdout, /"url":"\/anything".*"traceparent":"00-.*"x-gateway":"meshgate"/)
  }
  const called = shell(mmtp)
  t.equal(called.status, 0, called.stderr)
  t.match(called.stdout, /"accepted":\{"item":"tea"\}/)
  t.match(await call(Number(ports.HTTP_PORT), { path: '/hello' }), {
    status: 200,
    text: 'hello from meshgate\n',
  })
  t.equal((await call(Number(ports.ADMIN_PORT), { path: '/' })).status, 200)

  running.kill('SIGINT')
  t.same(await running.ended, { code: 0, signal: null })
  t.match(running.stdout, /\nstopped\n$/)
  t.equal(running.stderr, '')
  for (const port of Object.values(ports)) await t.rejects(call(Number(port)), { code: 'ECONNREFUSED' })
})

t.test(
  'Ctrl-C in a terminal reaches every process of the group, and a request still gets its answer',
  async (t) => {
    const ports = await freePorts()
    const child = spawn(process.execPath, [START], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, ...ports },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    t.teardown(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
    while (!text.includes('Ctrl-C')) await once(child.stdout, 'data')
    const request = http.request({
      host: '127.0.0.1',
      port: ports.HTTP_PORT,
      method: 'POST',
      path: '/orders',
      agent: false,
    })
    request.setHeader('content-length', 2)
    request.write('1')
    const business = http.get({ host: '127.0.0.1', port: ports.HTTP_PORT, agent: false })
    await once(business, 'response')
    process.kill(-(child.pid as number), 'SIGINT')
    while ((await call(Number(ports.ADMIN_PORT), { path: '/ready' })).status !== 503);
    request.end('2')
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    t.match(await readAnswer(response), { status: 200, text: /"accepted":12/ })
    const [code] = (await once(child, 'exit')) as [number | null]
    t.equal(code, 0)
    await t.rejects(call(Number(ports.BUSINESS_PORT)), { code: 'ECONNREFUSED' })
  },
)

async function failure(t: Test, ports: Record<string, string>): Promise<string> {
  const running = new Running(t, [START], { env: ports })
  t.same(await running.ended, { code: 1, signal: null })
  t.equal(running.stdout, '')
  return running.stderr
}

t.test('a port in use is told in one clear message', async (t) => {
  const taken = String(await startBusiness(t, () => undefined))
  t.equal(
    await failure(t, { ...(await freePorts()), BUSINESS_PORT: taken }),
    `business process: port ${taken} is in use; choose another one with BUSINESS_PORT\n`,
  )
  t.equal(
    await failure(t, { ...(await freePorts()), HTTP_PORT: taken }),
    `meshgate: cannot listen on 127.0.0.1:${taken}: the address is in use: stop the other process or choose another address
Another port can be chosen with ADMIN_PORT, HTTP_PORT, MMTP_PORT, BUSINESS_PORT.
`,
  )
})
