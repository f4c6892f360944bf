/**
 * Random changes to captured Dubbo frames, cut at random places. A codec must not throw, must end every exchange it
 * began, must not keep leases, and must not send more than its input can ask for.
 */
import { poolUsage } from '../../lib/buffer/pools.ts'
import { GatewayError } from '../../lib/core/errors.ts'
import { ExchangeState } from '../../lib/core/exchange.ts'
import { feed, frame, hi, map, parseFrames, Relay, routeTo, vectors } from '../support/dubbo-wire.ts'
import { random } from './mmtp.ts'

/** Longer samples take long and show nothing that shorter ones do not. */
const MAX_SAMPLE = 1_200
const MAX_FRAME = 64 * 1024
/** Most bytes that a codec may send beside what it was given. */
const MAX_REPLY = 4_096
const REPLY_FACTOR = 8

interface Corpus {
  readonly requests: readonly Buffer[]
  readonly answers: readonly Buffer[]
}

function corpus(): Corpus {
  const requests: Buffer[] = [frame(0xc2, 0, '1', hi()), frame(0x82, 0, '2', hi(map({})))]
  const answers: Buffer[] = []
  for (const [name, bytes] of vectors()) {
    if (bytes.length <= MAX_SAMPLE) (name.endsWith('.req') ? requests : answers).push(bytes)
  }
  // Under ids that are in use, so that they are read.
  for (const id of ['1', '3', '5']) {
    for (const bytes of [...answers]) {
      if (bytes.length > 16) answers.push(frame(bytes[2], bytes[3], id, bytes.subarray(16)))
    }
  }
  return { requests, answers }
}

/** Flips, overwrites, inserts, removes, repeats, joins, and corrects the length. */
function mutate(bytes: Buffer, other: Buffer, next: (limit: number) => number): Buffer {
  let result = Buffer.from(bytes)
  for (let steps = next(5); steps > 0; steps--) {
    const at = next(3) === 0 ? next(16) : next(result.length || 1)
    switch (next(8)) {
      case 0:
        if (at < result.length) result[at] ^= 1 << next(8)
        break
      case 1:
        if (at < result.length) result[at] = next(256)
        break
      case 2:
        result = Buffer.concat([result.subarray(0, at), Buffer.from([next(256)]), result.subarray(at)])
        break
      case 3:
        result = Buffer.concat([
          result.subarray(0, at),
          result.subarray(Math.min(result.length, at + next(8))),
        ])
        break
      case 4:
        result = Buffer.concat([result, result.subarray(at)])
        break
      case 5:
        result = Buffer.concat([result.subarray(0, at), other])
        break
      case 6:
        result = Buffer.concat([result, other])
        break
      default:
        // A frame whose length is right again is looked into.
        if (result.length >= 16) result.writeUInt32BE(result.length - 16, 12)
    }
  }
  return result.subarray(0, 4_096)
}

/** Runs `count` inputs. Throws with the seed of the first that goes wrong. */
export function fuzzDubbo(count: number, firstSeed = 1): void {
  const { requests, answers } = corpus()
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const next = random(seed)
    const isAnswer = next(3) === 0
    const pool = isAnswer ? answers : requests
    const bytes = mutate(pool[next(pool.length)], pool[next(pool.length)], next)
    try {
      run(bytes, isAnswer, next)
      const { leased } = poolUsage()
      if (leased !== 0) throw new Error(`${leased} leases are left`)
    } catch (error) {
      throw new Error(`seed ${seed}, bytes ${bytes.toString('hex')}: ${(error as Error).stack}`)
    }
  }
}

function run(bytes: Buffer, isAnswer: boolean, next: (limit: number) => number): void {
  const relay = new Relay(
    { maxFrameBytes: MAX_FRAME, maxStreams: 1 + next(8), idleTimeoutMs: 20_000 },
    { maxFrameBytes: MAX_FRAME, heartbeatMs: next(2) * 10_000 },
  )
  touch(relay, next)
  if (isAnswer) {
    for (let i = next(4); i > 0; i--) feed(relay.server, frame(0xc2, 0, `${i}`, hi()))
    takeAll(relay)
    feedInPieces(relay.client, bytes, next)
  } else feedInPieces(relay.server, bytes, next)
  check(takeAll(relay), bytes)
  relay.down.clock += next(40_000)
  relay.up.clock += next(40_000)
  relay.server.onTimer()
  relay.client.onTimer()
  if (next(2) === 0) relay.server.onEnd()
  if (next(2) === 0) relay.server.drain(next(2_000))
  if (next(2) === 0) relay.client.drain()
  takeAll(relay)
  relay.client.onClose(null)
  relay.server.onClose(null)
  relay.finishAll()
  if (relay.server.activeExchanges !== 0 || relay.client.activeStreams !== 0) {
    throw new Error(`left: ${relay.server.activeExchanges} exchanges, ${relay.client.activeStreams} streams`)
  }
}

/** Filters that read and change what they can. */
function touch(relay: Relay, next: (limit: number) => number): void {
  const isChanged = next(2) === 0
  const isRead = next(4) !== 0
  if (next(4) === 0) relay.route = routeTo({ service: 'com.example.Other', version: '9', group: 'g' })
  const names = ['path', 'timeout', 'tenant', 'none']
  relay.hook = (exchange) => {
    const { request } = exchange
    if (isRead) {
      request.headers.forEach((_name, value) => {
        if (typeof value !== 'string') throw new Error('a value that is no string')
      })
      if (request.budgetMs < 0) throw new Error('a negative budget')
      if (`${request.group}${request.app}${request.method}`.length > 100) {
        relay.fail(exchange, new GatewayError('RATE_LIMITED'))
        return
      }
    }
    if (!isChanged) return
    request.headers.remove(names[next(names.length)])
    request.headers.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
  }
  relay.responseHook = (exchange, { headers }) => {
    if (exchange.state === ExchangeState.Finished) throw new Error('an answer after the end')
    if (isChanged) headers.set('x-by', 'meshgate')
    if (isRead && headers.get('dubbo') !== null && !headers.has('DUBBO'))
      throw new Error('one name, two answers')
  }
}

function feedInPieces(
  codec: Relay['server'] | Relay['client'],
  bytes: Buffer,
  next: (limit: number) => number,
): void {
  const isWhole = next(3) === 0
  for (let at = 0; at < bytes.length; ) {
    const end = isWhole ? bytes.length : Math.min(bytes.length, at + 1 + next(64))
    feed(codec, bytes.subarray(at, end))
    at = end
  }
}

function takeAll(relay: Relay): Buffer[] {
  return [relay.up.take(), relay.down.take()]
}

/** Output consists of whole frames, and not of many. */
function check(sent: readonly Buffer[], received: Buffer): void {
  for (const bytes of sent) {
    parseFrames(bytes)
    if (bytes.length > MAX_REPLY + REPLY_FACTOR * received.length) {
      throw new Error(`${bytes.length} bytes sent for ${received.length} received`)
    }
  }
}
