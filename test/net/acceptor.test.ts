import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { adopt, probeAdoption } from '../../lib/net/adopt.ts'
import {
  connect,
  dialTo,
  listen,
  ManualLoop,
  makeContext,
  RawClient,
  type TestListener,
  turn,
  until,
} from './support.ts'

const context = makeContext()

t.test('port 0 becomes a real port, and addresses are told on both sides', async (t) => {
  const listener = await listen(context)
  t.match(listener.acceptor.address, /^127\.0\.0\.1:\d+$/)
  const client = await connect(context, listener.address)
  const server = await listener.first()
  t.equal(server.connection.peer.remoteAddress, '127.0.0.1')
  t.equal(server.connection.peer.localPort, listener.port)
  t.equal(client.connection.peer.remotePort, listener.port)
  t.equal(client.connection.peer.localPort, server.connection.peer.remotePort)
  t.not(client.connection.id, server.connection.id)
  client.connection.destroy()
  await listener.close()
})

t.test('IPv6 works', async (t) => {
  let listener: TestListener
  try {
    listener = await listen(context, { at: '[::1]:0' })
  } catch (error) {
    t.comment(`this machine has no IPv6: ${(error as Error).message}`)
    return
  }
  t.match(listener.acceptor.address, /^\[::1\]:\d+$/)
  const client = await connect(context, listener.address)
  t.equal(client.connection.peer.remoteAddress, '::1')
  client.connection.destroy()
  await listener.close()
})

t.test(
  'connections beyond the limit are closed at once, and there is room again when one leaves',
  async (t) => {
    const listener = await listen(context, { maxConnections: 2 })
    const first = new RawClient(listener.port)
    const second = new RawClient(listener.port)
    await until(() => listener.peers.length === 2, 'two')
    const third = new RawClient(listener.port)
    await until(() => third.isEnded || third.isClosed, 'the third to be closed')
    t.equal(listener.refused, 1)
    t.equal(listener.peers.length, 2)
    t.equal(listener.acceptor.connections.size, 2)
    first.socket.resetAndDestroy()
    await until(() => listener.acceptor.connections.size === 1, 'room')
    const fourth = new RawClient(listener.port)
    await until(() => listener.peers.length === 3, 'the fourth')
    for (const client of [second, third, fourth]) client.socket.destroy()
    await listener.close()
  },
)

t.test('stop leaves what is connected, and takes nobody else', async (t) => {
  const listener = await listen(context)
  const { port } = listener
  const client = new RawClient(port)
  const server = await listener.first()
  listener.acceptor.stop()
  await turn()
  client.socket.write('still here')
  await until(() => server.codec.text === 'still here', 'the connection')
  const late = await dialTo(context, { kind: 'tcp', host: '127.0.0.1', port }).result
  t.match(late, { reason: 'refused' })
  client.socket.destroy()
  await listener.close()
})

t.test('a port in use is refused with a message that says what to do', async (t) => {
  const listener = await listen(context)
  await t.rejects(listen(context, { at: `127.0.0.1:${listener.port}` }), {
    message: `cannot listen on 127.0.0.1:${listener.port}: the address is in use: stop the other process or choose another address`,
  })
  await listener.close()
  await t.rejects(listen(context, { at: '192.0.2.77:0' }), /no interface of this machine has that address/)
})

t.test('a Unix socket takes the place of a stale file, never of a live one', async (t) => {
  // Not in the test's own folder: the path of a socket must be short.
  const folder = mkdtempSync(join(tmpdir(), 'meshgate-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(`${folder}/plain.txt`, 'a file')
  const path = `${folder}/app.sock`
  const listener = await listen(context, { at: `unix:${path}` })
  t.equal(listener.acceptor.address, `unix:${path}`)
  const client = await connect(context, { kind: 'unix', path })
  const server = await listener.first()
  t.same(server.connection.peer, { remoteAddress: '', remotePort: 0, localAddress: '', localPort: 0 })
  client.connection.write(Buffer.from('hello'), 0, 5)
  await until(() => server.codec.text === 'hello', 'the bytes')
  await t.rejects(listen(context, { at: `unix:${path}` }), /app\.sock: the address is in use/)
  client.connection.destroy()
  await listener.close()

  // A process that dies leaves its socket file.
  const source = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  const child = spawn(process.execPath, ['-e', source])
  await new Promise((resolve) => child.on('exit', resolve))
  t.ok(existsSync(path), 'the stale file is there')
  const next = await listen(context, { at: `unix:${path}` })
  await connect(context, { kind: 'unix', path }).then(({ connection }) => connection.destroy())
  await next.close()

  await t.rejects(listen(context, { at: `unix:${folder}/plain.txt` }), /in use/)
  t.ok(existsSync(`${folder}/plain.txt`), 'a file that is no socket is left alone')
  await t.rejects(
    listen(context, { at: `unix:${folder}/none/app.sock` }),
    /folder of the socket does not exist|EACCES|permission/,
  )
  await t.rejects(listen(context, { at: `unix:${folder}/${'x'.repeat(120)}` }), /107 bytes at most/)
})

t.test('a dial to nobody is refused, a dial that is given up reports nothing', async (t) => {
  const listener = await listen(context)
  const { address } = listener
  const aborted = dialTo(context, address)
  let reports = 0
  void aborted.result.then(() => reports++)
  aborted.dialling.abort()
  aborted.dialling.abort()
  await listener.close()
  const refused = await dialTo(context, address).result
  t.match(refused, { reason: 'refused', error: { code: 'ECONNREFUSED' } })
  t.match(await dialTo(context, { kind: 'unix', path: '/nowhere/none.sock' }).result, { reason: 'refused' })
  for (let i = 0; i < 10; i++) await turn()
  t.equal(reports, 0)
  t.equal(context.loop.wheel.count, 0, 'no timer is left')
})

t.test('a dial that takes too long is given up', async (t) => {
  const manual = new ManualLoop()
  const dialContext = makeContext(manual)
  const listener = await listen(context)
  const dialled = dialTo(dialContext, listener.address, 250)
  manual.clock.advance(249)
  t.equal(manual.clock.pending, 1)
  manual.clock.advance(1)
  t.match(await dialled.result, { reason: 'timeout', error: { message: 'no connection within 250 ms' } })
  for (let i = 0; i < 10; i++) await turn()
  t.equal(manual.clock.pending, 0)
  const unlimited = dialTo(dialContext, listener.address, 0)
  t.equal(manual.clock.pending, 0, '0 is no limit')
  const result = await unlimited.result
  if ('connection' in result) result.connection.destroy()
  await listener.close()
})

t.test('the adopted socket is another one, and the server forgets the first', async (t) => {
  t.equal(await probeAdoption(), true, 'this runtime can')
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve))
  const client = new RawClient((server.address() as net.AddressInfo).port)
  const got: string[] = []
  const original = await accepted
  const adopted = adopt(original, {
    buffer: () => Buffer.alloc(64),
    callback: (length, buffer) => {
      got.push(buffer.latin1Slice(0, length))
      return true
    },
  })
  t.not(adopted, original)
  client.socket.end('hi')
  adopted.resume()
  await until(() => got.join('') === 'hi', 'the bytes')
  t.equal(adopted.remoteAddress, '127.0.0.1')
  adopted.end('answer')
  await until(() => client.text === 'answer' && client.isClosed, 'the answer after FIN')
  await new Promise((resolve) => server.close(resolve))
  t.equal(
    adopt(adopted, { buffer: () => Buffer.alloc(1), callback: () => true }),
    adopted,
    'a closed one stays as it is',
  )
})

t.test(
  'out of file descriptors it serves what it has, and accepts again later',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const source = `
    import { listen, makeContext, until } from ${JSON.stringify(new URL('support.ts', import.meta.url).href)}
    const listener = await listen(makeContext())
    listener.onPeer = ({ connection, codec }) => {
      codec.handle = (bytes, offset, end) => connection.write(bytes, offset, end)
      codec.handleEnd = () => connection.close()
    }
    console.log(listener.port)
    process.on('message', () => process.send({ errors: listener.errors.length, open: listener.acceptor.connections.size }))
  `
    const child = spawn(
      '/bin/sh',
      ['-c', 'ulimit -n 60; exec "$0" --input-type=module -e "$1"', process.execPath, source],
      { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], cwd: fileURLToPath(new URL('../..', import.meta.url)) },
    )
    const port = await new Promise<number>((resolve) =>
      child.stdout?.once('data', (chunk) => resolve(Number(chunk))),
    )
    const ask = (): Promise<{ errors: number; open: number }> =>
      new Promise((resolve) => {
        child.once('message', (message) => resolve(message as { errors: number; open: number }))
        child.send('report')
      })
    const clients = [new RawClient(port)]
    const [first] = clients as [RawClient]
    first.socket.write('one ')
    await until(() => first.text === 'one ', 'the first echo')
    for (let i = 0; i < 80; i++) clients.push(new RawClient(port))
    let report = await ask()
    for (let i = 0; i < 200 && report.open < 20; i++) report = await ask()
    first.socket.write('two')
    await until(() => first.text === 'one two', 'the first connection is served on')
    t.ok(report.open < 60, `${report.open} connections are open`)
    for (const client of clients.slice(1)) client.socket.destroy()
    let late = ''
    for (let i = 0; i < 100 && late !== 'back'; i++) {
      const client = new RawClient(port)
      client.socket.write('back')
      await until(() => client.text === 'back' || client.isClosed || client.isEnded, 'an answer or an end')
      late = client.text
      client.socket.destroy()
    }
    t.equal(late, 'back', 'new connections are served again')
    first.socket.destroy()
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
  },
)
