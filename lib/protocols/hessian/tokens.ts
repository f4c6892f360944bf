import { ClassCache } from './class-cache.ts'
import { type Dialect, Kind, Op } from './dialect.ts'
import { DEFAULT_LIMITS, HessianError, type HessianLimits } from './limits.ts'
import { HessianCursor } from './prefix.ts'
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
import { decodeUnits, skipUnits } from './text.ts'
import { ClassDef } from './values.ts'

/**
 * Reads a stream piece by piece: the tables of one stream and a place within its containers. Not used by itself:
 * `HessianReader` adds whole values to it.
 */
export class HessianTokens extends HessianCursor {
  readonly limits: HessianLimits
  /** Elements that the list entered last announced, or -1 when it ends with a mark. */
  listLength = -1
  readonly #left: Int32Array
  readonly #ends: Uint8Array
  #depth = 0
  #elements = 0
  #slots = 0
  readonly #classes: ClassDef[] = []
  /** Definitions by their bytes; outlives a reset, so that one class is one ClassDef in all messages. */
  readonly #known = new ClassCache<ClassDef>()
  readonly #types: string[] = []

  constructor(dialect: Dialect, limits: HessianLimits = DEFAULT_LIMITS) {
    super(dialect)
    this.limits = limits
    this.#left = new Int32Array(limits.maxDepth + 1)
    this.#ends = new Uint8Array(limits.maxDepth + 1)
  }

  override reset(bytes: Buffer, offset: number, end: number): void {
    super.reset(bytes, offset, end)
    this.listLength = -1
    this.#depth = 0
    this.#elements = 0
    this.#slots = 0
    if (this.#classes.length > 0) this.#classes.length = 0
    if (this.#types.length > 0) this.#types.length = 0
  }

  /** How many containers are open. */
  get depth(): number {
    return this.#depth
  }

  /** Containers that have begun: the index of the one entered last is one less. */
  get slots(): number {
    return this.#slots
  }

  /** The kind of the next value; class definitions in front of it are taken in. Never Invalid, End or ClassDef. */
  peekKind(): Kind {
    let kind = this.kindAhead()
    while (kind === Kind.ClassDef) {
      this.#readClass()
      kind = this.kindAhead()
    }
    if (kind === Kind.Invalid || kind === Kind.End) throw notAValue(this.bytes, this.position, this.dialect)
    return kind
  }

  /**
   * Whether the container entered last has another value (of a map: another key, whose value follows without a
   * question). When it has not, it is left, its end mark read.
   */
  hasNext(): boolean {
    const depth = this.#depth
    const ends = this.#ends[depth]
    if (ends >= Ends.Mark) {
      if (this.lead() !== this.dialect.end) {
        this.#count(ends === Ends.MarkAtKey ? 2 : 1, this.position)
        return true
      }
      this.position++
    } else {
      if (this.#left[depth] > 0) {
        this.#left[depth]--
        return true
      }
      if (ends === Ends.CountedMark) {
        if (this.lead() !== this.dialect.end)
          throw new HessianError('a list is longer than it says', this.position)
        this.position++
      }
    }
    this.#depth--
    return false
  }

  /** Enters an object, and returns its class. As many values follow as it has fields. */
  enterObject(): ClassDef {
    const kind = this.peekKind()
    const at = this.position
    const lead = this.bytes[at]
    if (kind !== Kind.Object) throw unexpected('an object', lead, at)
    this.position++
    const index = this.dialect.ops[lead] === Op.ObjectShort ? lead & 0x0f : this.#readSize()
    if (index >= this.#classes.length) throw noSuchClass(index, at)
    const definition = this.#classes[index]
    this.#open(definition.fields.length, Ends.Counted, at)
    return definition
  }

  /** Enters a map, and returns Java's class, or `null` for a plain one. */
  enterMap(): string | null {
    const kind = this.peekKind()
    const at = this.position
    const op = this.dialect.ops[this.bytes[at]]
    if (kind !== Kind.Map) throw unexpected('a map', this.bytes[at], at)
    this.position++
    const type = op === Op.MapUntyped ? null : this.#readType()
    this.#open(0, Ends.MarkAtKey, at)
    return type
  }

  /** Enters a list, and returns Java's class or array type, or `null` for a plain one; sets `listLength`. */
  enterList(): string | null {
    const kind = this.peekKind()
    const at = this.position
    const lead = this.bytes[at]
    if (kind !== Kind.List) throw unexpected('a list', lead, at)
    this.position++
    switch (this.dialect.ops[lead]) {
      case Op.ListUntypedShort:
        return this.#openList(null, lead & 0x07, Ends.Counted, at)
      case Op.ListUntyped:
        return this.#openList(null, this.#readSize(), Ends.Counted, at)
      case Op.ListTypedShort:
        return this.#openList(this.#readType(), lead & 0x07, Ends.Counted, at)
      case Op.ListTyped: {
        const type = this.#readType()
        return this.#openList(type, this.#readSize(), Ends.Counted, at)
      }
      case Op.ListRepeated: {
        const type = this.#readKnownType()
        return this.#openList(type, this.#readSize(), Ends.Counted, at)
      }
      case Op.ListUntypedOpen:
        return this.#openList(null, -1, Ends.Mark, at)
      case Op.ListTypedOpen:
        return this.#openList(this.#readType(), -1, Ends.Mark, at)
      default:
        return this.#enterDraftList(at)
    }
  }

  /** Draft: an optional type, an optional length. */
  #enterDraftList(at: number): string | null {
    const type = this.#readType()
    const lead = this.lead()
    if (lead === 0x6e) return this.#openList(type, this.bytes[this.take(2) + 1], Ends.CountedMark, at)
    if (lead !== 0x6c) return this.#openList(type, -1, Ends.Mark, at)
    const length = read32(this.bytes, this.take(5) + 1)
    checkLength(length, this.position, this.end)
    return this.#openList(type, length, Ends.CountedMark, at)
  }

  #openList(type: string | null, length: number, ends: number, at: number): string | null {
    if (length > 0) checkLength(length, this.position, this.end)
    this.#open(Math.max(length, 0), ends, at)
    this.listLength = length
    return type
  }

  #open(count: number, ends: number, at: number): void {
    if (this.#depth === this.limits.maxDepth) throw tooDeep(this.limits.maxDepth, at)
    this.#count(count, at)
    this.#slots++
    this.#depth++
    this.#left[this.#depth] = count
    this.#ends[this.#depth] = ends
  }

  #count(elements: number, at: number): void {
    this.#elements += elements
    if (this.#elements > this.limits.maxElements) throw tooMany(this.limits.maxElements, 'elements', at)
  }

  /** The index of an earlier container. */
  readRefIndex(): number {
    const kind = this.peekKind()
    const at = this.position
    const lead = this.bytes[at]
    if (kind !== Kind.Ref) throw unexpected('a reference', lead, at)
    const index = this.#refIndex(this.dialect.ops[lead])
    if (index < 0 || index >= this.#slots) throw noSuchSlot(index, at)
    return index
  }

  #refIndex(op: number): number {
    const { bytes } = this
    if (op === Op.Ref1) return bytes[this.take(2) + 1]
    if (op === Op.Ref2) {
      const at = this.take(3)
      return (bytes[at + 1] << 8) | bytes[at + 2]
    }
    if (op === Op.Ref4) return read32(bytes, this.take(5) + 1)
    this.position++
    return this.#readSize()
  }

  #readSize(): number {
    const size = readSize(this.bytes, this.position, this.end)
    this.position += sizeWidth(this.bytes, this.position)
    return size
  }

  #readClass(): void {
    const at = this.position
    const { maxClasses, maxFields } = this.limits
    if (this.#classes.length === maxClasses) throw tooMany(maxClasses, 'classes', at)
    const known = this.#known.find(this.bytes, at, this.end)
    if (known !== undefined) {
      this.position = at + this.#known.width
      this.#classes.push(known)
      return
    }
    this.position++
    const className = this.dialect.isDraft
      ? this.#readUnits(this.position, this.#readSize(), at)
      : this.#readName()
    const start = this.position
    const count = this.#readSize()
    if (count > maxFields) throw tooManyFields(maxFields, start)
    const fields: string[] = []
    for (let i = 0; i < count; i++) fields.push(this.#readName())
    const definition = new ClassDef(className, fields, this.dialect.isOwnFieldFirst)
    this.#known.add(this.bytes, at, this.position, definition)
    this.#classes.push(definition)
  }

  #readName(): string {
    const at = this.position
    const name = this.readString()
    if (this.position - at > this.limits.maxNameBytes) throw longName(this.limits.maxNameBytes, at)
    return name
  }

  /** `count` units that begin here; they and what stands from `from` on are one name. */
  #readUnits(from: number, count: number, at: number): string {
    const start = this.position
    const next = skipUnits(this.bytes, start, this.end, count)
    if (next - from > this.limits.maxNameBytes) throw longName(this.limits.maxNameBytes, at)
    this.position = next
    return decodeUnits(this.bytes, start, next, count)
  }

  /**
   * The type of a map or a list. In the draft dialect it is optional and has codes of its own. Java's reader would take
   * 0x54 for one more of them; no writer emits that, but a map whose first key is true begins so, and here it is true.
   */
  #readType(): string | null {
    const at = this.position
    const lead = this.lead()
    if (!this.dialect.isDraft) {
      const op = this.dialect.ops[lead]
      return op >= Op.Int1 && op <= Op.Int4 ? this.#readKnownType() : this.#addType(this.#readName())
    }
    if (lead === 0x75) {
      this.position++
      return this.#readKnownType()
    }
    if (lead !== 0x74) return null
    this.take(3)
    const count = (this.bytes[at + 1] << 8) | this.bytes[at + 2]
    return this.#addType(this.#readUnits(at, count, at))
  }

  #addType(type: string): string {
    this.#types.push(type)
    return type
  }

  #readKnownType(): string {
    const at = this.position
    const index = this.#readSize()
    if (index >= this.#types.length) throw noSuchType(index, at)
    return this.#types[index]
  }
}
