/** Scalars of a JSON tape, checked and written as Hessian values of compiled types. */

import { timeFrom } from './iso-dates.ts'
import { JavaKind, type JavaType } from './java-type.ts'
import { beginDecimal, writeBigInteger, writeDecimal, writeTextObject } from './json-objects.ts'
import {
  bytesFrom,
  dateFrom,
  decimalFrom,
  floatFrom,
  integerFrom,
  MAX_DATE,
  wantedBy,
} from './json-scalars.ts'
import { JsonError, JsonTape, Tag } from './json-scanner.ts'
import { digitsOf, doubleOf, hasExponent, longFrom, longOf, shown, textOf } from './json-tokens.ts'
import { didYouMean } from './nearest-name.ts'
import type { HessianWriter } from './writer.ts'

/** Longest text that the writer takes as bytes. */
const SHORT_TEXT = 31
const INT_MIN = -(2 ** 31)
const INT_MAX = 2 ** 31 - 1
/** The field of `java.sql` dates. */
const VALUE = ['value']

/** The part of {@link JsonValues} that knows no containers. Throws a `JsonError` for a value that does not fit its type. */
export class JsonScalars {
  protected tape = NO_TAPE
  protected writer: HessianWriter = null as unknown as HessianWriter

  protected writeText(node: number, tag: number): void {
    const tape = this.tape
    if (tag === Tag.Ascii) {
      const start = tape.start(node)
      const end = tape.end(node)
      if (end - start <= SHORT_TEXT) this.writer.writeAscii(tape.bytes, start, end)
      else this.writer.writeString(tape.bytes.latin1Slice(start, end))
      return
    }
    if (tag !== Tag.Utf8 && tag !== Tag.Escaped) throw this.mismatch(node, 'a string')
    this.writer.writeString(textOf(tape, node))
  }

  protected writeWhole(node: number, tag: number, type: JavaType): void {
    const isNumber = tag === Tag.Integer || tag === Tag.Decimal
    const value = isNumber ? longOf(this.tape, node) : null
    if (typeof value !== 'number' || value < type.min || value > type.max) {
      throw this.mismatch(node, `a whole number from ${type.min} to ${type.max}`)
    }
    this.writer.writeInt(value)
  }

  protected writeLongValue(node: number, tag: number): void {
    const isNumber = tag === Tag.Integer || tag === Tag.Decimal
    const value = isNumber ? longOf(this.tape, node) : isText(tag) ? longFrom(textOf(this.tape, node)) : null
    if (value === null) throw this.mismatch(node, 'a whole number of 64 bits, as number or string')
    this.writer.writeLong(value)
  }

  protected writeFloating(node: number, tag: number, type: JavaType): void {
    const isNumber = tag === Tag.Integer || tag === Tag.Decimal
    const value = isNumber
      ? doubleOf(this.tape, node)
      : isText(tag)
        ? floatFrom(textOf(this.tape, node))
        : null
    const isTooLarge =
      isNumber && !Number.isFinite(type.kind === JavaKind.Float ? Math.fround(value!) : value)
    if (value === null || isTooLarge)
      throw this.mismatch(node, isTooLarge ? `a number within a ${type.name}` : 'a number')
    this.writer.writeDouble(value)
  }

  /** A number for a type that takes text too. */
  protected fromDigits(node: number, type: JavaType): void {
    const { tape } = this
    if (type.kind !== JavaKind.Date && type.kind !== JavaKind.SqlDate) {
      const isPlain = type.kind === JavaKind.Decimal && tape.end(node) - tape.start(node) <= SHORT_TEXT
      if (isPlain && !hasExponent(tape, node)) {
        beginDecimal(this.writer)
        this.writer.writeAscii(tape.bytes, tape.start(node), tape.end(node))
      } else {
        this.fromText(node, digitsOf(tape, node), type)
      }
      return
    }
    const ms = longOf(tape, node)
    if (typeof ms !== 'number' || Math.abs(ms) > MAX_DATE) throw this.mismatch(node, wantedBy(type))
    this.#date(ms, type)
  }

  /** A date as most callers write it. Returns whether it was one. */
  protected fromTime(node: number, tag: number, type: JavaType): boolean {
    const { tape } = this
    const ms = tag === Tag.Ascii ? timeFrom(tape.bytes, tape.start(node), tape.end(node)) : Number.NaN
    if (Number.isNaN(ms)) return false
    this.#date(ms, type)
    return true
  }

  protected requireText(node: number, tag: number, type: JavaType): string {
    if (isText(tag)) return textOf(this.tape, node)
    throw this.mismatch(node, wantedBy(type))
  }

  /** A value of a type that is text in JSON; keys of maps come here too. */
  protected fromText(node: number, text: string, type: JavaType): void {
    const isWritten = this.#tryText(text, type)
    if (isWritten) return
    if (type.kind === JavaKind.Enum) {
      throw new JsonError(
        `expected one of ${[...type.constants].slice(0, 12).join(', ')}, got ${shown(this.tape, node)}${didYouMean(text, type.constants)}`,
        node,
      )
    }
    throw this.mismatch(node, wantedBy(type))
  }

  /** Returns whether the text was one of the type and is written. */
  #tryText(text: string, type: JavaType): boolean {
    const writer = this.writer
    switch (type.kind) {
      case JavaKind.Enum:
        return this.#enum(text, type)
      case JavaKind.Decimal: {
        const decimal = decimalFrom(text)
        if (decimal !== null) writeDecimal(writer, decimal)
        return decimal !== null
      }
      case JavaKind.BigInteger: {
        const integer = integerFrom(text)
        if (integer !== null) writeBigInteger(writer, integer)
        return integer !== null
      }
      case JavaKind.Date:
      case JavaKind.SqlDate: {
        const ms = dateFrom(text)
        if (ms !== null) this.#date(ms, type)
        return ms !== null
      }
      case JavaKind.Binary: {
        const bytes = bytesFrom(text)
        if (bytes !== null) writer.writeBinary(bytes, 0, bytes.length)
        return bytes !== null
      }
      case JavaKind.Char:
        if (text.length === 1) writer.writeString(text)
        return text.length === 1
      case JavaKind.Text: {
        const object = type.form === null ? null : type.form.parse(text)
        if (object !== null) writeTextObject(writer, object, type.peer)
        return object !== null
      }
      default:
        return false
    }
  }

  #enum(text: string, type: JavaType): boolean {
    if (!type.constants.has(text)) return false
    if (!type.isGeneric) this.writer.beginObjectOf(type.definition)
    this.writer.writeString(text)
    return true
  }

  #date(ms: number, type: JavaType): void {
    if (type.kind === JavaKind.SqlDate) this.writer.beginObject(type.name, VALUE)
    this.writer.writeDate(ms)
  }

  /** A key of a JSON object as a key of the map's type. */
  protected writeKey(key: number, text: string, type: JavaType): void {
    const writer = this.writer
    switch (type.kind) {
      case JavaKind.String:
      case JavaKind.Any:
        writer.writeString(text)
        return
      case JavaKind.Boolean:
        if (text !== 'true' && text !== 'false') throw this.mismatch(key, 'a key "true" or "false"')
        writer.writeBoolean(text === 'true')
        return
      case JavaKind.Int:
      case JavaKind.Long:
        this.#integerKey(key, text, type)
        return
      case JavaKind.Float:
      case JavaKind.Double: {
        const value = floatFrom(text) ?? (decimalFrom(text) === null ? null : Number(text))
        if (value === null) throw this.mismatch(key, 'a key that is a number')
        writer.writeDouble(value)
        return
      }
      case JavaKind.List:
      case JavaKind.Map:
      case JavaKind.Object:
      case JavaKind.Open:
        throw new JsonError(`keys of ${type.name} take the form [{"key": …, "value": …}]`, key)
      case JavaKind.Date:
      case JavaKind.SqlDate: {
        const epoch = longFrom(text)
        if (epoch === null) this.fromText(key, text, type)
        else this.#date(Number(epoch), type)
        return
      }
      default:
        this.fromText(key, text, type)
    }
  }

  #integerKey(key: number, text: string, type: JavaType): void {
    const value = longFrom(text)
    if (type.kind === JavaKind.Long) {
      if (value === null) throw this.mismatch(key, 'a key that is a whole number of 64 bits')
      this.writer.writeLong(value)
    } else {
      const small = value === null ? Number.NaN : Number(value)
      if (!(small >= type.min && small <= type.max)) {
        throw this.mismatch(key, `a key that is a whole number from ${type.min} to ${type.max}`)
      }
      this.writer.writeInt(small)
    }
  }

  protected writeAnyInteger(node: number): void {
    const value = longOf(this.tape, node)
    if (value === null) {
      const integer = integerFrom(digitsOf(this.tape, node))
      if (integer === null) throw this.mismatch(node, 'a whole number of at most 1000 digits')
      writeBigInteger(this.writer, integer)
    } else if (value >= INT_MIN && value <= INT_MAX) {
      this.writer.writeInt(Number(value))
    } else {
      this.writer.writeLong(value)
    }
  }

  protected mismatch(node: number, wanted: string): JsonError {
    return new JsonError(`expected ${wanted}, got ${shown(this.tape, node)}`, node)
  }
}

const NO_TAPE = new JsonTape()

/** Whether a node is a text. */
export function isText(tag: number): boolean {
  return tag === Tag.Ascii || tag === Tag.Utf8 || tag === Tag.Escaped
}
