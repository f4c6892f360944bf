/** Compiled Java types: what the mapping between JSON and Hessian looks at for each value. */
import type { HessianPeer, TextForm } from './text-forms.ts'
import { ClassDef } from './values.ts'

/** How values of a type are written. */
export const JavaKind = {
  /** `Object`, `Number` and the like: the JSON value decides. */
  Any: 0,
  Boolean: 1,
  /** byte, short, int: `min` and `max` tell which. */
  Int: 2,
  Long: 3,
  Float: 4,
  Double: 5,
  Char: 6,
  String: 7,
  /** `java.math.BigDecimal`. */
  Decimal: 8,
  /** `java.math.BigInteger`. */
  BigInteger: 9,
  /** `java.util.Date`. */
  Date: 10,
  /** `java.sql.Date`, `Time`, `Timestamp`: an object around a date. */
  SqlDate: 11,
  /** `byte[]`. */
  Binary: 12,
  Enum: 13,
  /** Arrays and collections; `wireType` is their Hessian type, null for an `ArrayList`. */
  List: 14,
  /** Maps; `wireType` is null for a `HashMap`. */
  Map: 15,
  /** A described class. */
  Object: 16,
  /** A class that nobody described: a JSON object is written with the fields it has. */
  Open: 17,
  /** A class with a text form of its own: `java.time.LocalDate`, `java.util.Locale` …; see text-forms.ts. */
  Text: 18,
} as const
export type JavaKind = (typeof JavaKind)[keyof typeof JavaKind]

/** One field of a described class. */
export interface Field {
  readonly name: string
  /** The name in UTF-8, as it stands in JSON text. */
  readonly bytes: Uint8Array
  readonly type: JavaType
}

/** Subsets of fields that a class remembers: a caller who sends ever new ones must not fill the memory. */
const MAX_LAYOUTS = 64

/** One compiled type. Filled in by `TypeTable`, which has to know a class before its fields; afterwards never changed. */
export class JavaType {
  readonly kind: JavaKind
  /** In Java's words, for messages: `java.util.List<com.example.Item>`. */
  readonly name: string
  /** Cannot be null. */
  readonly isPrimitive: boolean
  /** Class or type name on the wire; null for untyped lists and maps. */
  readonly wireType: string | null
  min = 0
  max = 0
  /** Of lists the elements', of maps the values' type. */
  element: JavaType | null = null
  key: JavaType | null = null
  fields: readonly Field[] = []
  /** The class with all `fields`. */
  definition: ClassDef = NO_CLASS
  fieldIndex: ReadonlyMap<string, number> = new Map()
  constants: ReadonlySet<string> = new Set()
  /** Classes a JSON object may name in its `class` entry instead of this one, by name. */
  subtypes: ReadonlyMap<string, JavaType> = new Map()
  /** Of types of `JavaKind.Text`. */
  form: TextForm | null = null
  peer: HessianPeer = 'sofa'
  /** Objects are written as maps and enums as names, for Dubbo's generic invocation. */
  isGeneric = false
  readonly #layouts = new Map<string, ClassDef>()

  constructor(kind: JavaKind, name: string, wireType: string | null = null, isPrimitive = false) {
    this.kind = kind
    this.name = name
    this.wireType = wireType
    this.isPrimitive = isPrimitive
  }

  /** Gives an object type its fields. */
  describe(fields: readonly Field[]): void {
    this.fields = fields
    this.definition = new ClassDef(
      this.wireType ?? this.name,
      fields.map((field) => field.name),
    )
    this.fieldIndex = new Map(fields.map((field, index) => [field.name, index]))
  }

  /**
   * The class with only those fields whose entry of `slots` from `base` on is not negative. The same subset gives the
   * same definition, so that it is encoded once, as long as there are not too many of them.
   */
  layout(slots: Int32Array, base: number): ClassDef {
    let key = ''
    let bits = 0
    for (let i = 0; i < this.fields.length; i++) {
      bits = (bits << 1) | (slots[base + i] < 0 ? 0 : 1)
      if (i % 16 === 15) {
        key += String.fromCharCode(bits)
        bits = 0
      }
    }
    key += String.fromCharCode(bits)
    const known = this.#layouts.get(key)
    if (known !== undefined) return known
    const { className, fields } = this.definition
    const layout = new ClassDef(
      className,
      fields.filter((_, index) => slots[base + index] >= 0),
    )
    if (this.#layouts.size < MAX_LAYOUTS) this.#layouts.set(key, layout)
    return layout
  }
}

const NO_CLASS = new ClassDef('', [])
