/** What Hessian's values are in JavaScript. Names that come from the wire are never property names of an object. */
/**
 * Any value. An int and a double are both numbers; a long is a number while it is safe (|n| < 2^53), else a bigint; a
 * Buffer is a view of the bytes that were read. A reference is the very object it refers to, so there may be cycles.
 */
export type HessianValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | HessianDate
  | HessianObject
  | HessianMap
  | HessianList

/** A point in time. Java's extremes of a long, which no calendar reaches, are rounded to the nearest double. */
export class HessianDate {
  /** Milliseconds since 1970, an integer. */
  readonly ms: number

  constructor(ms: number) {
    this.ms = ms
  }
}

/**
 * The name and the field names of a class. One definition may serve any number of messages and both dialects: what
 * a writer sends of it is encoded once.
 */
export class ClassDef {
  readonly className: string
  /** In wire order. A name may occur twice: a field of a superclass that a subclass hides. */
  readonly fields: readonly string[]
  /** What a writer sends, by dialect; filled at first use. The bytes are never changed. */
  readonly encoded: { draft: Buffer | null; final: Buffer | null } = { draft: null, final: null }
  readonly #isOwnFieldFirst: boolean

  /** `isOwnFieldFirst`: which of two fields with one name is the subclass's; a reader knows it from its dialect. */
  constructor(className: string, fields: readonly string[], isOwnFieldFirst = true) {
    this.className = className
    this.fields = fields
    this.#isOwnFieldFirst = isOwnFieldFirst
  }

  /** Position of a field, or -1. Of two fields with one name it is the one of the subclass. */
  indexOf(name: string): number {
    return this.#isOwnFieldFirst ? this.fields.indexOf(name) : this.fields.lastIndexOf(name)
  }
}

/** An object of a class. No class is ever looked up by its name: an object is its name and its fields. */
export class HessianObject {
  readonly definition: ClassDef
  /** The values of `definition.fields`, one for one. */
  readonly values: HessianValue[]

  constructor(definition: ClassDef, values: HessianValue[]) {
    this.definition = definition
    this.values = values
  }

  get className(): string {
    return this.definition.className
  }

  /** The value of a field; `undefined` when the class definition lacks it. */
  get(name: string): HessianValue | undefined {
    return this.values[this.definition.indexOf(name)]
  }

  /** The fields by name, in wire order; made anew at each call. */
  get fields(): Map<string, HessianValue> {
    const fields = new Map<string, HessianValue>()
    for (const name of this.definition.fields) fields.set(name, this.get(name) ?? null)
    return fields
  }
}

/** A map. Of two equal keys the later wins; keys that are containers or dates are equal only to themselves. */
export class HessianMap {
  /** Java's class, or `null` for a plain HashMap. */
  readonly type: string | null
  readonly entries: Map<HessianValue, HessianValue>

  constructor(type: string | null, entries: Map<HessianValue, HessianValue>) {
    this.type = type
    this.entries = entries
  }
}

/** A list, a set or an array. */
export class HessianList {
  /** Java's class or array type (`[string`), or `null` for a plain ArrayList. */
  readonly type: string | null
  readonly items: HessianValue[]

  constructor(type: string | null, items: HessianValue[]) {
    this.type = type
    this.items = items
  }
}
