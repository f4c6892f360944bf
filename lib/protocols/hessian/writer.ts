import { HessianOutput } from './output.ts'
import { chunkEnd, MAX_CHUNK_UNITS } from './text.ts'
import {
  ClassDef,
  HessianDate,
  type HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from './values.ts'

const MAX_SHORT_STRING = 31
const MAX_MEDIUM = 1_023
const MAX_SHORT_BINARY = 15
/** Most bytes of a binary piece that is written. */
const MAX_CHUNK_BYTES = 0x8000
/** Object references and lengths up to here have a byte of their own in the final dialect. */
const SHORT_OBJECTS = 16
const SHORT_LISTS = 8

/**
 * Writes values of one dialect, in the forms that Java's writers choose. Everything between two resets is one stream:
 * its values share the tables of classes, types and references. The buffer grows as needed and is used again.
 *
 *     const writer = new HessianWriter(draft)
 *     writer.beginObject('com.example.Item', ['sku', 'qty'])
 *     writer.writeString('sku-1')
 *     writer.writeInt(3)
 *     socket.write(Buffer.from(writer.bytes()))
 *     writer.reset()
 *
 * Containers count as referable in the order in which they begin; `slots` says how many there are, so the index of the
 * next one. The caller writes exactly as many values as a container announced: nothing checks it.
 */
export class HessianWriter extends HessianOutput {
  #slots = 0
  /** Classes of this stream, by index. */
  readonly #classes: ClassDef[] = []
  /** Types of this stream, by index. */
  readonly #types: string[] = []
  /** Which of the open maps and lists end with a mark. */
  readonly #marks: boolean[] = []
  /** Containers that `writeValue` has written, for the next time they come. */
  readonly #seen = new Map<HessianObject | HessianMap | HessianList, number>()

  /** Containers begun since the last reset, and the index that the next one gets. */
  get slots(): number {
    return this.#slots
  }

  /** Forgets what was written and begins a new stream. */
  reset(): void {
    this.clear()
    this.#slots = 0
    if (this.#classes.length > 0) this.#classes.length = 0
    if (this.#types.length > 0) this.#types.length = 0
    if (this.#marks.length > 0) this.#marks.length = 0
    if (this.#seen.size > 0) this.#seen.clear()
  }

  /** A string of any length; long ones in pieces, none of which ends between the halves of a surrogate pair. */
  writeString(text: string): void {
    const { length } = text
    if (length <= MAX_SHORT_STRING) {
      this.reserve(length * 3 + 1)
      this.buffer[this.at++] = length
      this.putUnits(text, 0, length)
      return
    }
    let from = 0
    while (length - from > MAX_CHUNK_UNITS) {
      const to = chunkEnd(text, from)
      this.#putLength(this.dialect.stringChunk, to - from)
      this.putUnits(text, from, to)
      from = to
    }
    const left = length - from
    if (left <= MAX_SHORT_STRING) this.put(left)
    else if (left <= MAX_MEDIUM && !this.dialect.isDraft) this.#putPair(0x30 + (left >> 8), left)
    else this.#putLength(0x53, left)
    this.putUnits(text, from, length)
  }

  /** The bytes `offset` to `end` as a binary value. They are copied. */
  writeBinary(bytes: Uint8Array, offset: number, end: number): void {
    while (end - offset > MAX_CHUNK_BYTES) {
      this.#putLength(this.dialect.binaryChunk, MAX_CHUNK_BYTES)
      this.writeRaw(bytes, offset, offset + MAX_CHUNK_BYTES)
      offset += MAX_CHUNK_BYTES
    }
    const left = end - offset
    if (left <= MAX_SHORT_BINARY) this.put(0x20 + left)
    else if (left <= MAX_MEDIUM && !this.dialect.isDraft) this.#putPair(0x34 + (left >> 8), left)
    else this.#putLength(0x42, left)
    this.writeRaw(bytes, offset, end)
  }

  /**
   * Begins an object; its class is defined when the stream has no equal definition yet. Exactly `fields.length`
   * values follow, and no end. Where one class is written often, `beginObjectOf` is quicker.
   */
  beginObject(className: string, fields: readonly string[]): void {
    const index = this.#classes.findIndex(
      (known) => known.className === className && areEqual(known.fields, fields),
    )
    if (index >= 0) this.#putObject(index)
    else this.beginObjectOf(new ClassDef(className, fields))
  }

  /** As `beginObject`, with a definition that the caller keeps: it is encoded once for all messages. */
  beginObjectOf(definition: ClassDef): void {
    const classes = this.#classes
    let index = classes.indexOf(definition)
    if (index < 0) {
      index = classes.findIndex(
        (known) => known.className === definition.className && areEqual(known.fields, definition.fields),
      )
    }
    if (index < 0) {
      index = classes.push(definition) - 1
      this.#putClass(definition)
    }
    this.#putObject(index)
  }

  #putClass(definition: ClassDef): void {
    const { dialect } = this
    const encoded = definition.encoded[dialect.name]
    if (encoded !== null) {
      this.writeRaw(encoded, 0, encoded.length)
      return
    }
    const start = this.at
    const { className, fields } = definition
    this.put(dialect.classDef)
    if (dialect.isDraft) {
      this.writeInt(className.length)
      this.putUnits(className, 0, className.length)
    } else {
      this.writeString(className)
    }
    this.writeInt(fields.length)
    for (const field of fields) this.writeString(field)
    definition.encoded[dialect.name] = Buffer.from(this.buffer.subarray(start, this.at))
  }

  #putObject(index: number): void {
    this.#slots++
    if (this.dialect.isDraft) {
      this.put(0x6f)
      this.writeInt(index)
    } else if (index < SHORT_OBJECTS) {
      this.put(0x60 + index)
    } else {
      this.put(0x4f)
      this.writeInt(index)
    }
  }

  /** Begins a map; `null` is a plain HashMap. Keys and values follow in turn, then `endMap`. */
  beginMap(type: string | null): void {
    this.#slots++
    if (this.dialect.isDraft || type !== null) {
      this.put(0x4d)
      if (type !== null) this.#putType(type)
    } else {
      this.put(0x48)
    }
  }

  endMap(): void {
    this.put(this.dialect.end)
  }

  /** Begins a list; `null` is a plain ArrayList, -1 a length that is not known yet. Ends with `endList`. */
  beginList(type: string | null, length: number): void {
    this.#slots++
    this.#marks.push(
      this.dialect.isDraft ? this.#putDraftList(type, length) : this.#putFinalList(type, length),
    )
  }

  endList(): void {
    if (this.#marks.pop()) this.put(this.dialect.end)
  }

  /** Returns whether the list ends with a mark. */
  #putDraftList(type: string | null, length: number): boolean {
    const known = type === null || length < 0 ? -1 : this.#types.indexOf(type)
    if (known >= 0) {
      this.put(0x76)
      this.writeInt(known)
      this.writeInt(length)
      return false
    }
    this.put(0x56)
    if (type !== null) this.#putType(type)
    if (length > 0xff) {
      this.reserve(5)
      this.put(0x6c)
      this.put32(length)
    } else if (length >= 0) {
      this.#putPair(0x6e, length)
    }
    return true
  }

  /** Returns whether the list ends with a mark. */
  #putFinalList(type: string | null, length: number): boolean {
    const isShort = length < SHORT_LISTS
    if (length < 0) this.put(type === null ? 0x57 : 0x55)
    else if (type === null) this.put(isShort ? 0x78 + length : 0x58)
    else this.put(isShort ? 0x70 + length : 0x56)
    if (type !== null) this.#putType(type)
    if (!isShort) this.writeInt(length)
    return length < 0
  }

  #putType(type: string): void {
    const known = this.#types.indexOf(type)
    if (known >= 0) {
      if (this.dialect.isDraft) this.put(0x75)
      this.writeInt(known)
      return
    }
    this.#types.push(type)
    if (this.dialect.isDraft) {
      this.#putLength(0x74, type.length)
      this.putUnits(type, 0, type.length)
    } else {
      this.writeString(type)
    }
  }

  /** The container that began as number `index` of this stream, once more. */
  writeRef(index: number): void {
    if (!this.dialect.isDraft) {
      this.put(0x51)
      this.writeInt(index)
    } else if (index <= 0xff) {
      this.#putPair(0x4a, index)
    } else if (index <= 0xffff) {
      this.#putLength(0x4b, index)
    } else {
      this.reserve(5)
      this.put(0x52)
      this.put32(index)
    }
  }

  /**
   * Any value. A number is an int if it is an integer of 32 bits, a long if it is a safe integer, else a double. A
   * container that comes again, inside itself too, becomes a reference. Recursive: the caller bounds the depth.
   */
  writeValue(value: HessianValue): void {
    if (value === null) this.writeNull()
    else if (typeof value === 'string') this.writeString(value)
    else if (typeof value === 'number') this.#writeNumber(value)
    else if (typeof value === 'boolean') this.writeBoolean(value)
    else if (typeof value === 'bigint') this.writeLong(value)
    else if (value instanceof HessianDate) this.writeDate(value.ms)
    else if (value instanceof Uint8Array) this.writeBinary(value, 0, value.length)
    else this.#writeContainer(value)
  }

  #writeNumber(value: number): void {
    if ((value | 0) === value && !Object.is(value, -0)) this.writeInt(value)
    else if (Number.isSafeInteger(value) && value !== 0) this.writeLong(value)
    else this.writeDouble(value)
  }

  #writeContainer(value: HessianObject | HessianMap | HessianList): void {
    const slot = this.#seen.get(value)
    if (slot !== undefined) {
      this.writeRef(slot)
      return
    }
    this.#seen.set(value, this.#slots)
    if (value instanceof HessianObject) {
      this.beginObjectOf(value.definition)
      for (const field of value.values) this.writeValue(field)
    } else if (value instanceof HessianMap) {
      this.beginMap(value.type)
      for (const [key, entry] of value.entries) {
        this.writeValue(key)
        this.writeValue(entry)
      }
      this.endMap()
    } else {
      this.beginList(value.type, value.items.length)
      for (const item of value.items) this.writeValue(item)
      this.endList()
    }
  }

  /** A code and 16 bits. */
  #putLength(code: number, length: number): void {
    this.reserve(3)
    this.buffer[this.at++] = code
    this.put16(length)
  }

  /** A code and a byte. */
  #putPair(code: number, byte: number): void {
    this.reserve(2)
    this.buffer[this.at++] = code
    this.buffer[this.at++] = byte
  }
}

function areEqual(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((name, i) => name === other[i]))
}
