/** How objects of a class look in JSON, decided by the class's name and fields as the wire defines them. */
import type { TypeDescriptions } from '../../core/route.ts'
import { HANDLE_PACKAGES } from './text-forms.ts'
import type { ClassDef } from './values.ts'

/** The forms of an object. */
export const Form = {
  /** A JSON object of its fields. */
  Fields: 0,
  /** The value of one field stands for the object: an enum's name, a timestamp's date. */
  One: 1,
  /** `java.math.BigDecimal`: one field with the digits. */
  Decimal: 2,
  /** `java.math.BigInteger`: sign and magnitude. */
  BigInteger: 3,
  /** A handle of `java.time`. */
  Time: 4,
  /** An exception: never with its stack. */
  Throwable: 5,
} as const
export type Form = (typeof Form)[keyof typeof Form]

/** How the objects of one class definition are written. */
export interface ClassShape {
  readonly definition: ClassDef
  readonly form: Form
  /** `"name":` of each field in wire order; null for one that is left out. */
  readonly keys: readonly (Uint8Array | null)[]
  /** The field that matters in `Form.One`, `Form.Decimal` and `Form.Throwable`. */
  readonly field: number
  /** `"class":"com.example.Order"`. */
  readonly classMember: Uint8Array
}

/** Shapes that are kept; definitions come from the network. */
const MAX_SHAPES = 1_000
/** Handle class, without its package → the field that is its value. */
const HANDLE_FIELDS: ReadonlyMap<string, string> = new Map([
  ['LocaleHandle', 'value'],
  ['CalendarHandle', 'date'],
  ['EnumSetHandler', 'objects'],
])

/** The shapes of one route's results. */
export class ClassShapes {
  readonly #types: TypeDescriptions
  /** By definition; a reader gives the same one for one class in all messages. */
  readonly #shapes = new Map<ClassDef, ClassShape>()

  constructor(types: TypeDescriptions) {
    this.#types = types
  }

  /** The shape of a class definition. */
  of(definition: ClassDef): ClassShape {
    const known = this.#shapes.get(definition)
    if (known !== undefined) return known
    if (this.#shapes.size === MAX_SHAPES) this.#shapes.clear()
    const shape = this.#make(definition)
    this.#shapes.set(definition, shape)
    return shape
  }

  #make(definition: ClassDef): ClassShape {
    const { className, fields } = definition
    const [form, name] = this.#form(className, fields)
    return {
      definition,
      form,
      keys: fields.map((field, index) => (isShown(definition, field, index) ? keyOf(field) : null)),
      field: name === '' ? -1 : fields.indexOf(name),
      classMember: Buffer.from(`"class":${JSON.stringify(className)}`),
    }
  }

  #form(className: string, fields: readonly string[]): [form: Form, field: string] {
    const has = (name: string) => fields.includes(name)
    if (has('stackTrace') && has('detailMessage')) return [Form.Throwable, 'detailMessage']
    const handle = handleName(className)
    if (handle !== null) return handleForm(handle, fields)
    if (className === 'java.math.BigDecimal' && has('value')) return [Form.Decimal, 'value']
    if (className === 'java.math.BigInteger' && has('signum') && has('mag')) return [Form.BigInteger, '']
    const isJava = className.startsWith('java.')
    if (isJava && fields.length === 1 && has('value')) return [Form.One, 'value']
    return this.#isEnum(className, fields) ? [Form.One, 'name'] : [Form.Fields, '']
  }

  /** Enums have one field, `name`. So may a class: a description tells them apart, without one it is taken for an enum. */
  #isEnum(className: string, fields: readonly string[]): boolean {
    if (fields.length !== 1 || fields[0] !== 'name') return false
    return !Object.hasOwn(this.#types, className) || this.#types[className].fields === undefined
  }
}

function handleForm(handle: string, fields: readonly string[]): [form: Form, field: string] {
  if (handle.startsWith('java8.')) return [Form.Time, '']
  const field = HANDLE_FIELDS.get(handle)
  return field !== undefined && fields.includes(field) ? [Form.One, field] : [Form.Fields, '']
}

/** A handle's class without its package; null for other classes. */
export function handleName(className: string): string | null {
  for (const prefix of Object.values(HANDLE_PACKAGES)) {
    if (className.startsWith(prefix)) return className.slice(prefix.length)
  }
  return null
}

/** Hidden are the outer object of an inner class, and all but one field of the same name. */
function isShown(definition: ClassDef, field: string, index: number): boolean {
  return !/^this\$\d+$/.test(field) && definition.indexOf(field) === index
}

function keyOf(field: string): Uint8Array {
  return Buffer.from(`${JSON.stringify(field)}:`)
}
