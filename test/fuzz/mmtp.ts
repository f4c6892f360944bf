/**
 * Random changes to valid Mmtp sequences, cut at random places. A codec must not throw, must end every exchange it
 * began, must not keep leases, and must not send more than its input can ask for.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { poolUsage } from '../../lib/buffer/pools.ts'
import { OutgoingRequest } from '../../lib/protocols/mmtp/request.ts'
import { OutgoingResponse } from '../../lib/protocols/mmtp/response.ts'
import { Settings } from '../../lib/protocols/mmtp/settings.ts'
import {
  clientRig,
  exchangeFor,
  feed,
  frame,
  hello,
  parseFrames,
  request,
  serverRig,
} from '../support/mmtp-wire.ts'

const FOLDER = new URL('../vectors/mmtp/', import.meta.url)
/** Most bytes that a codec may send beside what it was given. */
const MAX_REPLY = 4_096
const REPLY_FACTOR = 8

/** A small generator with a seed (mulberry32): a failure is repeated by its seed. */
export function random(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}

interface Corpus {
  readonly toAcceptor: Buffer[]
  readonly toDialler: Buffer[]
}

function corpus(): Corpus {
  const rows = readFileSync(new URL('index.md', FOLDER), 'utf8')
  const toAcceptor: Buffer[] = []
  const toDialler: Buffer[] = []
  for (const file of readdirSync(FOLDER)) {
    if (!file.endsWith('.hex')) continue
    const text = readFileSync(new URL(file, FOLDER), 'utf8').replace(/#.*$/gm, '')
    const bytes = Buffer.from(text.replace(/\s/g, ''), 'hex')
    const isForDialler = rows.includes(`| ${file.slice(0, -4)} | D |`)
    ;(isForDialler ? toDialler : toAcceptor).push(bytes)
  }
  toAcceptor.push(
    Buffer.concat([request(1, { flags: 0, body: 'abc' }), frame(0x12, 1, 1, 'def'), request(3)]),
  )
  return { toAcceptor, toDialler }
}

/** Flips, overwrites, inserts, removes, repeats and joins. */
function mutate(bytes: Buffer, other: Buffer, next: (limit: number) => number): Buffer {
  let result = Buffer.from(bytes)
  for (let steps = next(4); steps > 0; steps--) {
    const at = next(result.length || 1)
    switch (next(6)) {
      case 0:
        if (result.length > 0) result[at] = result[at]! ^ (1 << next(8))
        break
      case 1:
        if (result.length > 0) result[at] = next(256)
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
      default:
        result = Buffer.concat([result.subarray(0, at), other])
    }
  }
  return result.subarray(0, 4_096)
}

/** Runs `count` inputs. Throws with the seed of the first that goes wrong. */
export function fuzzMmtp(count: number, firstSeed = 1): void {
  const { toAcceptor, toDialler } = corpus()
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const next = random(seed)
    const isForDialler = next(3) === 0
    const pool = isForDialler ? toDialler : toAcceptor
    const bytes = mutate(pool[next(pool.length)]!, pool[next(pool.length)]!, next)
    try {
      if (isForDialler) fuzzClient(bytes, next)
      else fuzzServer(bytes, next)
      const { leased } = poolUsage()
      if (leased !== 0) throw new Error(`${leased} leases are left`)
    } catch (error) {
      throw new Error(`seed ${seed}, bytes ${bytes.toString('hex')}: ${(error as Error).stack}`)
    }
  }
}

function feedInPieces(
  codec: Parameters<typeof feed>[0],
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

function fuzzServer(bytes: Buffer, next: (limit: number) => number): void {
  const own = new Settings()
  if (next(4) === 0) own.maxStreams = next(3)
  const rig = serverRig(false, { trusted: next(2) === 0 }, own)
  const { handler, codec, wire } = rig
  const answers = next(3)
  handler.onComplete = (exchange) => {
    if (answers === 0) return
    const reply = new OutgoingResponse(1000, Buffer.from('answer'))
    exchange.downstream.sendResponse(reply, false)
    exchange.downstream.sendBody(reply.body, 0, reply.body.length, true)
    if (answers === 2) handler.finish(exchange)
  }
  if (next(8) !== 0) feed(codec, hello(0x01))
  wire.take()
  feedInPieces(codec, bytes, next)
  checkOutput(wire.take(), bytes)
  wire.clock += next(40_000)
  codec.onTimer()
  if (next(2) === 0) codec.onEnd()
  if (next(2) === 0) codec.drain(next(2_000))
  codec.onClose(null)
  handler.finishAll()
  if (
    codec.activeExchanges !== 0 ||
    codec.places !== 0 ||
    codec.streams.size !== 0 ||
    codec.out.queuedBytes !== 0
  ) {
    throw new Error(
      `left: ${codec.activeExchanges} exchanges, ${codec.places} places, ${codec.streams.size} streams`,
    )
  }
  for (const { isComplete, failure } of handler.seen) {
    if (!isComplete && failure === null && !wire.isClosed) throw new Error('an exchange was forgotten')
  }
}

function fuzzClient(bytes: Buffer, next: (limit: number) => number): void {
  const { handler, codec, wire } = clientRig(false, {}, new Settings())
  if (next(8) !== 0) feed(codec, hello(0x02))
  const answers = []
  for (let streams = next(4); streams > 0 && codec.capacity > 0; streams--) {
    const head = new OutgoingRequest('demo.echo', 0, 0)
    const exchange = exchangeFor(head)
    answers.push(handler.expect(exchange))
    codec.open(exchange).sendRequest(head, true)
  }
  wire.take()
  feedInPieces(codec, bytes, next)
  checkOutput(wire.take(), bytes)
  wire.clock += next(40_000)
  codec.onTimer()
  if (next(2) === 0) codec.onEnd()
  codec.onClose(null)
  if (codec.activeStreams !== 0) throw new Error(`${codec.activeStreams} streams are left`)
  for (const answer of answers) {
    if (!answer.isComplete && answer.failure === null) throw new Error('an exchange was forgotten')
  }
}

/** Output consists of whole frames, and not of many. */
function checkOutput(sent: Buffer, received: Buffer): void {
  parseFrames(sent)
  if (sent.length > MAX_REPLY + REPLY_FACTOR * received.length) {
    throw new Error(`${sent.length} bytes sent for ${received.length} received`)
  }
}
