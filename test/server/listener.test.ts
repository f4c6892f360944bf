import t from 'tap'
import type { Codec, ServerCodec, Wire } from '../../lib/core/codec.ts'
import { parseAddress } from '../../lib/net/address.ts'
import type { ProxyProtocolMode } from '../../lib/net/proxy-protocol.ts'
import { Listener, type ListenerOptions, type ListenerServices } from '../../lib/server/listener.ts'
import { Runtime } from '../../lib/server/runtime.ts'
import { makeStats } from '../../lib/testing-exchange.ts'
import { ManualLoop, makeContext, RawClient, until } from '../net/support.ts'

/** A codec that echoes, and closes when it drains. */
class EchoCodec implements ServerCodec {
  readonly activeExchanges = 0
  drained: number[] = []
  readonly options: unknown
  readonly #wire: Wire

  constructor(wire: Wire, options: unknown) {
    this.#wire = wire
    this.options = options
  }

  drain(graceMs: number): void {
    this.drained.push(graceMs)
    this.#wire.close()
  }

  onBytes(bytes: Buffer, offset: number, end: number): void {
    this.#wire.write(bytes, offset, end)
  }

  onEnd(): void {
    this.#wire.close()
  }

  onDrain(): void {}
  onTimer(): void {}
  onClose(): void {}
}

function setUp(proxyProtocol: ProxyProtocolMode = 'off'): {
  listener: Listener
  codecs: EchoCodec[]
  options: ListenerOptions
  context: ReturnType<typeof makeContext>
  loop: ManualLoop
} {
  const loop = new ManualLoop()
  const context = makeContext(loop)
  const codecs: EchoCodec[] = []
  const options = {
    name: 'in',
    protocol: {
      name: 'echo',
      createServer: (wire: Wire, given: unknown, _handler: unknown, { listener }: { listener: unknown }) => {
        t.equal(listener, subject)
        const codec = new EchoCodec(wire, given)
        codecs.push(codec)
        return codec
      },
    },
    acceptor: {
      address: parseAddress('127.0.0.1:0'),
      maxConnections: 2,
      proxyProtocol,
      headerTimeoutMs: 5000,
    },
    codec: { trusted: true },
  } as unknown as ListenerOptions
  const handler = {} as ListenerServices['handler']
  const subject: Listener = new Listener(options, {
    net: context,
    handler,
    stats: makeStats(),
    log: context.log,
  })
  return { listener: subject, codecs, options, context, loop }
}

function portOf(listener: Listener): number {
  return Number(listener.address.split(':').at(-1))
}

t.test('a listener gives each connection the codec of its protocol, with its options', async (t) => {
  const { listener, codecs, options } = setUp()
  await listener.listen()
  t.equal(listener.protocol, 'echo')
  t.equal(listener.trusted, true)
  const client = new RawClient(portOf(listener))
  client.socket.write('hello')
  await until(() => client.text === 'hello', 'the echo')
  t.equal(codecs[0]?.options, options.codec)
  t.equal(listener.connections.size, 1)

  const stricter = {
    ...options,
    acceptor: { ...options.acceptor, maxConnections: 1 },
    codec: { ...options.codec },
  }
  listener.update(stricter)
  t.equal(listener.options, stricter)
  const refused = new RawClient(portOf(listener))
  await until(() => refused.isEnded || refused.isClosed, 'the surplus connection to be closed')
  t.equal(listener.refused, 1)
  client.socket.end()
  await until(() => client.isClosed && listener.connections.size === 0, 'the end')
  const next = new RawClient(portOf(listener))
  await until(() => codecs.length === 2, 'the next')
  t.equal(codecs[1]?.options, stricter.codec)
  listener.destroy()
  await until(() => listener.connections.size === 0, 'the end')
  next.socket.destroy()
  refused.socket.destroy()
})

t.test(
  'a drain reaches every connection, those that come later and those that are still silent',
  async (t) => {
    const { listener, codecs, loop } = setUp('optional')
    await listener.listen()
    const first = new RawClient(portOf(listener))
    first.socket.write('hello')
    const silent = new RawClient(portOf(listener))
    await until(() => first.text === 'hello' && listener.connections.size === 2, 'both')
    t.equal(codecs.length, 1, 'the second has not said whether it has a PROXY header')
    listener.drain(3000)
    t.same(codecs[0]?.drained, [3000])
    await until(() => first.isEnded, 'the first to be closed')
    first.socket.end()
    silent.socket.write('me too')
    await until(() => silent.isEnded, 'the silent one to be closed')
    t.same(codecs[1]?.drained, [3000])
    silent.socket.end()
    await until(() => listener.connections.size === 0, 'the end')
    const late = new RawClient(portOf(listener))
    late.socket.write('late')
    await until(() => late.isEnded, 'the late one to be closed')
    late.socket.end()
    await until(() => listener.connections.size === 0, 'the end')
    listener.stop()
    t.equal(loop.clock.pending, 0)
  },
)

t.test('an heir takes the connections to come, and leaves those that are there', async (t) => {
  const { listener, codecs, options, context } = setUp()
  await listener.listen()
  const old = new RawClient(portOf(listener))
  await until(() => codecs.length === 1, 'the first')
  const heirs: Codec[] = []
  const protocol = {
    name: 'other',
    createServer: (wire: Wire) => {
      const codec = new EchoCodec(wire, null)
      heirs.push(codec)
      return codec
    },
  }
  const heir = new Listener(
    { ...options, protocol } as unknown as ListenerOptions,
    { net: context, handler: {} as never, stats: makeStats(), log: context.log },
    listener.acceptor,
  )
  heir.takeOver()
  t.equal(heir.address, listener.address)
  const next = new RawClient(portOf(heir))
  await until(() => heirs.length === 1, 'the next')
  old.socket.write('still served')
  await until(() => old.text === 'still served', 'the old one')
  t.equal(codecs.length, 1)
  heir.destroy()
  await until(() => heir.connections.size === 0, 'the end')
  old.socket.destroy()
  next.socket.destroy()
})

t.test('failures to accept are logged once a second', (t) => {
  const { listener, context, loop } = setUp()
  for (let i = 0; i < 5; i++) listener.onAcceptError(new Error('EMFILE'))
  t.equal(context.records.length, 1)
  loop.clock.advance(1000)
  listener.onAcceptError(new Error('EMFILE'))
  t.match(context.records, [{ level: 'error', fields: { listener: 'in' } }, { level: 'error' }])
  t.equal(context.records.length, 2)
  t.end()
})

t.test('a runtime is over once, when it is retired and its last exchange has ended, in either order', (t) => {
  for (const isRetiredFirst of [true, false]) {
    let retired = 0
    let over = 0
    const chain = { set: { retire: () => retired++ } } as never
    const runtime = new Runtime(chain, { match: () => null }, 0)
    runtime.live = 2
    runtime.release()
    if (isRetiredFirst) runtime.retire(() => over++)
    t.same([retired, over], [0, 0])
    runtime.release()
    if (!isRetiredFirst) runtime.retire(() => over++)
    t.same([retired, over], [1, 1])
  }
  t.end()
})
