import { ClassCache } from './class-cache.ts'
import { type Dialect, Op } from './dialect.ts'
import { DEFAULT_LIMITS, HessianError, type HessianLimits } from './limits.ts'
import {
  checkLength,
  Ends,
  longName,
  noSuchClass,
  noSuchSlot,
  noSuchType,
  notAValue,
  read32,
  readSize,
  sizeWidth,
  tooDeep,
  tooMany,
  tooManyFields,
  unexpected,
} from './structure.ts'
import { skipUnits, truncated } from './text.ts'
import { HIGH_BITS, viewOf } from './words.ts'

/** Elements left in a container that ends with a mark: more than any limit, and even, so that keys stand at even counts. */
const OPEN = 0x4000_0000

/** Instead of a number of elements: a value without elements has been stepped over, or a class definition. */
const VALUE = -1
const DEFINITION = -2

/**
 * Steps over values without building them: finds where one ends, and checks everything that a reader would refuse.
 * One skipper serves one stream at a time: classes that a value defines count for the values behind it, until `reset`.
 * Nothing recurses, and nothing is allocated but a copy of each class definition that comes for the first time.
 */
export class HessianSkipper {
  readonly dialect: Dialect
  readonly #limits: HessianLimits
  /** Values due in the containers around the innermost one, by depth. */
  readonly #lefts: Int32Array
  /** How the open containers end, by depth from 1 on. */
  readonly #kinds: Uint8Array
  /** Fields of each class of this stream. */
  readonly #fieldCounts: Int32Array
  #classes = 0
  /** Number of fields by the bytes of a definition; outlives a reset. */
  readonly #known = new ClassCache<number>()
  #types = 0
  #slots = 0
  #elements = 0
  /** What `#skipHead` has stepped over: VALUE, DEFINITION, or a container with so many elements. */
  #count = 0
  /** How that container ends. */
  #ends: number = Ends.Counted

  constructor(dialect: Dialect, limits: HessianLimits = DEFAULT_LIMITS) {
    this.dialect = dialect
    this.#limits = limits
    this.#lefts = new Int32Array(limits.maxDepth + 1)
    this.#kinds = new Uint8Array(limits.maxDepth + 1)
    this.#fieldCounts = new Int32Array(limits.maxClasses)
  }

  /** Begins a new stream: no class, type or reference is known, and the limits start afresh. */
  reset(): void {
    this.#classes = 0
    this.#types = 0
    this.#slots = 0
    this.#elements = 0
  }

  /**
   * Returns the offset behind the value at `at`, class definitions in front of it included. Throws a HessianError when
   * the input between `at` and `end` does not begin with a whole value.
   */
  skip(bytes: Uint8Array, at: number, end: number): number {
    const { ops, widths, end: mark } = this.dialect
    const { maxDepth } = this.#limits
    const lefts = this.#lefts
    const view = viewOf(bytes)
    const base = bytes.byteOffset
    const kinds = this.#kinds
    let depth = 0
    /** Values that are still due in the innermost container; outside of all, this one value. */
    let left = 1
    for (;;) {
      if (at >= end) throw truncated(end)
      const lead = bytes[at]
      const width = widths[lead]
      if (width !== 0) {
        at += width
        left--
      } else if (lead < 0x20) {
        const start = at + 1
        at = start + lead
        if (at > end) throw truncated(end)
        if (lead < 4) {
          if (lead > 0 && (bytes[start] | bytes[at - 1] | bytes[start + (lead >> 1)]) >= 0x80)
            at = skipUnits(bytes, start, end, lead)
        } else {
          const last = base + at - 4
          let bits = view.getInt32(last, true)
          for (let i = base + start; i < last; i += 4) bits |= view.getInt32(i, true)
          if ((bits & HIGH_BITS) !== 0) at = skipUnits(bytes, start, end, lead)
        }
        left--
      } else if (lead === mark) {
        this.#close(bytes, at, left, depth === 0 ? Ends.Counted : kinds[depth])
        at++
        left = 0
      } else {
        at = this.#skipHead(bytes, at, end, ops[lead])
        const count = this.#count
        if (count === VALUE) {
          left--
        } else if (count !== DEFINITION) {
          if (depth === maxDepth) throw tooDeep(depth, at)
          lefts[depth++] = left
          kinds[depth] = this.#ends
          left = count
        }
      }
      while (left === 0) {
        if (at > end) throw truncated(end)
        if (depth === 0) return at
        if (kinds[depth] === Ends.CountedMark) at = this.#skipMark(bytes, at, end)
        left = lefts[--depth] - 1
      }
    }
  }

  /**
   * Steps over what neither has a fixed width nor is a short string. Sets `#count`: VALUE, DEFINITION, or how many
   * elements follow in the container whose head this is.
   */
  #skipHead(bytes: Uint8Array, at: number, end: number, op: number): number {
    this.#count = VALUE
    switch (op) {
      case Op.StringMedium:
      case Op.StringFinal:
      case Op.StringChunk:
        return this.#skipString(bytes, at, end)
      case Op.BinaryMedium:
      case Op.BinaryFinal:
      case Op.BinaryChunk:
        return this.#skipBinary(bytes, at, end)
      case Op.Ref1:
      case Op.Ref2:
      case Op.Ref4:
      case Op.Ref:
        return this.#skipRef(bytes, at, end, op)
      case Op.ClassDef:
        return this.#skipClass(bytes, at, end)
      case Op.ObjectShort:
        return this.#openObject(bytes[at] & 0x0f, at, at + 1)
      case Op.Object:
        return this.#openObject(readSize(bytes, at + 1, end), at, at + 1 + sizeWidth(bytes, at + 1))
      case Op.MapUntyped:
        return this.#open(at + 1, OPEN, Ends.MarkAtKey)
      case Op.MapTyped:
      case Op.MapDraft:
        return this.#open(this.#skipType(bytes, at + 1, end), OPEN, Ends.MarkAtKey)
      default:
        return this.#openList(bytes, at, end, op)
    }
  }

  #openList(bytes: Uint8Array, at: number, end: number, op: number): number {
    switch (op) {
      case Op.ListUntypedShort:
        return this.#openCounted(at + 1, end, bytes[at] & 0x07)
      case Op.ListTypedShort:
        return this.#openCounted(this.#skipType(bytes, at + 1, end), end, bytes[at] & 0x07)
      case Op.ListUntyped:
        return this.#openSized(bytes, at + 1, end)
      case Op.ListTyped:
        return this.#openSized(bytes, this.#skipType(bytes, at + 1, end), end)
      case Op.ListRepeated:
        return this.#openSized(bytes, this.#skipTypeIndex(bytes, at + 1, end), end)
      case Op.ListUntypedOpen:
        return this.#open(at + 1, OPEN, Ends.Mark)
      case Op.ListTypedOpen:
        return this.#open(this.#skipType(bytes, at + 1, end), OPEN, Ends.Mark)
      case Op.ListDraft:
        return this.#openDraftList(bytes, this.#skipType(bytes, at + 1, end), end)
      default:
        throw notAValue(bytes, at, this.dialect)
    }
  }

  /** A list whose length is the int at `at`. */
  #openSized(bytes: Uint8Array, at: number, end: number): number {
    return this.#openCounted(at + sizeWidth(bytes, at), end, readSize(bytes, at, end))
  }

  #openCounted(next: number, end: number, count: number): number {
    checkLength(count, next, end)
    return this.#open(next, count, Ends.Counted)
  }

  /** Draft, behind the type: an optional length. */
  #openDraftList(bytes: Uint8Array, at: number, end: number): number {
    const lead = at < end ? bytes[at] : 0
    if (lead !== 0x6e && lead !== 0x6c) return this.#open(at, OPEN, Ends.Mark)
    const next = at + (lead === 0x6e ? 2 : 5)
    if (next > end) throw truncated(end)
    const count = lead === 0x6e ? bytes[at + 1] : read32(bytes, at + 1)
    checkLength(count, next, end)
    return this.#open(next, count, Ends.CountedMark)
  }

  #openObject(index: number, at: number, next: number): number {
    if (index >= this.#classes) throw noSuchClass(index, at)
    return this.#open(next, this.#fieldCounts[index], Ends.Counted)
  }

  /** Announces a container whose elements begin at `next`. */
  #open(next: number, count: number, ends: number): number {
    if (count !== OPEN) this.#countElements(count, next)
    this.#slots++
    this.#count = count
    this.#ends = ends
    return next
  }

  #countElements(count: number, at: number): void {
    this.#elements += count
    if (this.#elements > this.#limits.maxElements) throw tooMany(this.#limits.maxElements, 'elements', at)
  }

  /** Checks that an end mark may stand where it does. */
  #close(bytes: Uint8Array, at: number, left: number, ends: number): void {
    if (ends < Ends.Mark || (ends === Ends.MarkAtKey && left % 2 !== 0))
      throw notAValue(bytes, at, this.dialect)
    this.#countElements(OPEN - left, at)
  }

  /** The mark behind the last element of a list that has both a length and a mark. */
  #skipMark(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) throw truncated(end)
    if (bytes[at] !== this.dialect.end) throw new HessianError('a list is longer than it says', at)
    return at + 1
  }

  #skipRef(bytes: Uint8Array, at: number, end: number, op: number): number {
    const next =
      at + 1 + (op === Op.Ref1 ? 1 : op === Op.Ref2 ? 2 : op === Op.Ref4 ? 4 : sizeWidth(bytes, at + 1))
    if (next > end) throw truncated(end)
    let index = bytes[at + 1]
    if (op === Op.Ref2) index = (index << 8) | bytes[at + 2]
    else if (op === Op.Ref4) index = read32(bytes, at + 1)
    else if (op === Op.Ref) index = readSize(bytes, at + 1, end)
    if (index < 0 || index >= this.#slots) throw noSuchSlot(index, at)
    return next
  }

  #skipString(bytes: Uint8Array, at: number, end: number): number {
    const { ops } = this.dialect
    for (;;) {
      if (at >= end) throw truncated(end)
      const lead = bytes[at]
      switch (ops[lead]) {
        case Op.StringShort:
          return skipUnits(bytes, at + 1, end, lead)
        case Op.StringMedium:
          if (at + 2 > end) throw truncated(end)
          return skipUnits(bytes, at + 2, end, ((lead & 3) << 8) | bytes[at + 1])
        case Op.StringFinal:
          if (at + 3 > end) throw truncated(end)
          return skipUnits(bytes, at + 3, end, (bytes[at + 1] << 8) | bytes[at + 2])
        case Op.StringChunk:
          if (at + 3 > end) throw truncated(end)
          at = skipUnits(bytes, at + 3, end, (bytes[at + 1] << 8) | bytes[at + 2])
          break
        default:
          throw unexpected('a string', lead, at)
      }
    }
  }

  #skipBinary(bytes: Uint8Array, at: number, end: number): number {
    const { ops } = this.dialect
    for (;;) {
      if (at >= end) throw truncated(end)
      const lead = bytes[at]
      const op = ops[lead]
      if (op === Op.BinaryShort) at += 1 + (lead & 0x0f)
      else if (op < Op.BinaryShort || op > Op.BinaryChunk) {
        throw unexpected('a binary value', lead, at)
      } else if (op === Op.BinaryMedium) {
        if (at + 2 > end) throw truncated(end)
        at += 2 + (((lead & 3) << 8) | bytes[at + 1])
      } else {
        if (at + 3 > end) throw truncated(end)
        at += 3 + ((bytes[at + 1] << 8) | bytes[at + 2])
      }
      if (at > end) throw truncated(end)
      if (op !== Op.BinaryChunk) return at
    }
  }

  /** A class definition; what stands behind it must be another or a value. */
  #skipClass(bytes: Uint8Array, at: number, end: number): number {
    this.#count = DEFINITION
    const { maxClasses } = this.#limits
    if (this.#classes === maxClasses) {
      throw tooMany(maxClasses, 'classes', at)
    }
    const known = this.#known.find(bytes, at, end)
    const next = known === undefined ? this.#skipNewClass(bytes, at, end) : at + this.#known.width
    if (known !== undefined) this.#fieldCounts[this.#classes++] = known
    if (next < end && bytes[next] === this.dialect.end) throw notAValue(bytes, next, this.dialect)
    return next
  }

  #skipNewClass(bytes: Uint8Array, at: number, end: number): number {
    const { maxFields, maxNameBytes } = this.#limits
    let next = at + 1
    if (this.dialect.isDraft) {
      const units = readSize(bytes, next, end)
      const start = next + sizeWidth(bytes, next)
      next = skipUnits(bytes, start, end, units)
      if (next - at - 1 > maxNameBytes) throw longName(maxNameBytes, at)
    } else {
      next = this.#skipName(bytes, next, end)
    }
    const count = readSize(bytes, next, end)
    if (count > maxFields) throw tooManyFields(maxFields, next)
    next += sizeWidth(bytes, next)
    for (let i = 0; i < count; i++) next = this.#skipName(bytes, next, end)
    this.#known.add(bytes, at, next, count)
    this.#fieldCounts[this.#classes++] = count
    return next
  }

  #skipName(bytes: Uint8Array, at: number, end: number): number {
    const next = this.#skipString(bytes, at, end)
    if (next - at > this.#limits.maxNameBytes) throw longName(this.#limits.maxNameBytes, at)
    return next
  }

  /** Returns the offset behind the type at `at`: optional, with codes of its own (draft), or a string or an int (final). */
  #skipType(bytes: Uint8Array, at: number, end: number): number {
    if (at >= end) throw truncated(end)
    const lead = bytes[at]
    if (!this.dialect.isDraft) {
      const op = this.dialect.ops[lead]
      if (op >= Op.Int1 && op <= Op.Int4) return this.#skipTypeIndex(bytes, at, end)
      this.#types++
      return this.#skipName(bytes, at, end)
    }
    if (lead === 0x75) return this.#skipTypeIndex(bytes, at + 1, end)
    if (lead !== 0x74) return at
    if (at + 3 > end) throw truncated(end)
    const next = skipUnits(bytes, at + 3, end, (bytes[at + 1] << 8) | bytes[at + 2])
    if (next - at > this.#limits.maxNameBytes) throw longName(this.#limits.maxNameBytes, at)
    this.#types++
    return next
  }

  #skipTypeIndex(bytes: Uint8Array, at: number, end: number): number {
    const index = readSize(bytes, at, end)
    if (index >= this.#types) throw noSuchType(index, at)
    return at + sizeWidth(bytes, at)
  }
}
