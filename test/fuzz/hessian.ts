/**
 * Random changes to valid Hessian. The reader and the skipper must agree: either both refuse with a HessianError, or both
 * end at one place; what was read can be written, and reads as itself again. Nothing may look behind the end, and
 * nothing may take long.
 */
import { type Dialect, draft, final } from '../../lib/protocols/hessian/dialect.ts'
import { HessianReader } from '../../lib/protocols/hessian/reader.ts'
import { HessianSkipper } from '../../lib/protocols/hessian/skipper.ts'
import {
  ClassDef,
  HessianDate,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from '../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../lib/protocols/hessian/writer.ts'
import { capturedBodies } from '../support/hessian-wire.ts'
import { random } from './mmtp.ts'

const MAX_INPUT = 1_500
const REFUSED = -1

type Next = (limit: number) => number

interface Rig {
  readonly dialect: Dialect
  readonly corpus: readonly Buffer[]
  readonly reader: HessianReader
  readonly skipper: HessianSkipper
  readonly writer: HessianWriter
  /** First bytes of every form, to put in the middle of something. */
  readonly leads: readonly number[]
}

function rig(dialect: Dialect): Rig {
  const writer = new HessianWriter(dialect)
  const corpus = capturedBodies()
    .filter((captured) => captured.dialect === dialect && captured.body.length <= MAX_INPUT)
    .map(({ body }) => body)
  const next = random(99)
  for (let i = 0; i < 200; i++) {
    writer.reset()
    writer.writeValue(randomValue(next, 4))
    corpus.push(Buffer.from(writer.bytes()))
  }
  return {
    dialect,
    corpus,
    writer,
    reader: new HessianReader(dialect),
    skipper: new HessianSkipper(dialect),
    leads: [...dialect.ops.keys()].filter((lead) => dialect.ops[lead] !== 0),
  }
}

function randomText(next: Next): string {
  const length = next(8) === 0 ? next(300) : next(20)
  const letters = ['a', 'é', '中', '😀', '\ud800', '\0']
  const isAscii = next(3) > 0
  let text = ''
  for (let i = 0; i < length; i++) text += isAscii ? String.fromCharCode(97 + next(26)) : letters[next(6)]
  return text
}

function randomValue(next: Next, depth: number): HessianValue {
  switch (next(depth > 0 ? 12 : 8)) {
    case 0:
      return [null, true, false][next(3)]!
    case 1:
      return next(0xffffffff) - 0x80000000
    case 2:
      return next(100) - 50
    case 3:
      return next(1_000_000) / (1 + next(1_000))
    case 4:
      return BigInt(next(0xffffffff)) * BigInt(next(0x7fffffff))
    case 5:
      return Buffer.alloc(next(40), next(256))
    case 6:
      return new HessianDate(next(0xffffffff) * 1_000)
    case 7:
      return randomText(next)
    case 8:
      return new HessianMap(
        next(2) === 0 ? null : 'a.M',
        new Map(Array.from({ length: next(5) }, () => [randomText(next), randomValue(next, depth - 1)])),
      )
    case 9: {
      const names = ['first', 'second', 'third'].slice(0, next(4))
      const definition = new ClassDef(`com.example.C${next(4)}`, names)
      return new HessianObject(
        definition,
        names.map(() => randomValue(next, depth - 1)),
      )
    }
    default: {
      const items = Array.from({ length: next(10) }, () => randomValue(next, depth - 1))
      if (items.length > 2) items.push(items[0]!)
      return new HessianList([null, '[string', 'a.L'][next(3)]!, items)
    }
  }
}

function mutate({ corpus, leads }: Rig, next: Next): Buffer {
  let bytes: Buffer = Buffer.from(corpus[next(corpus.length)]!)
  for (let steps = 1 + next(4); steps > 0 && bytes.length > 0; steps--) {
    const at = next(bytes.length)
    const tail = bytes.subarray(at)
    const head = bytes.subarray(0, at)
    switch (next(8)) {
      case 0:
        bytes[at] = bytes[at]! ^ (1 << next(8))
        break
      case 1:
        bytes[at] = next(256)
        break
      case 2:
        bytes[at] = leads[next(leads.length)]!
        break
      case 3:
        bytes = Buffer.concat([head, Buffer.from([leads[next(leads.length)]!]), tail])
        break
      case 4:
        bytes = Buffer.concat([head, tail.subarray(Math.min(tail.length, 1 + next(8)))])
        break
      case 5:
        bytes = Buffer.concat([bytes, tail])
        break
      case 6:
        bytes = Buffer.concat([head, corpus[next(corpus.length)]!])
        break
      default:
        bytes = Buffer.from(head)
    }
  }
  return bytes.subarray(0, MAX_INPUT)
}

/** Runs `count` inputs in one dialect. Throws with the seed of the first that goes wrong. */
export function fuzzHessian(name: Dialect['name'], count: number, firstSeed = 1): void {
  const tools = rig(name === 'draft' ? draft : final)
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const next = random(seed)
    const bytes = mutate(tools, next)
    try {
      // Something else lies around the input, which must not matter.
      const around = next(4)
      const padded = Buffer.concat([Buffer.alloc(around, 0x4e), bytes, Buffer.alloc(around, next(256))])
      check(tools, padded, around, around + bytes.length)
    } catch (error) {
      throw new Error(`seed ${seed}, ${name}, bytes ${bytes.toString('hex')}: ${(error as Error).stack}`)
    }
  }
}

function check(tools: Rig, bytes: Buffer, offset: number, end: number): void {
  const { reader, skipper, writer } = tools
  reader.reset(bytes, offset, end)
  skipper.reset()
  const values: HessianValue[] = []
  for (let at = offset; at < end; ) {
    const stepped = attempt(() => skipper.skip(bytes, at, end), end)
    const read = attempt(() => {
      values.push(reader.readValue())
      return reader.position
    }, end)
    if (stepped !== read) throw new Error(`stepped to ${stepped}, read to ${read}`)
    if (stepped === REFUSED) return
    if (stepped <= at || stepped > end) throw new Error(`from ${at} to ${stepped} of ${end}`)
    at = stepped
  }
  writer.reset()
  for (const value of values) writer.writeValue(value)
  rewrite(tools, Buffer.from(writer.bytes()), values.length)
}

/** What was written reads to its end, and is written to the same bytes again. */
function rewrite({ reader, writer }: Rig, bytes: Buffer, count: number): void {
  reader.reset(bytes, 0, bytes.length)
  const values: HessianValue[] = []
  for (let i = 0; i < count; i++) values.push(reader.readValue())
  if (!reader.isAtEnd) throw new Error('something follows what was written')
  writer.reset()
  for (const value of values) writer.writeValue(value)
  if (!writer.bytes().equals(bytes))
    throw new Error(`${bytes.toString('hex')} is written in another way again`)
}

/** The result, or REFUSED for a HessianError that points into the input. */
function attempt(run: () => number, end: number): number {
  try {
    return run()
  } catch (error) {
    const { name, offset } = error as { name: string; offset: number }
    if (name !== 'HessianError' || !(offset >= 0 && offset <= end)) throw error
    return REFUSED
  }
}
