// Runs twice: with pooled reads, and in a child process with `MESHGATE_POOLED_READS=off`, where the same must hold.
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { poolUsage } from '../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../lib/buffer/slab-pool.ts'
import { HIGH_WATERMARK, LOW_WATERMARK } from '../../lib/net/connection.ts'
import {
  connect,
  dialTo,
  listen,
  ManualLoop,
  makeContext,
  type Peer,
  RawClient,
  turn,
  until,
} from './support.ts'

const isPooled = process.env.MESHGATE_POOLED_READS !== 'off'
const MIB = 1024 * 1024
const context = makeContext()
poisonReleasedSlabs(true)

/** Bytes that show it when a piece is lost, doubled or moved. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length)
  let state = seed * 2654435761 + 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

function digest(bytes: Buffer | readonly Buffer[]): string {
  const hash = createHash('sha1')
  for (const part of Array.isArray(bytes) ? bytes : [bytes]) hash.update(part as Buffer)
  return hash.digest('hex')
}

function noLeases(): Promise<void> {
  return until(() => poolUsage().leased === 0, `every slab to come back, ${poolUsage().leased} are out`)
}

function noTimers(): Promise<void> {
  return until(() => context.loop.wheel.count === 0, 'every timer to be cancelled')
}

/** Counts the writes of a socket. */
function spyOnWrites(peer: Peer): { count: number } {
  const { socket } = peer.connection
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  const spy = { count: 0 }
  socket.write = ((...args: unknown[]) => {
    spy.count++
    return write(...args)
  }) as typeof socket.write
  return spy
}

/** Sends as much as the connection takes, and more on every drain. */
function pump(peer: Peer, bytes: Buffer, pieceLength: number, onDone: () => void): void {
  let at = 0
  const more = (): void => {
    while (at < bytes.length && peer.connection.isWritable) {
      const end = Math.min(bytes.length, at + pieceLength)
      peer.connection.write(bytes, at, end)
      at = end
    }
    if (at === bytes.length) {
      at++
      onDone()
    }
  }
  peer.codec.handleDrain = more
  more()
}

/** Reads from a paused client in bursts, some turns apart. */
async function readSlowly(client: RawClient, length: number, burst: number): Promise<void> {
  while (client.length < length) {
    const goal = Math.min(length, client.length + burst)
    client.socket.resume()
    await until(
      () => client.length >= goal || client.isClosed,
      `byte ${goal} of ${length}, at ${client.length}`,
    )
    if (client.isClosed) return
    client.socket.pause()
    for (let i = 0; i < 5; i++) await turn()
  }
  client.socket.resume()
}

t.test('bytes arrive in order, both ways, whatever the pieces', async (t) => {
  const listener = await listen(context)
  const sent = pattern(MIB, 1)
  const client = await connect(context, listener.address)
  const server = await listener.first()
  server.codec.handle = (bytes, offset, end) => server.connection.write(bytes, offset, end)
  let at = 0
  for (let i = 1; at < sent.length; i++) {
    const end = Math.min(sent.length, at + ((i * 7919) % 40_000) + 1)
    if (i % 2 === 0) client.connection.write(sent, at, end)
    else {
      const out = client.connection.reserve(end - at)
      client.connection.position += sent.copy(out, client.connection.position, at, end)
    }
    at = end
    if (i % 5 === 0) await turn()
  }
  await until(() => client.codec.length === sent.length, 'the echo')
  t.equal(digest(client.codec.chunks), digest(sent))
  client.connection.close()
  await until(() => server.codec.count('end') === 1, 'FIN')
  server.connection.close()
  await until(() => listener.acceptor.connections.size === 0, 'the end')
  t.same(client.codec.events, ['close'])
  t.equal(client.codec.closeError, null)
  await noLeases()
  await noTimers()
  await listener.close()
})

t.test('what one turn produces leaves in one write', async (t) => {
  const listener = await listen(context)
  const client = await connect(context, listener.address)
  const server = await listener.first()
  const writes = spyOnWrites(client)
  for (let i = 0; i < 50; i++)
    client.connection.write(Buffer.from(`message ${i};`), 0, `message ${i};`.length)
  t.equal(writes.count, 0, 'nothing before the turn ends')
  t.ok(client.connection.queuedBytes > 400)
  await until(() => server.codec.text.endsWith('message 49;'), 'the messages')
  t.equal(writes.count, 1)
  t.equal(client.connection.queuedBytes, 0)
  t.equal(poolUsage().leased, 0, 'the slab is back as soon as the kernel has the bytes')
  client.connection.destroy()
  await listener.close()
})

t.test('a message longer than a slab goes out whole, and what follows it stays behind it', async (t) => {
  const listener = await listen(context)
  const client = await connect(context, listener.address)
  const server = await listener.first()
  const sent = pattern(700_000, 2)
  const out = client.connection.reserve(500_000)
  client.connection.position += sent.copy(out, client.connection.position, 0, 300_000)
  client.connection.write(sent, 300_000, 300_500)
  t.equal(client.connection.queuedBytes, 300_500)
  client.connection.write(sent, 300_500, 700_000)
  await until(() => server.codec.length === sent.length, 'all of it')
  t.equal(digest(server.codec.chunks), digest(sent))
  client.connection.destroy()
  await listener.close()
  await noLeases()
})

t.test('a slow reader holds up its source above the high watermark, and loses nothing', async (t) => {
  const listener = await listen(context)
  const sent = pattern(24 * MIB, 3)
  const client = new RawClient(listener.port, { isPaused: true })
  const server = await listener.first()
  let isDone = false
  let mostQueued = 0
  let mostLeased = 0
  server.codec.handleClose = () => {}
  pump(server, sent, 10_000, () => {
    isDone = true
  })
  const drain = server.codec.handleDrain
  server.codec.handleDrain = () => {
    t.ok(server.connection.queuedBytes <= LOW_WATERMARK, 'below the low watermark')
    drain()
    mostQueued = Math.max(mostQueued, server.connection.queuedBytes)
    mostLeased = Math.max(mostLeased, poolUsage().leased)
  }
  await turn()
  t.notOk(isDone)
  t.notOk(server.connection.isWritable)
  t.ok(server.connection.queuedBytes >= HIGH_WATERMARK)
  await readSlowly(client, sent.length, MIB)
  t.equal(digest(client.chunks), digest(sent))
  t.ok(isDone)
  t.ok(server.codec.count('drain') > 1)
  t.ok(mostQueued < HIGH_WATERMARK + 2 * 65_536, `${mostQueued} bytes queued`)
  t.ok(mostLeased < 12, `${mostLeased} slabs leased`)
  await noLeases()
  client.socket.destroy()
  await listener.close()
  await noTimers()
})

t.test('a peer that resets while output is queued gives every slab back', async (t) => {
  const listener = await listen(context)
  const client = new RawClient(listener.port, { isPaused: true })
  const server = await listener.first()
  pump(server, pattern(24 * MIB, 4), 10_000, () => {})
  await turn()
  t.ok(poolUsage().leased > 0)
  client.socket.resetAndDestroy()
  await until(() => server.codec.count('close') === 1, 'the close')
  t.ok(server.codec.closeError instanceof Error, 'the reason is told')
  t.equal(server.codec.events.at(-1), 'close')
  t.equal(server.codec.count('drain'), 0)
  await noLeases()
  server.connection.write(Buffer.from('late'), 0, 4)
  server.connection.lend(Buffer.from('late'), 0, 4)
  server.connection.close()
  server.connection.end()
  server.connection.resumeRead()
  server.connection.destroy()
  await turn()
  await noLeases()
  t.equal(server.codec.count('close'), 1, 'once')
  await listener.close()
  await noTimers()
})

/** Hands everything from one connection to another, as a proxy does with a body. */
function relay(from: Peer, to: Peer): void {
  from.codec.handle = (bytes, offset, end) => {
    to.connection.lend(bytes, offset, end)
    if (!to.connection.isWritable) from.connection.pauseRead()
  }
  to.codec.handleDrain = () => from.connection.resumeRead()
  from.codec.handleEnd = () => to.connection.end()
}

/** Sends `sent` through a relay of two connections to a slow reader, and gives back what that got. */
async function runRelay(sent: Buffer, pieceLength: number, burst: number): Promise<RawClient> {
  const back = await listen(context)
  const front = await listen(context)
  const source = new RawClient(front.port)
  const sink = new RawClient(back.port, { isPaused: true })
  const from = await front.first()
  const to = await back.first()
  relay(from, to)
  let at = 0
  const feed = (): void => {
    while (at < sent.length) {
      const end = Math.min(sent.length, at + pieceLength)
      const isTaken = source.socket.write(sent.subarray(at, end))
      at = end
      if (!isTaken) {
        source.socket.once('drain', feed)
        return
      }
    }
    source.socket.end()
  }
  feed()
  await readSlowly(sink, sent.length, burst)
  await until(() => sink.isEnded, 'FIN through the relay')
  source.socket.destroy()
  sink.socket.destroy()
  await Promise.all([front.close(), back.close()])
  return sink
}

t.test('64 MiB through a relay to a slow reader arrive intact, in bounded memory', async (t) => {
  const sent = pattern(64 * MIB, 5)
  let mostLeased = 0
  const watch = setInterval(() => {
    mostLeased = Math.max(mostLeased, poolUsage().leased)
  }, 1)
  const sink = await runRelay(sent, 256 * 1024, 4 * MIB)
  clearInterval(watch)
  t.equal(sink.length, sent.length)
  t.equal(digest(sink.chunks), digest(sent))
  t.ok(mostLeased < 16, `${mostLeased} slabs leased at most`)
  await noLeases()
  await noTimers()
})

t.test('four relays with slow readers at once stay intact, with small pieces and with bulk', async (t) => {
  for (const pieceLength of [3000, 50_000, 400_000]) {
    const sent = [1, 2, 3, 4].map((seed) => pattern(6 * MIB, 100 * seed + pieceLength))
    const sinks = await Promise.all(
      sent.map((bytes, i) => runRelay(bytes, pieceLength, 300_000 + i * 70_000)),
    )
    for (const [i, sink] of sinks.entries()) {
      t.equal(digest(sink.chunks), digest(sent[i] as Buffer), `pieces of ${pieceLength}`)
    }
  }
  await noLeases()
})

t.test('bulk is lent, not copied', { skip: isPooled ? false : 'reads are not pooled' }, async (t) => {
  const listener = await listen(context)
  const client = new RawClient(listener.port)
  const server = await listener.first()
  let lent = 0
  const write = server.connection.socket.write.bind(server.connection.socket)
  let reading: Buffer | null = null
  server.connection.socket.write = ((chunk: Buffer, ...rest: never[]) => {
    if (reading !== null && chunk.length > 0 && chunk.buffer === reading.buffer) lent += chunk.length
    return write(chunk, ...rest)
  }) as typeof server.connection.socket.write
  server.codec.handle = (bytes, offset, end) => {
    reading = bytes
    server.connection.lend(bytes, offset, end)
    reading = null
  }
  const sent = pattern(8 * MIB, 6)
  client.socket.write(sent)
  await until(() => client.length === sent.length, 'the echo')
  t.equal(digest(client.chunks), digest(sent))
  t.ok(lent > 4 * MIB, `${lent} bytes went out of the buffer they came in`)
  client.socket.destroy()
  await listener.close()
  await noLeases()
})

t.test('a peer that sent FIN behind its request still gets the answer', async (t) => {
  const listener = await listen(context)
  const client = new RawClient(listener.port)
  client.socket.end('request')
  const server = await listener.first()
  await until(() => server.codec.count('end') === 1, 'FIN')
  t.equal(server.codec.text, 'request')
  await turn()
  await turn()
  server.connection.write(Buffer.from('answer'), 0, 6)
  server.connection.close()
  await until(() => client.isClosed, 'the end')
  t.equal(client.text, 'answer')
  t.equal(client.error, null)
  await until(() => server.codec.count('close') === 1, 'close')
  t.equal(server.codec.closeError, null)
  await listener.close()
  await noTimers()
})

for (const how of ['close', 'end'] as const) {
  t.test(`${how} sends everything that is queued to a slow reader before FIN`, async (t) => {
    const listener = await listen(context)
    const client = new RawClient(listener.port, { isPaused: true })
    const server = await listener.first()
    const sent = pattern(12 * MIB, 7)
    // More than the kernel takes, in several batches, so that slabs wait on both sides of the empty write.
    server.connection.write(sent, 0, sent.length)
    t.ok(server.connection.socket.writableLength > MIB)
    server.connection[how]()
    server.connection.write(Buffer.from('not any more'), 0, 12)
    server.connection.lend(Buffer.from('not any more'), 0, 12)
    await readSlowly(client, sent.length, 2 * MIB)
    await until(() => client.isEnded, 'FIN')
    t.equal(client.length, sent.length)
    t.equal(digest(client.chunks), digest(sent))
    client.socket.end()
    await until(() => how === 'end' || server.codec.count('close') === 1, 'close')
    await noLeases()
    await listener.close()
    t.equal(server.codec.closeError, null)
    await noTimers()
  })
}

t.test('a caller that is still sending reads the whole answer after close', async (t) => {
  const listener = await listen(context)
  const client = new RawClient(listener.port)
  const server = await listener.first()
  server.codec.handle = () => {
    server.codec.handle = () => t.fail('a closing connection reads nothing')
    server.connection.write(Buffer.from('enough'), 0, 6)
    server.connection.close()
    server.connection.pauseRead()
  }
  const upload = pattern(16 * MIB, 8)
  const sent = new Promise<void>((resolve) => client.socket.end(upload, () => resolve()))
  await until(() => client.isClosed, 'both to be over')
  await sent
  t.equal(client.text, 'enough')
  t.equal(client.error, null)
  await listener.close()
  await noTimers()
})

t.test(
  'a closing connection gives up on a peer that does not close, and on one that takes nothing',
  async (t) => {
    const manual = new ManualLoop()
    const { clock } = manual
    const listener = await listen(makeContext(manual))
    const polite = new RawClient(listener.port)
    const first = await listener.first()
    first.connection.write(Buffer.from('bye'), 0, 3)
    first.connection.close()
    await until(() => polite.isEnded, 'FIN')
    t.notOk(first.codec.events.includes('close'), 'the peer has its time')
    clock.advance(1000)
    await until(() => first.codec.count('close') === 1, 'the end')
    polite.socket.destroy()

    const stuck = new RawClient(listener.port, { isPaused: true })
    await until(() => listener.peers.length === 2, 'the second')
    const second = listener.peers[1] as Peer
    second.connection.write(pattern(12 * MIB, 9), 0, 12 * MIB)
    second.connection.close()
    clock.advance(9000)
    await turn()
    t.notOk(second.connection.isClosed, 'a slow peer has more of it')
    clock.advance(5000)
    await until(() => second.codec.count('close') === 1, 'the reset')
    stuck.socket.destroy()
    t.equal(clock.pending, 0)
    await listener.close()
    await noLeases()
  },
)

t.test('destroy drops what is queued', async (t) => {
  const listener = await listen(context)
  const client = new RawClient(listener.port)
  const server = await listener.first()
  server.connection.write(Buffer.from('never'), 0, 5)
  server.connection.destroy()
  await until(() => client.isEnded || client.isClosed, 'the end')
  t.equal(client.length, 0)
  await until(() => server.codec.count('close') === 1, 'close')
  t.same(server.codec.events, ['close'])
  t.equal(server.connection.isClosed, true)
  t.equal(listener.acceptor.connections.size, 0)
  client.socket.destroy()
  await listener.close()
  await noLeases()
})

t.test('a codec that pauses inside onBytes gets nothing until it resumes, then all of it', async (t) => {
  const listener = await listen(context)
  const client = new RawClient(listener.port)
  const server = await listener.first()
  const keep = server.codec.handle
  server.codec.handle = (bytes, offset, end) => {
    keep(bytes, offset, end)
    server.connection.pauseRead()
  }
  const sent = pattern(MIB, 10)
  client.socket.end(sent)
  await until(() => server.codec.length > 0, 'the first bytes')
  const first = server.codec.length
  for (let i = 0; i < 10; i++) await turn()
  t.equal(server.codec.length, first)
  t.notOk(server.codec.events.includes('end'))
  while (server.codec.length < sent.length) {
    const before = server.codec.length
    server.connection.resumeRead()
    await until(() => server.codec.length > before, 'more')
  }
  server.connection.resumeRead()
  await until(() => server.codec.count('end') === 1, 'FIN')
  t.equal(digest(server.codec.chunks), digest(sent))
  client.socket.destroy()
  await listener.close()
})

t.test('a codec that throws loses its own connection and nothing else', async (t) => {
  const listener = await listen(context)
  const bystander = new RawClient(listener.port)
  const kept = await listener.first()
  kept.codec.handle = (bytes, offset, end) => kept.connection.write(bytes, offset, end)
  const boom = (): never => {
    throw new Error('a defect')
  }
  const provoke: Record<string, (peer: Peer, client: RawClient) => void> = {
    onBytes: (peer, client) => {
      peer.codec.handle = boom
      client.socket.write('x')
    },
    onEnd: (peer, client) => {
      peer.codec.handleEnd = boom
      client.socket.end()
    },
    onTimer: (peer) => {
      peer.codec.handleTimer = boom
      peer.connection.setTimer(1)
    },
    onDrain: (peer, client) => {
      peer.codec.handleDrain = boom
      peer.connection.write(pattern(8 * MIB, 1), 0, 8 * MIB)
      t.notOk(peer.connection.isWritable)
      client.socket.resume()
    },
    onClose: (peer, client) => {
      peer.codec.handleClose = boom
      client.socket.resetAndDestroy()
    },
  }
  for (const [event, act] of Object.entries(provoke)) {
    context.records.length = 0
    const index = listener.peers.length
    const client = new RawClient(listener.port, { isPaused: event === 'onDrain' })
    await until(() => listener.peers.length > index, 'the connection')
    const peer = listener.peers[index] as Peer
    act(peer, client)
    await until(() => peer.connection.isClosed, `the connection whose ${event} threw to close`)
    t.equal(context.records.length, 1, `${event} is logged once`)
    t.match(context.records[0], { level: 'error', fields: { err: { message: 'a defect' } } })
    t.equal(peer.codec.count('close'), 1)
    client.socket.destroy()
  }
  context.records.length = 0
  bystander.socket.write('still here?')
  await until(() => bystander.text === 'still here?', 'the other connection')
  bystander.socket.destroy()
  await listener.close()
  await noLeases()
})

t.test('the timer of a connection is moved, switched off, and gone with the connection', async (t) => {
  const manual = new ManualLoop()
  const { clock } = manual
  const listener = await listen(makeContext(manual))
  const client = new RawClient(listener.port)
  const { connection, codec } = await listener.first()
  connection.setTimer(100)
  clock.advance(60)
  connection.setTimer(100)
  clock.advance(60)
  t.equal(codec.count('timer'), 0)
  clock.advance(40)
  t.equal(codec.count('timer'), 1)
  clock.advance(1000)
  t.equal(codec.count('timer'), 1)
  connection.setTimer(100)
  connection.setTimer(0)
  t.equal(clock.pending, 0)
  connection.setTimer(100)
  client.socket.destroy()
  await until(() => codec.count('end') === 1, 'FIN')
  connection.destroy()
  await until(() => connection.isClosed, 'close')
  t.equal(clock.pending, 0)
  await listener.close()
})

t.test('a codec may dial while it reads, in small reads and in bulk', async (t) => {
  const back = await listen(context)
  back.onPeer = (peer) => {
    peer.codec.handle = (bytes, offset, end) => peer.connection.write(bytes, offset, end)
  }
  const front = await listen(context)
  for (const length of [10, 2 * MIB]) {
    const client = new RawClient(front.port)
    const index = front.peers.length
    await until(() => front.peers.length > index, 'the connection')
    const server = front.peers[index] as Peer
    const echoes: Promise<void>[] = []
    const keep = server.codec.handle
    server.codec.handle = (bytes, offset, end) => {
      keep(bytes, offset, end)
      if (echoes.length < 20) echoes.push(echo(echoes.length))
    }
    const echo = async (seed: number): Promise<void> => {
      const sent = pattern(300_000, seed)
      const result = await dialTo(context, back.address).result
      if ('reason' in result) throw result.error
      result.connection.write(sent, 0, sent.length)
      await until(() => result.codec.length === sent.length, `echo ${seed}`)
      t.equal(digest(result.codec.chunks), digest(sent), `echo ${seed} while ${length} bytes are read`)
      result.connection.destroy()
    }
    const sent = pattern(length, 11)
    client.socket.write(sent)
    await until(() => server.codec.length === sent.length, 'the request')
    await Promise.all(echoes)
    t.ok(echoes.length > 0)
    t.equal(digest(server.codec.chunks), digest(sent))
    client.socket.destroy()
  }
  await front.close()
  await back.close()
  await noLeases()
  await noTimers()
})

t.test('a peer that resets before anybody listens costs nothing but its connection', async (t) => {
  const listener = await listen(context)
  for (let i = 0; i < 20; i++) {
    const client = new RawClient(listener.port)
    await new Promise((resolve) => client.socket.once('connect', resolve))
    client.socket.resetAndDestroy()
  }
  const client = new RawClient(listener.port)
  await until(() => listener.acceptor.connections.size === 1, 'the others to be gone')
  t.notOk(client.isClosed)
  client.socket.destroy()
  await listener.close()

  listener.peers.length = 0
  const hasty = await listen(context)
  hasty.onPeer = ({ connection }) => connection.socket.resetAndDestroy()
  for (let i = 0; i < 20; i++) {
    // The reset comes before or after the dial is done.
    const result = await dialTo(context, hasty.address).result
    if ('reason' in result) t.equal(result.reason, 'refused')
    else await until(() => result.codec.count('close') === 1, 'the reset')
  }
  await hasty.close()
  await noTimers()
})

if (isPooled) {
  t.spawn(
    process.execPath,
    [fileURLToPath(import.meta.url)],
    { env: { ...process.env, MESHGATE_POOLED_READS: 'off' } },
    "the same holds with 'data' events in place of pooled reads",
  )
}

t.test('those who watch a peer are told once, when its connection is closed', async (t) => {
  const listener = await listen(context)
  new RawClient(listener.port)
  await until(() => listener.peers.length === 1, 'the connection')
  const { connection, codec } = listener.peers[0] as Peer
  const told: string[] = []
  const watcher = (name: string) => ({
    onPeerGone: () => void told.push(`${name} after ${codec.count('close')} close`),
  })
  const gone = watcher('gone')
  connection.peer.watch(watcher('first'))
  connection.peer.watch(watcher('second'))
  connection.peer.watch(gone)
  connection.peer.unwatch(gone)
  connection.destroy()
  await until(() => connection.isClosed, 'the close')
  t.same(told, ['first after 1 close', 'second after 1 close'])
  connection.peer.onClose()
  t.equal(told.length, 2)
  await listener.close()
  await noTimers()
})
