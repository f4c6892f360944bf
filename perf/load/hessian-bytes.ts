/** The few Hessian values that measurements send, in both dialects, from the description alone. */
import { ORDER_CLASS, ORDER_FIELDS } from './order.ts'

/** The dialects differ in long strings, in maps, and in how a class is described and an object refers to it. */
export interface Dialect {
  /** First and last byte of an untyped map. */
  readonly map: readonly [open: string, close: string]
  /** A string of any length up to 1,023 characters. */
  string(text: string): Buffer
  /** The description of a class. */
  classDefinition(name: string, fields: readonly string[]): Buffer
  /** The start of an object of the class described as number `index`. */
  objectStart(index: number): Buffer
}

/** What SOFARPC sends. */
export const DRAFT: Dialect = {
  map: ['M', 'z'],
  string(text) {
    const bytes = Buffer.from(text)
    const head = bytes.length < 32 ? [bytes.length] : [0x53, bytes.length >> 8, bytes.length & 255]
    return Buffer.concat([Buffer.from(head), bytes])
  },
  classDefinition(name, fields) {
    const names = fields.map((field) => DRAFT.string(field))
    // A class name is a bare length and its characters.
    return Buffer.concat([
      Buffer.from('O'),
      int(name.length),
      Buffer.from(name),
      int(fields.length),
      ...names,
    ])
  },
  objectStart: (index) => Buffer.concat([Buffer.from('o'), int(index)]),
}

/** What Dubbo sends. */
export const FINAL: Dialect = {
  map: ['H', 'Z'],
  string(text) {
    const bytes = Buffer.from(text)
    const head = bytes.length < 32 ? [bytes.length] : [0x30 + (bytes.length >> 8), bytes.length & 255]
    return Buffer.concat([Buffer.from(head), bytes])
  },
  classDefinition(name, fields) {
    const names = fields.map((field) => FINAL.string(field))
    return Buffer.concat([Buffer.from('C'), FINAL.string(name), int(fields.length), ...names])
  },
  objectStart: (index) => Buffer.from([0x60 + index]),
}

/** A 32-bit integer, in one byte when it fits. */
export function int(value: number): Buffer {
  if (value >= -16 && value <= 47) return Buffer.from([0x90 + value])
  const bytes = Buffer.from([0x49, 0, 0, 0, 0])
  bytes.writeInt32BE(value, 1)
  return bytes
}

/** An untyped map. */
export function untypedMap(dialect: Dialect, entries: readonly (readonly [string, Buffer])[]): Buffer {
  const [open, close] = dialect.map
  const parts = entries.flatMap(([key, value]) => [dialect.string(key), value])
  return Buffer.concat([Buffer.from(open), ...parts, Buffer.from(close)])
}

/** The order as an object whose class is the `index`-th of the stream. */
export function orderObject(dialect: Dialect, index: number): Buffer {
  const names = ORDER_FIELDS.map(({ name }) => name)
  const values = ORDER_FIELDS.map(({ type, value }) => valueOf(dialect, type, value))
  return Buffer.concat([dialect.classDefinition(ORDER_CLASS, names), dialect.objectStart(index), ...values])
}

function valueOf(dialect: Dialect, type: string, value: string | number | boolean): Buffer {
  if (typeof value === 'string') return dialect.string(value)
  if (typeof value === 'boolean') return Buffer.from(value ? 'T' : 'F')
  if (type === 'int') return int(value)
  const bytes = Buffer.alloc(9)
  if (type === 'long') bytes.writeBigInt64BE(BigInt(value), 1)
  else bytes.writeDoubleBE(value, 1)
  bytes[0] = type === 'long' ? 0x4c : 0x44
  return bytes
}
