/**
 * Results as JSON, token by token: no value is built that JSON has a form for. What was written of a container is
 * remembered as a range of the text, so that a later reference to it is a copy, and one to a container that is still
 * open is a cycle, which JSON cannot hold.
 */
import type { JsonRules, TypeDescriptions } from '../../core/route.ts'
import { type ClassShape, ClassShapes, Form, handleName } from './class-shapes.ts'
import { Kind } from './dialect.ts'
import { JsonOutput, OutputLimit } from './json-output.ts'
import { MAX_DATE } from './json-scalars.ts'
import type { HessianReader } from './reader.ts'
import { skipValue } from './reader-skip.ts'
import { formatHandle } from './text-forms.ts'
import { HessianObject, type HessianValue } from './values.ts'
import { OPEN, UNKNOWN, WrittenRanges } from './written-ranges.ts'

/** A result that has no JSON form. The message begins with the path from the result's root. */
export class ConversionError extends Error {
  override readonly name = 'ConversionError'
}

/** Most bytes of a result's JSON where nothing else is said: expanded references can make it long. */
const MAX_RESULT_BYTES = 16 * 1024 * 1024
/** Decimal digits that every double keeps. */
const SAFE_DIGITS = 15
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,4})?$/
const CLASS_KEY = 'class'

/** Transcoding is synchronous and never nested, so that one text serves every call of the process. */
const output = new JsonOutput()

/** Writes the results of one method as JSON. Made when a configuration is loaded. */
export class ResultWriter {
  readonly #rules: JsonRules
  readonly #shapes: ClassShapes
  /** Whether results come from a generic call: their maps have a `class` entry. */
  readonly #isGeneric: boolean
  #reader: HessianReader = null as unknown as HessianReader
  readonly #ranges = new WrittenRanges()
  /** Magnitudes of BigIntegers by slot; Java shares them between a number and its negation. */
  readonly #magnitudes = new Map<number, bigint>()

  constructor(rules: JsonRules, types: TypeDescriptions, isGeneric: boolean) {
    this.#rules = rules
    this.#shapes = new ClassShapes(types)
    this.#isGeneric = isGeneric
  }

  /**
   * Reads the next value and returns it as JSON, in a Buffer of its own. Throws a {@link ConversionError} for a cycle
   * or more than `maxBytes` of JSON, and a `HessianError` for a broken value.
   */
  write(reader: HessianReader, maxBytes = MAX_RESULT_BYTES): Buffer {
    this.#reader = reader
    this.#ranges.reset()
    if (this.#magnitudes.size > 0) this.#magnitudes.clear()
    output.reset(maxBytes)
    try {
      this.#value()
      if (output.length > maxBytes) throw new OutputLimit()
      return output.copy()
    } catch (error) {
      if (!(error instanceof OutputLimit)) throw error
      throw new ConversionError(`$: the result takes more than ${maxBytes} bytes of JSON`)
    }
  }

  #value(): void {
    const reader = this.#reader
    switch (reader.peekKind()) {
      case Kind.String:
        this.#string()
        return
      case Kind.Int:
        output.int(reader.readInt())
        return
      case Kind.Long:
        this.#long()
        return
      case Kind.Object:
        this.#object()
        return
      case Kind.List:
        this.#list()
        return
      case Kind.Map:
        this.#map()
        return
      case Kind.Null:
        reader.readNull()
        output.ascii('null')
        return
      case Kind.Boolean:
        output.ascii(reader.readBoolean() ? 'true' : 'false')
        return
      case Kind.Double:
        this.#double(reader.readDouble())
        return
      case Kind.Date:
        this.#date(reader.readDate().ms)
        return
      case Kind.Binary:
        output.base64(reader.readBinary())
        return
      default:
        this.#reference()
    }
  }

  #string(): void {
    const reader = this.#reader
    const at = reader.position
    const count = reader.input[at]
    // The short form of both dialects: its first byte is the number of units.
    if (count < 0x20 && at + 1 + count <= reader.end && output.plain(reader.input, at + 1, count)) {
      reader.position = at + 1 + count
    } else {
      output.text(reader.readString())
    }
  }

  #long(): void {
    const value = this.#reader.readLong()
    if (typeof value === 'number' && value === (value | 0)) output.int(value)
    else if (typeof value === 'number' || this.#rules.longs === 'number') output.ascii(String(value))
    else output.quoted(String(value))
  }

  #double(value: number): void {
    if (!Number.isFinite(value)) output.quoted(String(value))
    else if (value === (value | 0) && !Object.is(value, -0)) output.int(value)
    else output.ascii(Object.is(value, -0) ? '-0' : String(value))
  }

  #date(ms: number): void {
    if (this.#rules.dates === 'epoch' || Math.abs(ms) > MAX_DATE) output.ascii(String(ms))
    else output.time(ms)
  }

  #list(): void {
    const reader = this.#reader
    reader.enterList()
    const slot = this.#begin()
    output.byte(0x5b)
    let isFirst = true
    while (reader.hasNext()) {
      if (isFirst) isFirst = false
      else output.byte(0x2c)
      this.#value()
    }
    output.byte(0x5d)
    this.#ranges.close(slot, output.length)
  }

  #object(): void {
    const reader = this.#reader
    const shape = this.#shapes.of(reader.enterObject())
    const slot = this.#begin()
    if (shape.form === Form.Fields) this.#fields(shape)
    else this.#special(shape, slot)
    this.#ranges.close(slot, output.length)
  }

  #fields(shape: ClassShape): void {
    const reader = this.#reader
    const { keys } = shape
    let isFirst = !this.#rules.classes
    output.byte(0x7b)
    if (!isFirst) output.bytes(shape.classMember)
    for (let i = 0; reader.hasNext(); i++) {
      const key = keys[i]
      if (key === null) {
        skipValue(reader)
        continue
      }
      if (isFirst) isFirst = false
      else output.byte(0x2c)
      output.bytes(key)
      this.#value()
    }
    output.byte(0x7d)
  }

  #special(shape: ClassShape, slot: number): void {
    switch (shape.form) {
      case Form.Time:
        this.#time(shape, slot)
        return
      case Form.BigInteger:
        this.#bigInteger(shape)
        return
      case Form.Throwable:
        this.#throwable(shape)
        return
      default:
        this.#one(shape)
    }
  }

  /** An object that one of its fields stands for. */
  #one(shape: ClassShape): void {
    const reader = this.#reader
    for (let i = 0; reader.hasNext(); i++) {
      if (i !== shape.field) skipValue(reader)
      else if (shape.form !== Form.Decimal || reader.peekKind() !== Kind.String) this.#value()
      else this.#decimal()
    }
  }

  /** Digits of any length: as they are where a double keeps them, or where the rules want numbers; else as a string. */
  #decimal(): void {
    const reader = this.#reader
    const at = reader.position
    const count = reader.input[at]
    const isShort = count <= SAFE_DIGITS && at + 1 + count <= reader.end
    if (isShort && output.digits(reader.input, at + 1, count)) {
      reader.position = at + 1 + count
      return
    }
    const digits = reader.readString()
    const isNumber = JSON_NUMBER.test(digits)
    if (isNumber && (this.#rules.longs === 'number' || isExact(digits))) output.ascii(digits)
    else output.text(digits)
  }

  #bigInteger(shape: ClassShape): void {
    const reader = this.#reader
    const { fields } = shape.definition
    let sign = 0
    let magnitude = 0n
    for (let i = 0; reader.hasNext(); i++) {
      if (fields[i] === 'signum') sign = reader.readInt()
      else if (fields[i] === 'mag') magnitude = this.#magnitude()
      else skipValue(reader)
    }
    const value = sign < 0 ? -magnitude : magnitude
    const isExactNumber = this.#rules.longs === 'number' || magnitude <= MAX_SAFE
    if (isExactNumber) output.ascii(String(value))
    else output.quoted(String(value))
  }

  /** Words of 32 bits, the highest first. */
  #magnitude(): bigint {
    const reader = this.#reader
    if (reader.peekKind() === Kind.Ref) return this.#magnitudes.get(reader.readRefIndex()) ?? 0n
    reader.enterList()
    const slot = reader.slots - 1
    let digits = ''
    // By way of hexadecimal, because shifting word by word takes time that grows with the square of their number.
    while (reader.hasNext()) digits += (reader.readInt() >>> 0).toString(16).padStart(8, '0')
    const value = digits === '' ? 0n : BigInt(`0x${digits}`)
    this.#magnitudes.set(slot, value)
    return value
  }

  /** A handle of `java.time`; these are small, so they are read as values. */
  #time(shape: ClassShape, slot: number): void {
    const reader = this.#reader
    const values: HessianValue[] = []
    while (reader.hasNext()) values.push(reader.readValue())
    const object = new HessianObject(shape.definition, values)
    // A point in time may share its date with another one.
    reader.assign(slot, object)
    const text = timeText(object)
    if (text === null) throw this.#failure(`${shape.definition.className} has no text form`)
    output.text(text)
  }

  /** An exception that is part of a result. */
  #throwable(shape: ClassShape): void {
    const reader = this.#reader
    const policy = this.#rules.exceptions
    output.byte(0x7b)
    if (policy === 'class-and-message') output.bytes(shape.classMember)
    for (let i = 0; reader.hasNext(); i++) {
      if (policy === 'hidden' || i !== shape.field) {
        skipValue(reader)
        continue
      }
      if (policy === 'class-and-message') output.byte(0x2c)
      output.ascii('"message":')
      this.#value()
    }
    output.byte(0x7d)
  }

  #map(): void {
    const reader = this.#reader
    reader.enterMap()
    const slot = this.#begin()
    output.byte(0x7b)
    let isFirst = true
    let isEntries = false
    while (reader.hasNext()) {
      if (this.#isClassEntry()) {
        skipValue(reader)
        skipValue(reader)
        continue
      }
      if (!isFirst) output.byte(0x2c)
      isEntries = this.#key(isFirst, isEntries)
      output.byte(0x3a)
      this.#value()
      if (isEntries) output.byte(0x7d)
      isFirst = false
    }
    output.byte(isEntries ? 0x5d : 0x7d)
    this.#ranges.close(slot, output.length)
  }

  /** Whether the entry of a map names its class, for a consumer who makes objects of maps. */
  #isClassEntry(): boolean {
    if (!this.#isGeneric || this.#rules.classes) return false
    const { input, position } = this.#reader
    if (input[position] !== CLASS_KEY.length) return false
    return input.latin1Slice(position + 1, position + 1 + CLASS_KEY.length) === CLASS_KEY
  }

  /**
   * Writes a key up to its colon. The first key decides the form of the map, which is returned: members of an object
   * where its JSON is a scalar, else entries `{"key": …, "value": …}` of an array.
   */
  #key(isFirst: boolean, isEntries: boolean): boolean {
    const start = output.length
    const slots = this.#reader.slots
    if (isEntries) output.bytes(ENTRY)
    this.#value()
    if (isEntries) {
      output.bytes(VALUE)
      return true
    }
    const lead = output.byteAt(start)
    if (lead === 0x22) return false
    if (lead === 0x7b || lead === 0x5b) {
      if (!isFirst) throw this.#failure('a map has keys that are text and keys that are not')
      this.#insert(start, ENTRY, slots)
      output.replace(start - 1, 0x5b)
      output.bytes(VALUE)
      return true
    }
    this.#insert(start, QUOTE, slots)
    output.byte(0x22)
    return false
  }

  /** Puts bytes in front of what was written from `start` on, containers from number `slots` on included. */
  #insert(start: number, part: Uint8Array, slots: number): void {
    output.insert(start, part)
    this.#ranges.move(slots, this.#reader.slots, part.length)
  }

  /** Remembers where the container begins that was entered last, and returns its slot. */
  #begin(): number {
    const slot = this.#reader.slots - 1
    this.#ranges.open(slot, output.length)
    return slot
  }

  /** A container once more. */
  #reference(): void {
    const slot = this.#reader.readRefIndex()
    const end = this.#ranges.endOf(slot)
    if (end === OPEN) throw this.#failure('the result contains itself here, which JSON cannot hold')
    if (end === UNKNOWN) throw this.#failure('the result refers to a part of the answer that is not shown')
    output.again(this.#ranges.startOf(slot), end)
  }

  #failure(why: string): ConversionError {
    return new ConversionError(`${output.path()}: ${why}`)
  }
}

const QUOTE = Buffer.from('"')
const ENTRY = Buffer.from('{"key":')
/** What stands between the key and the value of an entry; the colon follows. */
const VALUE = Buffer.from(',"value"')

/** Whether a double keeps every digit. */
function isExact(digits: string): boolean {
  if (digits.length <= SAFE_DIGITS && !/e/i.test(digits)) return true
  const [mantissa, exponent] = digits.toLowerCase().split('e')
  const significant = mantissa.replace(/[-.]/g, '').replace(/^0+/, '')
  return significant.length <= SAFE_DIGITS && Math.abs(Number(exponent ?? 0)) <= 290
}

function timeText(object: HessianObject): string | null {
  const name = handleName(object.className)
  if (name === null) return null
  return formatHandle(name, (field) => {
    const value = object.get(field)
    return value instanceof HessianObject ? timeText(value) : value
  })
}
