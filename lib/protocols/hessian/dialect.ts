/**
 * The two byte languages that are called Hessian 2, as tables over the first byte of a value:
 *
 * - *draft* (Hessian 3.2 draft 2): SOFARPC over Bolt.
 * - *final* (Hessian 2.0): Dubbo, and everything called hessian4.
 *
 * They share most scalars and use the same codes with other meanings for the rest, so bytes do not tell which of
 * the two they are: the dialect belongs to the protocol. docs/protocols/hessian.md has both tables.
 */

/** What the first byte of a value means: one row for each form on the wire. */
export const Op = {
  Invalid: 0,
  Null: 1,
  True: 2,
  False: 3,
  /** Value in the first byte. */
  Int1: 4,
  /** Three bits or more in the first byte, the rest in one byte behind it. */
  Int2: 5,
  Int3: 6,
  /** Four bytes behind the first. */
  Int4: 7,
  Long1: 8,
  Long2: 9,
  Long3: 10,
  Long4: 11,
  Long8: 12,
  DoubleZero: 13,
  DoubleOne: 14,
  DoubleByte: 15,
  DoubleShort: 16,
  /** Draft: bits of a 32-bit float. */
  DoubleFloat: 17,
  /** Final: a 32-bit count of thousandths. */
  DoubleMills: 18,
  Double8: 19,
  DateMillis: 20,
  DateMinutes: 21,
  /** Length in the first byte. */
  StringShort: 22,
  /** Final: ten bits of length. */
  StringMedium: 23,
  /** Sixteen bits of length; the last piece. */
  StringFinal: 24,
  /** Sixteen bits of length; another piece follows. */
  StringChunk: 25,
  BinaryShort: 26,
  BinaryMedium: 27,
  BinaryFinal: 28,
  BinaryChunk: 29,
  ClassDef: 30,
  /** Class in the first byte. */
  ObjectShort: 31,
  /** Class as an int behind the first byte. */
  Object: 32,
  /** Draft: the type is optional. */
  MapDraft: 33,
  MapTyped: 34,
  MapUntyped: 35,
  /** Draft: type and length are optional. */
  ListDraft: 36,
  /** Draft: a known type and a length as ints, no end mark. */
  ListRepeated: 37,
  ListTypedShort: 38,
  ListTyped: 39,
  ListUntypedShort: 40,
  ListUntyped: 41,
  /** Until the end mark. */
  ListTypedOpen: 42,
  ListUntypedOpen: 43,
  /** Draft: one byte of index. */
  Ref1: 44,
  /** Draft: two bytes of index. */
  Ref2: 45,
  /** Draft: four bytes of index. */
  Ref4: 46,
  /** Final: the index is an int. */
  Ref: 47,
  /** End of a map or of a list without a length. */
  End: 48,
  /** Draft: a remote reference, which nothing here follows. */
  Remote: 49,
  /** Draft: XML text. */
  Xml: 50,
} as const

/** What kind of value a first byte begins. */
export const Kind = {
  /** No value begins so. */
  Invalid: 0,
  Null: 1,
  Boolean: 2,
  Int: 3,
  Long: 4,
  Double: 5,
  Date: 6,
  String: 7,
  Binary: 8,
  Object: 9,
  Map: 10,
  List: 11,
  /** The same list, map or object as an earlier one. */
  Ref: 12,
  /** The end mark of a container. */
  End: 13,
  /** A class definition: no value, but what may stand in front of one. */
  ClassDef: 14,
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

/** One of the two languages: tables for readers, codes for writers. */
export interface Dialect {
  readonly name: 'draft' | 'final'
  readonly isDraft: boolean
  /** First byte → row of `Op`. */
  readonly ops: Uint8Array
  /** First byte → row of `Kind`. */
  readonly kinds: Uint8Array
  /** First byte → bytes of the whole value, where that byte alone says so and the value is no container; else 0. */
  readonly widths: Uint8Array
  /** Whether Java writes a class's own fields before inherited ones, which may bear the same names. */
  readonly isOwnFieldFirst: boolean
  readonly end: number
  readonly long4: number
  readonly doubleZero: number
  readonly doubleOne: number
  readonly doubleByte: number
  readonly doubleShort: number
  readonly dateMillis: number
  readonly stringChunk: number
  readonly binaryChunk: number
  readonly classDef: number
}

/** First byte, last byte, row of `Op`. */
type Row = readonly [first: number, last: number, op: number]

const SHARED: readonly Row[] = [
  [0x00, 0x1f, Op.StringShort],
  [0x20, 0x2f, Op.BinaryShort],
  [0x38, 0x3f, Op.Long3],
  [0x42, 0x42, Op.BinaryFinal],
  [0x44, 0x44, Op.Double8],
  [0x46, 0x46, Op.False],
  [0x49, 0x49, Op.Int4],
  [0x4c, 0x4c, Op.Long8],
  [0x4e, 0x4e, Op.Null],
  [0x53, 0x53, Op.StringFinal],
  [0x54, 0x54, Op.True],
  [0x80, 0xbf, Op.Int1],
  [0xc0, 0xcf, Op.Int2],
  [0xd0, 0xd7, Op.Int3],
  [0xd8, 0xef, Op.Long1],
  [0xf0, 0xff, Op.Long2],
]

const DRAFT: readonly Row[] = [
  [0x4a, 0x4a, Op.Ref1],
  [0x4b, 0x4b, Op.Ref2],
  [0x4d, 0x4d, Op.MapDraft],
  [0x4f, 0x4f, Op.ClassDef],
  [0x52, 0x52, Op.Ref4],
  [0x56, 0x56, Op.ListDraft],
  [0x58, 0x58, Op.Xml],
  [0x62, 0x62, Op.BinaryChunk],
  [0x64, 0x64, Op.DateMillis],
  [0x67, 0x67, Op.DoubleZero],
  [0x68, 0x68, Op.DoubleOne],
  [0x69, 0x69, Op.DoubleByte],
  [0x6a, 0x6a, Op.DoubleShort],
  [0x6b, 0x6b, Op.DoubleFloat],
  [0x6f, 0x6f, Op.Object],
  [0x72, 0x72, Op.Remote],
  [0x73, 0x73, Op.StringChunk],
  [0x76, 0x76, Op.ListRepeated],
  [0x77, 0x77, Op.Long4],
  [0x78, 0x78, Op.Xml],
  [0x7a, 0x7a, Op.End],
]

const FINAL: readonly Row[] = [
  [0x30, 0x33, Op.StringMedium],
  [0x34, 0x37, Op.BinaryMedium],
  [0x41, 0x41, Op.BinaryChunk],
  [0x43, 0x43, Op.ClassDef],
  [0x48, 0x48, Op.MapUntyped],
  [0x4a, 0x4a, Op.DateMillis],
  [0x4b, 0x4b, Op.DateMinutes],
  [0x4d, 0x4d, Op.MapTyped],
  [0x4f, 0x4f, Op.Object],
  [0x51, 0x51, Op.Ref],
  [0x52, 0x52, Op.StringChunk],
  [0x55, 0x55, Op.ListTypedOpen],
  [0x56, 0x56, Op.ListTyped],
  [0x57, 0x57, Op.ListUntypedOpen],
  [0x58, 0x58, Op.ListUntyped],
  [0x59, 0x59, Op.Long4],
  [0x5a, 0x5a, Op.End],
  [0x5b, 0x5b, Op.DoubleZero],
  [0x5c, 0x5c, Op.DoubleOne],
  [0x5d, 0x5d, Op.DoubleByte],
  [0x5e, 0x5e, Op.DoubleShort],
  [0x5f, 0x5f, Op.DoubleMills],
  [0x60, 0x6f, Op.ObjectShort],
  [0x70, 0x77, Op.ListTypedShort],
  [0x78, 0x7f, Op.ListUntypedShort],
]

/** Ops from the first to the last → kind. In the order of `Op`. */
const KINDS: readonly (readonly [first: number, last: number, kind: Kind])[] = [
  [Op.Null, Op.Null, Kind.Null],
  [Op.True, Op.False, Kind.Boolean],
  [Op.Int1, Op.Int4, Kind.Int],
  [Op.Long1, Op.Long8, Kind.Long],
  [Op.DoubleZero, Op.Double8, Kind.Double],
  [Op.DateMillis, Op.DateMinutes, Kind.Date],
  [Op.StringShort, Op.StringChunk, Kind.String],
  [Op.BinaryShort, Op.BinaryChunk, Kind.Binary],
  [Op.ClassDef, Op.ClassDef, Kind.ClassDef],
  [Op.ObjectShort, Op.Object, Kind.Object],
  [Op.MapDraft, Op.MapUntyped, Kind.Map],
  [Op.ListDraft, Op.ListUntypedOpen, Kind.List],
  [Op.Ref1, Op.Ref, Kind.Ref],
  [Op.End, Op.End, Kind.End],
]

/** Op → bytes of the value with its first byte. */
const WIDTHS: readonly (readonly [op: number, width: number])[] = [
  [Op.Null, 1],
  [Op.True, 1],
  [Op.False, 1],
  [Op.Int1, 1],
  [Op.Int2, 2],
  [Op.Int3, 3],
  [Op.Int4, 5],
  [Op.Long1, 1],
  [Op.Long2, 2],
  [Op.Long3, 3],
  [Op.Long4, 5],
  [Op.Long8, 9],
  [Op.DoubleZero, 1],
  [Op.DoubleOne, 1],
  [Op.DoubleByte, 2],
  [Op.DoubleShort, 3],
  [Op.DoubleFloat, 5],
  [Op.DoubleMills, 5],
  [Op.Double8, 9],
  [Op.DateMillis, 9],
  [Op.DateMinutes, 5],
]

function tables(rows: readonly Row[]): Pick<Dialect, 'ops' | 'kinds' | 'widths'> {
  const ops = new Uint8Array(256)
  for (const [first, last, op] of rows) ops.fill(op, first, last + 1)
  const kinds = ops.map((op) => KINDS.find(([first, last]) => op >= first && op <= last)?.[2] ?? Kind.Invalid)
  const widths = ops.map((op, lead) => {
    if (op === Op.BinaryShort) return 1 + (lead & 0x0f)
    return WIDTHS.find((row) => row[0] === op)?.[1] ?? 0
  })
  return { ops, kinds, widths }
}

/** Hessian 3.2 draft 2, as SOFARPC writes it (sofa-hessian 3.x). */
export const draft: Dialect = {
  name: 'draft',
  isDraft: true,
  ...tables([...SHARED, ...DRAFT]),
  isOwnFieldFirst: true,
  end: 0x7a,
  long4: 0x77,
  doubleZero: 0x67,
  doubleOne: 0x68,
  doubleByte: 0x69,
  doubleShort: 0x6a,
  dateMillis: 0x64,
  stringChunk: 0x73,
  binaryChunk: 0x62,
  classDef: 0x4f,
}

/** Hessian 2.0, as Dubbo writes it (hessian-lite). */
export const final: Dialect = {
  name: 'final',
  isDraft: false,
  ...tables([...SHARED, ...FINAL]),
  isOwnFieldFirst: false,
  end: 0x5a,
  long4: 0x59,
  doubleZero: 0x5b,
  doubleOne: 0x5c,
  doubleByte: 0x5d,
  doubleShort: 0x5e,
  dateMillis: 0x4a,
  stringChunk: 0x52,
  binaryChunk: 0x41,
  classDef: 0x43,
}
