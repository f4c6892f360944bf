/**
 * Claim: 200 bytes of JSON become the Hessian of an object with ten fields, and that object JSON again, in at most 3 µs
 * together. JSON.parse and JSON.stringify of the same text, which write no Hessian yet, are there to compare.
 *
 *     node --max-inlined-bytecode-size=1500 --max-inlined-bytecode-size-cumulative=4000 perf/micro/translation.ts
 *
 * The flags are what lib/tuning.ts sets in a gateway.
 */
import type { TypeDescriptions } from '../../lib/core/route.ts'
import { compileArguments, compileResult } from '../../lib/protocols/hessian/call.ts'
import { type Dialect, draft, final } from '../../lib/protocols/hessian/dialect.ts'
import { HessianReader } from '../../lib/protocols/hessian/reader.ts'
import { HessianWriter } from '../../lib/protocols/hessian/writer.ts'
import { measure } from './filter-measure.ts'

const TYPES: TypeDescriptions = {
  'com.example.Order': {
    fields: {
      id: 'String',
      userId: 'long',
      amount: 'BigDecimal',
      count: 'int',
      weight: 'double',
      gift: 'boolean',
      created: 'Date',
      status: 'com.example.Status',
      note: 'String',
      tags: 'List<String>',
    },
  },
  'com.example.Status': { enum: ['NEW', 'PAID'] },
}
const BODY = Buffer.from(
  JSON.stringify([
    {
      id: 'order-0001',
      userId: 2088102123456789,
      amount: 19.9,
      count: 3,
      weight: 0.25,
      gift: false,
      created: '2023-11-14T22:13:20.123Z',
      status: 'NEW',
      note: 'leave it at the door',
      tags: ['web', 'spring', 'new'],
    },
  ]),
)

const COUNT = 100_000

console.log(`${BODY.length} bytes of JSON`)
for (const [dialect, peer] of [
  [draft, 'sofa'],
  [final, 'dubbo'],
] as [Dialect, 'sofa' | 'dubbo'][]) {
  const target = {
    service: 's',
    version: '',
    group: '',
    method: 'm',
    parameters: ['com.example.Order'],
    parameterNames: [],
    json: { longs: 'string', dates: 'iso', exceptions: 'hidden', classes: false },
  } as const
  const { encoder } = compileArguments(target, TYPES, peer)
  const result = compileResult(target, TYPES, false)
  const writer = new HessianWriter(dialect)
  const reader = new HessianReader(dialect)
  const there = measure(
    `${dialect.name}: JSON to Hessian`,
    () => {
      writer.reset()
      encoder.encode(BODY, 0, BODY.length, writer)
    },
    COUNT,
  )
  const bytes = Buffer.from(writer.bytes())
  const back = measure(
    `${dialect.name}: ${bytes.length} bytes of Hessian to JSON`,
    () => {
      reader.reset(bytes, 0, bytes.length)
      return result.write(reader)
    },
    COUNT,
  )
  console.log(`${dialect.name}: together`.padEnd(58), (there + back).toFixed(1).padStart(8), 'ns')
}
const parsed: unknown = JSON.parse(BODY.toString())
measure('JSON.parse of the body', () => JSON.parse(BODY.toString()), COUNT)
measure('JSON.stringify to a Buffer', () => Buffer.from(JSON.stringify(parsed)), COUNT)
