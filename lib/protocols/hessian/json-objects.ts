/** Objects of Java's own classes, as the business process's library expects them. */
import { HANDLE_PACKAGES, type HessianPeer, type TextObject } from './text-forms.ts'
import { ClassDef } from './values.ts'
import type { HessianWriter } from './writer.ts'

const DECIMAL = new ClassDef('java.math.BigDecimal', ['value'])
/** Its other fields are caches that Java fills again. */
const BIG_INTEGER = new ClassDef('java.math.BigInteger', ['signum', 'mag'])
/** Handle classes with their fields, by full name: a handful. */
const HANDLES = new Map<string, ClassDef>()

/** Writes a BigDecimal; `digits` keep their scale. */
export function writeDecimal(writer: HessianWriter, digits: string): void {
  writer.beginObjectOf(DECIMAL)
  writer.writeString(digits)
}

/** Begins a BigDecimal, whose digits the caller writes as a string. */
export function beginDecimal(writer: HessianWriter): void {
  writer.beginObjectOf(DECIMAL)
}

/** Writes a BigInteger: its sign, and its magnitude in words of 32 bits, the highest first. */
export function writeBigInteger(writer: HessianWriter, value: bigint): void {
  writer.beginObjectOf(BIG_INTEGER)
  writer.writeInt(value === 0n ? 0 : value < 0n ? -1 : 1)
  const words: number[] = []
  for (let rest = value < 0n ? -value : value; rest > 0n; rest >>= 32n)
    words.push(Number(BigInt.asIntN(32, rest)))
  writer.beginList('[int', words.length)
  for (const word of words.reverse()) writer.writeInt(word)
  writer.endList()
}

/** Writes the object that a text stands for, with the handle classes of the library that reads it. */
export function writeTextObject(writer: HessianWriter, object: TextObject, peer: HessianPeer): void {
  const { form } = object
  const name = form.isHandle ? HANDLE_PACKAGES[peer] + form.wireName : form.wireName
  let definition = HANDLES.get(name)
  if (definition === undefined) {
    definition = new ClassDef(name, form.fields)
    HANDLES.set(name, definition)
  }
  writer.beginObjectOf(definition)
  for (const value of object.values) {
    if (typeof value === 'string') writer.writeString(value)
    else if (typeof value !== 'number') writeTextObject(writer, value, peer)
    // The one field of these classes that is a long.
    else if (form.fields[0] === 'seconds' && value === object.values[0]) writer.writeLong(value)
    else writer.writeInt(value)
  }
}
