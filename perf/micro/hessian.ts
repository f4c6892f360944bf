/**
 * Claim: beside hessian.js, reading and writing values takes a third of the time or less; stepping over them a tenth or
 * less of what hessian.js takes to read them, and far less where texts are long. Short texts are cut and written quicker
 * by hand than by a native call.
 *
 *     node perf/micro/hessian.ts
 *
 * The bodies are captured from Dubbo: a call and its answer (an order of twelve fields, two items, a map), an exception
 * with its stack, a long text; and one small map.
 */
import { readFileSync } from 'node:fs'
// @ts-expect-error: it comes without types
import hessian from 'hessian.js'
import '../../lib/buffer/latin1.ts'
import { final } from '../../lib/protocols/hessian/dialect.ts'
import { HessianCursor } from '../../lib/protocols/hessian/prefix.ts'
import { HessianReader } from '../../lib/protocols/hessian/reader.ts'
import { HessianSkipper } from '../../lib/protocols/hessian/skipper.ts'
import { decodeUnits, skipUnits, writeUnits } from '../../lib/protocols/hessian/text.ts'
import type { HessianValue } from '../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../lib/protocols/hessian/writer.ts'

const HEADER_LENGTH = 16
const ROUNDS = 5

interface Sample {
  readonly name: string
  readonly body: Buffer
  readonly count: number
}

function captured(name: string): Buffer {
  const file = new URL(`../../test/vectors/dubbo/${name}.bin`, import.meta.url)
  return readFileSync(file).subarray(HEADER_LENGTH)
}

/** Keeps results alive, so that no work is optimised away. */
export let sink: unknown = null

/** Six values, the argument among them, and the attachments. */
const call: Sample = { name: 'call of 691 bytes', body: captured('create.req'), count: 200_000 }
/** Kind, value, attachments. */
const answer: Sample = { name: 'answer of 503 bytes', body: captured('create.resp'), count: 200_000 }
const small: Sample = {
  name: 'map of 30 bytes',
  body: Buffer.from('48026964036f726403716774c8300570726963655d0c046e616d65046c616d705a', 'hex'),
  count: 1_000_000,
}

/** A stack trace: many small objects of one class. */
const exception: Sample = { name: 'exception of 5,023 bytes', body: captured('fail.resp'), count: 20_000 }
const long: Sample = { name: 'text of 65,600 characters', body: captured('echo-64k.req'), count: 20_000 }

const reader = new HessianReader(final)
const writer = new HessianWriter(final)
const skipper = new HessianSkipper(final)
const cursor = new HessianCursor(final)

for (const sample of [call, answer, small, exception, long]) compare(sample)
texts()

function compare({ name, body, count }: Sample): void {
  console.log(`\n${name}`)
  const theirs = () => theirValues(body, false)
  const decode = measure('  decode, hessian.js', theirs, count / 10)
  const ours = measure('  decode, ours', () => ourValues(body), count)
  const skip = measure('  skip', () => skipAll(body), count)
  const ratio = (mine: number, other: number) => `${(other / mine).toFixed(1)}×`
  console.log(`  decode ${ratio(ours, decode)}, skip ${ratio(skip, decode)}`)
  // Exceptions are read as errors of JavaScript, and not written as they were.
  if (body.includes('stackTrace')) return
  const theirTree = theirValues(body, true)
  const ourTree = ourValues(body)
  const encode = measure('  encode, hessian.js', () => theirBytes(theirTree), count / 10)
  const write = measure('  encode, ours', () => ourBytes(ourTree), count)
  console.log(`  encode ${ratio(write, encode)}`)
}

function theirValues(body: Buffer, withType: boolean): unknown[] {
  const decoder = new hessian.DecoderV2(body)
  const values: unknown[] = []
  while (decoder.position() < body.length) values.push(decoder.read(withType))
  return values
}

function theirBytes(values: readonly unknown[]): Buffer {
  const encoder = new hessian.EncoderV2()
  for (const value of values) encoder.write(value)
  return encoder.get()
}

function ourValues(body: Buffer): HessianValue[] {
  reader.reset(body, 0, body.length)
  const values: HessianValue[] = []
  while (!reader.isAtEnd) values.push(reader.readValue())
  return values
}

function ourBytes(values: readonly HessianValue[]): Buffer {
  writer.reset()
  for (const value of values) writer.writeValue(value)
  return writer.bytes()
}

function skipAll(body: Buffer): number {
  skipper.reset()
  let at = 0
  while (at < body.length) at = skipper.skip(body, at, body.length)
  return at
}

function texts(): void {
  console.log('\nthe leading strings of a Dubbo call')
  measure('  five strings read', () => {
    cursor.reset(call.body, 0, call.body.length)
    for (let i = 0; i < 4; i++) cursor.readString()
    return cursor.readString()
  })
  measure('  five strings stepped over', () => {
    cursor.reset(call.body, 0, call.body.length)
    for (let i = 0; i < 4; i++) cursor.skipString()
    return cursor.skipString()
  })

  console.log(
    '\ntexts by length: read by hand or as measured, native; written by hand or as measured, native',
  )
  for (const length of [4, 8, 12, 16, 24, 40, 64]) {
    const text = 'abcdefghijklmnopqrstuvwxyz-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ'.slice(0, length)
    const bytes = Buffer.alloc(4 * length)
    bytes.latin1Write(text, 0)
    measure(`  ${length} characters read`, () =>
      decodeUnits(bytes, 0, skipUnits(bytes, 0, bytes.length, length), length),
    )
    measure(`  ${length} characters, latin1Slice`, () => bytes.latin1Slice(0, length))
    measure(`  ${length} characters written`, () => writeUnits(bytes, 0, text, 0, length))
    measure(`  ${length} characters, utf8Write`, () => bytes.utf8Write(text, 0))
  }
}

/** Times an operation in CPU time of this thread, which a busy machine spoils least: the best of several rounds. */
function measure(label: string, operation: () => unknown, count = 1_000_000): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.threadCpuUsage()
    for (let i = 0; i < count; i++) sink = operation()
    const { user, system } = process.threadCpuUsage(start)
    best = Math.min(best, ((user + system) * 1_000) / count)
  }
  console.log(`${label.padEnd(40)} ${best.toFixed(1).padStart(8)} ns`)
  return best
}
