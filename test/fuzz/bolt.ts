/**
 * Random changes to captured Bolt frames, cut at random places and sent through a gateway without a chain, and as
 * answers to calls. A codec must not throw, must end every exchange it began, must not keep leases, and what it passes
 * on must be whole frames with sound header blocks and checksums.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { poolUsage } from '../../lib/buffer/pools.ts'
import type { CallTarget, Translation } from '../../lib/core/route.ts'
import { compileBoltCall } from '../../lib/protocols/bolt/call.ts'
import { TestRequestHead } from '../../lib/testing-messages.ts'
import {
  type BoltProxy,
  call,
  clientRig,
  exchangeFor,
  feed,
  frame,
  parseFrames,
  proxy,
} from '../support/bolt-wire.ts'
import { random } from './mmtp.ts'

const FOLDER = new URL('../vectors/bolt/', import.meta.url)
const MAX_INPUT = 4_096
/** Offsets of ids, timeouts, statuses and lengths. */
const FIXED_PART = 24
const TARGET: CallTarget = {
  service: 'a.B',
  version: '1.0',
  group: '',
  method: 'hi',
  parameters: [],
  parameterNames: [],
  json: { longs: 'string', dates: 'iso', exceptions: 'class-and-message', classes: true },
}

type Next = (limit: number) => number

function corpus(end: string): Buffer[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(end))
    .map((file) => readFileSync(new URL(file, FOLDER)))
    .filter((bytes) => bytes.length < MAX_INPUT)
}

const requests = [
  ...corpus('.req.bin'),
  call(),
  call({
    proto: 2,
    switchByte: 1,
    headers: [
      [null, 'x'],
      ['service', 'a:1'],
      ['a', null],
    ],
  }),
  frame({ command: 100 }),
  frame({ command: 0, proto: 2 }),
]
const responses = [...corpus('.resp.bin'), frame({ type: 0, id: 1 }), frame({ type: 1, command: 100 })]

/** Flips, overwrites (mostly in the fixed part), writes extreme lengths, inserts, removes, joins. */
function mutate(bytes: Buffer, other: Buffer, next: Next): Buffer {
  let result = Buffer.from(bytes)
  for (let steps = next(4); steps > 0; steps--) {
    const at = next(next(2) === 0 ? Math.min(result.length, FIXED_PART) || 1 : result.length || 1)
    switch (next(7)) {
      case 0:
        if (result.length > 0) result[at] = result[at]! ^ (1 << next(8))
        break
      case 1:
        if (result.length > 0) result[at] = next(256)
        break
      case 2:
        if (result.length >= at + 4) result.writeInt32BE([-1, 0, 1, 0x7fffffff, -2, 65_536][next(6)]!, at)
        break
      case 3:
        result = Buffer.concat([result.subarray(0, at), Buffer.from([next(256)]), result.subarray(at)])
        break
      case 4:
        result = Buffer.concat([
          result.subarray(0, at),
          result.subarray(Math.min(result.length, at + next(8))),
        ])
        break
      case 5:
        result = Buffer.concat([result, other])
        break
      default:
        result = Buffer.concat([result.subarray(0, at), other])
    }
  }
  return result.subarray(0, MAX_INPUT)
}

/** Runs `count` inputs. Throws with the seed of the first that goes wrong. */
export function fuzzBolt(count: number, firstSeed = 1): void {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const next = random(seed)
    const isAnswer = next(2) === 0
    const pool = isAnswer ? responses : requests
    const bytes = mutate(pool[next(pool.length)]!, pool[next(pool.length)]!, next)
    try {
      if (isAnswer) fuzzAnswer(bytes, next)
      else fuzzRequest(bytes, next)
      const { leased } = poolUsage()
      if (leased !== 0) throw new Error(`${leased} leases are left`)
    } catch (error) {
      throw new Error(`seed ${seed}, bytes ${bytes.toString('hex')}: ${(error as Error).stack}`)
    }
  }
}

function feedInPieces(codec: Parameters<typeof feed>[0], bytes: Buffer, next: Next): void {
  const isWhole = next(3) === 0
  for (let at = 0; at < bytes.length; ) {
    const end = isWhole ? bytes.length : Math.min(bytes.length, at + 1 + next(600))
    feed(codec, bytes.subarray(at, end))
    at = end
  }
}

/** Some header changes, as filters make them. */
function withChanges(gateway: BoltProxy, next: Next): void {
  const kind = next(4)
  gateway.change = ({ request: { headers } }) => {
    if (kind === 1) headers.set('service', 'x.Y:1.0')
    if (kind === 2) headers.remove('app')
    if (kind === 3) headers.add('k', 'v'.repeat(next(40_000)))
  }
}

function fuzzRequest(bytes: Buffer, next: Next): void {
  const gateway = proxy(
    { maxFrameBytes: next(4) === 0 ? 900 : 1 << 20, idleTimeoutMs: 0 },
    { maxFrameBytes: 1 << 20 },
  )
  withChanges(gateway, next)
  const { down, up } = gateway
  feedInPieces(down.codec, bytes, next)
  const sent = parseFrames(up.wire.take())
  for (const { id, type } of sent) {
    if (type === 1 && next(3) > 0) feed(up.codec, frame({ type: 0, id, word: next(20), content: 'r' }))
  }
  // One-way calls end in a microtask, and a failed call too: ends of the connections do it here.
  down.wire.clock += next(40_000)
  down.codec.onTimer()
  if (next(2) === 0) down.codec.onEnd()
  if (next(2) === 0) down.codec.drain(next(2_000))
  down.codec.onClose(null)
  parseFrames(down.wire.take())
  up.codec.onClose(null)
  if (down.codec.activeExchanges !== 0 || up.codec.activeStreams !== 0) {
    throw new Error(`left: ${down.codec.activeExchanges} exchanges, ${up.codec.activeStreams} streams`)
  }
}

function fuzzAnswer(bytes: Buffer, next: Next): void {
  const rig = clientRig({ maxFrameBytes: next(4) === 0 ? 700 : 1 << 20 })
  const { handler, codec, wire } = rig
  const answers = []
  for (let calls = 1 + next(3); calls > 0; calls--) {
    const exchange = exchangeFor(new TestRequestHead({ method: 'POST' }))
    exchange.translation = { call: boltCall } as unknown as Translation
    answers.push(handler.expect(exchange))
    codec.open(exchange).sendRequest(exchange.request, true)
  }
  parseFrames(wire.take())
  if (next(4) > 0 && bytes.length > 10) bytes.writeInt32BE(1 + 2 * next(4), bytes[0] === 2 ? 6 : 5)
  feedInPieces(codec, bytes, next)
  parseFrames(wire.take())
  wire.clock += next(40_000)
  codec.onTimer()
  if (next(2) === 0) codec.onEnd()
  codec.onClose(null)
  if (codec.activeStreams !== 0) throw new Error(`${codec.activeStreams} streams are left`)
  for (const answer of answers) {
    if (!answer.isComplete && answer.failure === null) throw new Error('an exchange was forgotten')
  }
}

const boltCall = compileBoltCall(TARGET, {})
