/** Results that a hostile or broken business process might send, in both dialects of Hessian. */
import type { RpcKind } from './rpc-kinds.ts'

/** See the file's head. */
export interface HostileResult {
  readonly name: string
  readonly bytes: Buffer
  /** Result codes that are right; a body has to be JSON. */
  readonly codes: readonly number[]
  /** What the body has to be, where 1000 is right. */
  readonly json?: string
}

/** How one dialect writes what is needed here. Slots of references count from `firstSlot`. */
interface Dialect {
  readonly firstSlot: number
  list(...items: Buffer[]): Buffer
  ref(slot: number): Buffer
  map(...pairs: Buffer[]): Buffer
  classDef(name: string, ...fields: string[]): Buffer
  /** An object of the class with this number. */
  object(index: number, ...values: Buffer[]): Buffer
  /** The beginning of a list that says to have so many elements. */
  longList(count: number): Buffer
  /** The beginning of a class that says to have so many fields. */
  longClass(name: string, fields: number): Buffer
  typedMap(type: string): Buffer
  readonly emptyChunk: Buffer
}

const NULL = Buffer.of(0x4e)

function int(value: number): Buffer {
  if (value >= -16 && value <= 47) return Buffer.of(0x90 + value)
  const bytes = Buffer.alloc(5, 0x49)
  bytes.writeInt32BE(value, 1)
  return bytes
}

function short(value: number): Buffer {
  return Buffer.of(value >> 8, value & 255)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  const head =
    value.length < 32 ? Buffer.of(value.length) : Buffer.concat([Buffer.from('S'), short(value.length)])
  return Buffer.concat([head, bytes])
}

const draft: Dialect = {
  // Slot 0 is the SofaResponse.
  firstSlot: 1,
  list: (...items) =>
    Buffer.concat([Buffer.from('V'), Buffer.of(0x6e, items.length), ...items, Buffer.from('z')]),
  ref: (slot) => Buffer.of(0x4a, slot),
  map: (...pairs) => Buffer.concat([Buffer.from('M'), ...pairs, Buffer.from('z')]),
  classDef: (name, ...fields) =>
    Buffer.concat([
      Buffer.from('O'),
      int(name.length),
      Buffer.from(name),
      int(fields.length),
      ...fields.map(text),
    ]),
  // The class 0 is the SofaResponse's.
  object: (index, ...values) => Buffer.concat([Buffer.from('o'), int(index + 1), ...values]),
  longList: (count) => Buffer.concat([Buffer.from('Vl'), int(count).subarray(1)]),
  longClass: (name, fields) =>
    Buffer.concat([Buffer.from('O'), int(name.length), Buffer.from(name), int(fields)]),
  typedMap: (type) =>
    Buffer.concat([Buffer.from('Mt'), short(type.length), Buffer.from(type), Buffer.from('z')]),
  emptyChunk: Buffer.from('730000', 'hex'),
}

const final: Dialect = {
  firstSlot: 0,
  list: (...items) => Buffer.concat([Buffer.from('X'), int(items.length), ...items]),
  ref: (slot) => Buffer.concat([Buffer.from('Q'), int(slot)]),
  map: (...pairs) => Buffer.concat([Buffer.from('H'), ...pairs, Buffer.from('Z')]),
  classDef: (name, ...fields) =>
    Buffer.concat([Buffer.from('C'), text(name), int(fields.length), ...fields.map(text)]),
  object: (index, ...values) => Buffer.concat([Buffer.from('O'), int(index), ...values]),
  longList: (count) => Buffer.concat([Buffer.from('X'), int(count)]),
  longClass: (name, fields) => Buffer.concat([Buffer.from('C'), text(name), int(fields)]),
  typedMap: (type) => Buffer.concat([Buffer.from('M'), text(type), Buffer.from('Z')]),
  emptyChunk: Buffer.from('520000', 'hex'),
}

const BROKEN = [4002] as const
const NO_JSON = [6004] as const
const DEPTH = 10_000

/** Every hostile result for a protocol. */
export function hostileResults(kind: RpcKind): HostileResult[] {
  const d = kind.name === 'bolt' ? draft : final
  const polluted = d.map(text('polluted'), Buffer.from('T'))
  const half = d.list().subarray(0, 1)
  const nest = (depth: number): Buffer => {
    const one = d.list(NULL)
    const at = one.indexOf(NULL)
    const ends = Buffer.alloc((one.length - at - 1) * depth, 'z')
    return Buffer.concat([...Array.from({ length: depth }, () => one.subarray(0, at)), NULL, ends])
  }
  // Each list holds the one before ten times: 10^19 elements, were they written out.
  const levels = [d.list(text('boom'))]
  for (let i = 1; i < 20; i++)
    levels.push(d.list(...Array.from({ length: 10 }, () => d.ref(d.firstSlot + i))))
  const flood = Array.from({ length: 300 }, (_, i) => d.classDef(`com.flood.Class${i}`, 'a'))
  const types = Array.from({ length: 5000 }, (_, i) => d.typedMap(`com.flood.Type${i}`))
  return [
    { name: 'lists 10000 deep', bytes: nest(DEPTH), codes: [...BROKEN, ...NO_JSON] },
    { name: 'lists of references to lists', bytes: d.list(...levels), codes: [...BROKEN, ...NO_JSON] },
    { name: 'a list that holds itself', bytes: d.list(d.ref(d.firstSlot)), codes: NO_JSON },
    { name: 'a map that holds itself', bytes: d.map(text('me'), d.ref(d.firstSlot)), codes: NO_JSON },
    { name: 'a reference to nothing', bytes: d.ref(99), codes: BROKEN },
    { name: 'a list of 2^31 - 1 elements', bytes: d.longList(0x7fffffff), codes: BROKEN },
    { name: 'a list of a negative length', bytes: d.longList(-5), codes: BROKEN },
    { name: 'a class of 2^31 - 1 fields', bytes: d.longClass('a.B', 0x7fffffff), codes: BROKEN },
    { name: 'an object of no class', bytes: d.object(7), codes: BROKEN },
    { name: '300 classes', bytes: Buffer.concat([...flood, d.object(0, NULL)]), codes: BROKEN },
    { name: '5000 types', bytes: d.list(...types.slice(0, 200)), codes: [1000, ...BROKEN] },
    { name: 'a type of 1000 characters', bytes: d.typedMap('t'.repeat(1000)), codes: BROKEN },
    { name: 'nothing', bytes: half, codes: BROKEN },
    { name: 'an unknown code', bytes: Buffer.of(0x40), codes: BROKEN },
    { name: 'a string that ends too early', bytes: Buffer.from('1f6162', 'hex'), codes: BROKEN },
    {
      name: 'a string of 20000 empty pieces',
      bytes: Buffer.concat([...Array.from({ length: 20_000 }, () => d.emptyChunk), text('a')]),
      codes: [1000, ...BROKEN],
      json: '"a"',
    },
    { name: 'half a surrogate pair', bytes: Buffer.from('01eda0bd', 'hex'), codes: [1000, ...NO_JSON] },
    {
      name: '__proto__ as a key',
      bytes: d.map(text('__proto__'), polluted, text('constructor'), NULL),
      codes: [1000],
      json: '{"__proto__":{"polluted":true},"constructor":null}',
    },
    {
      name: '__proto__ as a field, and as a class',
      bytes: Buffer.concat([d.classDef('__proto__', '__proto__', 'toString'), d.object(0, polluted, NULL)]),
      codes: [1000],
      json: '{"__proto__":{"polluted":true},"toString":null}',
    },
    { name: 'NaN', bytes: Buffer.from('447ff8000000000000', 'hex'), codes: [1000], json: '"NaN"' },
  ]
}
