import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Address, parseAddress } from '../../lib/net/address.ts'
import { type HeldPort, holdPort } from '../../lib/net/held-port.ts'
import { call } from '../support/http.ts'

const LOOPBACK = parseAddress('127.0.0.1:0')

async function hold(t: Test, address: Address, onWaiting: () => void = () => undefined): Promise<HeldPort> {
  const port = await holdPort(address, onWaiting)
  t.teardown(() => port.close())
  return port
}

/** Short: a socket's path has at most 107 bytes. */
function socketPath(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'mg-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'admin')
}

const portOf = ({ address }: HeldPort): number => Number(address.split(':').at(-1))

t.test('connections wait until there is a server, and those that come later find it', async (t) => {
  let waiting = 0
  const port = await hold(t, LOOPBACK, () => waiting++)
  const early = call(portOf(port), { path: '/early' })
  while (waiting === 0) await new Promise((resolve) => setImmediate(resolve))
  const server = http.createServer((request, response) => response.end(request.url))
  t.teardown(() => server.closeAllConnections())
  port.handTo(server)
  t.equal((await early).text, '/early')
  t.equal((await call(portOf(port), { path: '/late' })).text, '/late')
  t.equal(waiting, 1)
})

t.test('closing frees the port and ends those who wait', async (t) => {
  const port = await hold(t, LOOPBACK)
  const socket = net.connect(portOf(port), '127.0.0.1')
  await once(socket, 'connect')
  await new Promise((resolve) => setTimeout(resolve, 10))
  port.close()
  await once(socket.resume(), 'close')
  const again = await hold(t, parseAddress(port.address))
  t.equal(again.address, port.address)
})

t.test('an address that is taken is named in the error', async (t) => {
  const port = await hold(t, LOOPBACK)
  await t.rejects(hold(t, parseAddress(port.address)), {
    message: `cannot listen on ${port.address}: the address is in use: stop the other process or choose another address`,
  })
})

t.test('a Unix socket', { skip: process.platform === 'win32' && 'no Unix sockets here' }, async (t) => {
  await t.test('is open to its own user only, and one that is served is not taken away', async (t) => {
    const path = socketPath(t)
    const port = await hold(t, { kind: 'unix', path })
    t.equal(port.address, path)
    t.equal(statSync(path).mode & 0o777, 0o600)
    await t.rejects(hold(t, { kind: 'unix', path }), /the address is in use/)
    port.close()
    t.equal(existsSync(path), false)
  })

  await t.test('that a killed process left behind is replaced', async (t) => {
    const path = socketPath(t)
    const script =
      'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))'
    t.throws(() => execFileSync(process.execPath, ['-e', script, path]))
    t.ok(existsSync(path))
    await hold(t, { kind: 'unix', path })
  })

  await t.test('in whose place there is an ordinary file is refused, and the file stays', async (t) => {
    const path = socketPath(t)
    writeFileSync(path, 'mine')
    await t.rejects(hold(t, { kind: 'unix', path }), /cannot listen/)
    t.ok(existsSync(path))
  })
})
