/** Writes JSON values as Hessian values of compiled types, from a tape, checking as it goes. */
import { JavaKind, type JavaType } from './java-type.ts'
import { isText, JsonScalars } from './json-scalar-values.ts'
import { JsonError, type JsonTape, Tag } from './json-scanner.ts'
import { textOf } from './json-tokens.ts'
import { didYouMean } from './nearest-name.ts'
import { ClassDef } from './values.ts'
import type { HessianWriter } from './writer.ts'

/** Most fields of an object whose class nobody described. */
const MAX_FIELDS = 512
/** The entry that names an object's class. */
const CLASS_KEY = 'class'

/** Writes values of one tape to one writer at a time. Throws a `JsonError` for a value that does not fit its type. */
export class JsonValues extends JsonScalars {
  /** Field → node of its value, for the objects that are being written, one behind the other. */
  #slots = new Int32Array(256)
  #top = 0

  /** Takes the values to come from `tape` and writes them to `writer`. */
  use(tape: JsonTape, writer: HessianWriter): void {
    this.tape = tape
    this.writer = writer
    this.#top = 0
  }

  writeNull(): void {
    this.writer.writeNull()
  }

  /** Writes one value. Recursive: the scanner bounds the depth. */
  write(node: number, type: JavaType): void {
    const tape = this.tape
    const tag = tape.tag(node)
    if (tag === Tag.Null) {
      if (type.isPrimitive) throw this.mismatch(node, `a value for ${type.name}`)
      this.writer.writeNull()
      return
    }
    switch (type.kind) {
      case JavaKind.String:
        this.writeText(node, tag)
        return
      case JavaKind.Int:
        this.writeWhole(node, tag, type)
        return
      case JavaKind.Long:
        this.writeLongValue(node, tag)
        return
      case JavaKind.Object:
        this.#object(node, tag, type)
        return
      case JavaKind.List:
        this.#list(node, tag, type)
        return
      case JavaKind.Boolean:
        if (tag !== Tag.True && tag !== Tag.False) throw this.mismatch(node, 'true or false')
        this.writer.writeBoolean(tag === Tag.True)
        return
      default:
        this.#rarer(node, tag, type)
    }
  }

  #rarer(node: number, tag: number, type: JavaType): void {
    switch (type.kind) {
      case JavaKind.Float:
      case JavaKind.Double:
        this.writeFloating(node, tag, type)
        return
      case JavaKind.Map:
        this.#map(node, tag, type)
        return
      case JavaKind.Any:
        this.#any(node, tag, type)
        return
      case JavaKind.Open:
        this.#open(node, tag, type)
        return
      case JavaKind.Decimal:
      case JavaKind.BigInteger:
        if (tag === Tag.Integer || tag === Tag.Decimal) this.fromDigits(node, type)
        else this.fromText(node, this.requireText(node, tag, type), type)
        return
      case JavaKind.Date:
      case JavaKind.SqlDate:
        if (tag === Tag.Integer || tag === Tag.Decimal) this.fromDigits(node, type)
        else if (!this.fromTime(node, tag, type)) this.fromText(node, this.requireText(node, tag, type), type)
        return
      default:
        this.fromText(node, this.requireText(node, tag, type), type)
    }
  }

  #list(node: number, tag: number, type: JavaType): void {
    if (tag !== Tag.Array) throw this.mismatch(node, `an array for ${type.name}`)
    const tape = this.tape
    const element = type.element!
    const count = tape.count(node)
    this.writer.beginList(type.wireType, count)
    for (let i = 0, child = tape.child(node); i < count; i++, child = tape.next(child))
      this.write(child, element)
    this.writer.endList()
  }

  #object(node: number, tag: number, type: JavaType): void {
    if (tag !== Tag.Object) throw this.mismatch(node, `an object for ${type.name}`)
    const tape = this.tape
    const { fields } = type
    const base = this.#reserve(fields.length)
    const slots = this.#slots
    const count = tape.count(node)
    let present = 0
    let expected = 0
    let isNamed = false
    for (let i = 0, key = tape.child(node); i < count; i++) {
      const value = tape.next(key)
      // Most callers send the fields in their order.
      const isNext = expected < fields.length && this.#isKey(key, fields[expected].bytes)
      const index = isNext ? expected : this.#fieldAt(key, type)
      if (index >= 0) {
        if (slots[base + index] >= 0) throw new JsonError('the key comes twice', key)
        slots[base + index] = value
        present++
        expected = index + 1
      } else {
        isNamed = true
        const other = this.#classOf(key, value, type)
        if (other !== type) {
          this.#top = base
          this.#object(node, tag, other)
          return
        }
      }
      key = tape.next(value)
    }
    this.#begin(type, present, base, isNamed)
    for (let i = 0; i < fields.length; i++) {
      // Nested objects may have moved the slots to a larger array.
      const value = this.#slots[base + i]
      if (value < 0) continue
      if (type.isGeneric) this.writer.writeString(fields[i].name)
      this.write(value, fields[i].type)
    }
    if (type.isGeneric) this.writer.endMap()
    this.#top = base
  }

  #begin(type: JavaType, present: number, base: number, isNamed: boolean): void {
    if (type.isGeneric) {
      this.writer.beginMap(null)
      if (!isNamed) return
      this.writer.writeString(CLASS_KEY)
      this.writer.writeString(type.name)
    } else {
      const isWhole = present === type.fields.length
      this.writer.beginObjectOf(isWhole ? type.definition : type.layout(this.#slots, base))
    }
  }

  /** Makes room for the slots of one object and empties them. */
  #reserve(count: number): number {
    const base = this.#top
    this.#top += count
    if (this.#top > this.#slots.length) {
      const larger = new Int32Array(this.#top * 2)
      larger.set(this.#slots)
      this.#slots = larger
    }
    for (let i = base; i < this.#top; i++) this.#slots[i] = -1
    return base
  }

  #isKey(key: number, name: Uint8Array): boolean {
    const tape = this.tape
    if (tape.tag(key) === Tag.Escaped) return false
    const { bytes } = tape
    const start = tape.start(key)
    const { length } = name
    if (tape.end(key) - start !== length) return false
    for (let i = 0; i < length; i++) if (bytes[start + i] !== name[i]) return false
    return true
  }

  #fieldAt(key: number, type: JavaType): number {
    return type.fieldIndex.get(textOf(this.tape, key)) ?? -1
  }

  /** The class that the entry of a key which is no field names. Throws when it names none that may stand here. */
  #classOf(key: number, value: number, type: JavaType): JavaType {
    const text = textOf(this.tape, key)
    if (text !== CLASS_KEY) {
      throw new JsonError(`${type.name} has no such field${didYouMean(text, type.fieldIndex.keys())}`, key)
    }
    const name = isText(this.tape.tag(value)) ? textOf(this.tape, value) : null
    if (name === type.name) return type
    const other = name === null ? undefined : type.subtypes.get(name)
    if (other !== undefined) return other
    throw this.mismatch(value, `${type.name} or a described class that extends it`)
  }

  #map(node: number, tag: number, type: JavaType): void {
    const tape = this.tape
    if (tag !== Tag.Object) {
      this.#entries(node, tag, type)
      return
    }
    const keyType = type.key!
    const element = type.element!
    const count = tape.count(node)
    const seen = count > 1 ? new Set<string>() : null
    this.writer.beginMap(type.wireType)
    for (let i = 0, key = tape.child(node); i < count; i++) {
      const value = tape.next(key)
      const text = textOf(tape, key)
      this.#refuseTwice(seen, text, key)
      if (type.isGeneric && text === CLASS_KEY) throw new JsonError('a map has no key "class" here', key)
      this.writeKey(key, text, keyType)
      this.write(value, element)
      key = tape.next(value)
    }
    this.writer.endMap()
  }

  #refuseTwice(seen: Set<string> | null, text: string, key: number): void {
    if (seen === null) return
    if (seen.has(text)) throw new JsonError('the key comes twice', key)
    seen.add(text)
  }

  /** A map with keys of any kind: `[{ "key": …, "value": … }, …]`. */
  #entries(node: number, tag: number, type: JavaType): void {
    const tape = this.tape
    if (tag !== Tag.Array) throw this.mismatch(node, `an object for ${type.name}`)
    const count = tape.count(node)
    this.writer.beginMap(type.wireType)
    for (let i = 0, entry = tape.child(node); i < count; i++, entry = tape.next(entry)) {
      const key = this.#member(entry, 'key')
      const value = this.#member(entry, 'value')
      if (key < 0 || value < 0 || tape.count(entry) !== 2) {
        throw this.mismatch(entry, `{"key": …, "value": …} for an entry of ${type.name}`)
      }
      const isClass = isText(tape.tag(key)) && textOf(tape, key) === CLASS_KEY
      if (type.isGeneric && isClass) throw new JsonError('a map has no key "class" here', key)
      this.write(key, type.key!)
      this.write(value, type.element!)
    }
    this.writer.endMap()
  }

  /** The value of a member, -1 when there is none. */
  #member(node: number, name: string): number {
    const tape = this.tape
    const count = tape.tag(node) === Tag.Object ? tape.count(node) : 0
    for (let i = 0, key = tape.child(node); i < count; i++, key = tape.next(tape.next(key))) {
      if (textOf(tape, key) === name) return tape.next(key)
    }
    return -1
  }

  /** A value for which the JSON decides. */
  #any(node: number, tag: number, type: JavaType): void {
    switch (tag) {
      case Tag.False:
      case Tag.True:
        this.writer.writeBoolean(tag === Tag.True)
        return
      case Tag.Integer:
        this.writeAnyInteger(node)
        return
      case Tag.Decimal:
        this.writeFloating(node, tag, type)
        return
      case Tag.Array: {
        const count = this.tape.count(node)
        this.writer.beginList(null, count)
        let child = this.tape.child(node)
        for (let i = 0; i < count; i++, child = this.tape.next(child)) this.write(child, type)
        this.writer.endList()
        return
      }
      case Tag.Object:
        this.#anyObject(node, type)
        return
      default:
        this.writeText(node, tag)
    }
  }

  /** An object of the described class it names, else a map. */
  #anyObject(node: number, type: JavaType): void {
    const tape = this.tape
    const named = this.#member(node, CLASS_KEY)
    const name = named >= 0 && isText(tape.tag(named)) ? textOf(tape, named) : null
    const described = name === null ? undefined : type.subtypes.get(name)
    if (described !== undefined) {
      this.#object(node, Tag.Object, described)
      return
    }
    // In generic calls the entry would choose a class of the business process.
    if (type.isGeneric && named >= 0) throw this.mismatch(named, 'the name of a described class')
    const count = tape.count(node)
    const seen = count > 1 ? new Set<string>() : null
    this.writer.beginMap(null)
    for (let i = 0, key = tape.child(node); i < count; i++) {
      const value = tape.next(key)
      const text = textOf(tape, key)
      this.#refuseTwice(seen, text, key)
      this.writer.writeString(text)
      this.write(value, type)
      key = tape.next(value)
    }
    this.writer.endMap()
  }

  /** A value of a class that nobody described. */
  #open(node: number, tag: number, type: JavaType): void {
    const tape = this.tape
    if (type.isGeneric && tag !== Tag.Object) {
      this.#any(node, tag, type.element!)
      return
    }
    if (tag !== Tag.Object) {
      throw this.mismatch(node, `an object for ${type.name}; describe an enum or a list class under "types"`)
    }
    const named = this.#member(node, CLASS_KEY)
    const name = named >= 0 && isText(tape.tag(named)) ? textOf(tape, named) : null
    const described = name === null ? undefined : type.subtypes.get(name)
    if (described !== undefined) this.#object(node, tag, described)
    else if (named >= 0 && name !== type.name) throw this.mismatch(named, `${type.name} or a described class`)
    else this.#openObject(node, type)
  }

  #openObject(node: number, type: JavaType): void {
    const tape = this.tape
    const count = tape.count(node)
    if (count > MAX_FIELDS) throw this.mismatch(node, `an object of at most ${MAX_FIELDS} fields`)
    const names = new Set<string>()
    for (let i = 0, key = tape.child(node); i < count; i++, key = tape.next(tape.next(key))) {
      this.#refuseTwice(names, textOf(tape, key), key)
    }
    names.delete(CLASS_KEY)
    if (type.isGeneric) this.writer.beginMap(null)
    else this.writer.beginObjectOf(new ClassDef(type.name, [...names]))
    for (let i = 0, key = tape.child(node); i < count; i++) {
      const value = tape.next(key)
      const text = textOf(tape, key)
      if (text !== CLASS_KEY) {
        if (type.isGeneric) this.writer.writeString(text)
        this.write(value, type.element!)
      }
      key = tape.next(value)
    }
    if (type.isGeneric) this.writer.endMap()
  }
}
