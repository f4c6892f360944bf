/** Compiles type expressions and the configuration's `types:` to {@link JavaType}s. Done when a configuration is loaded. */
import type { TypeDescription, TypeDescriptions } from '../../core/route.ts'
import { type Field, JavaKind, JavaType } from './java-type.ts'
import { type HessianPeer, textFormOf } from './text-forms.ts'
import { PRIMITIVES, parseType, type TypeExpression, typeText } from './type-expression.ts'
import { ClassDef } from './values.ts'

/** One thing that is wrong with the descriptions. */
export interface TypeProblem {
  /** Below `types`: class name, then perhaps `fields` and a field's name, `extends`, `enum`. */
  readonly path: readonly string[]
  readonly message: string
}

interface Scalar {
  readonly kind: JavaKind
  readonly min: number
  readonly max: number
}

const SCALARS: ReadonlyMap<string, Scalar> = new Map(
  (
    [
      ['boolean java.lang.Boolean', JavaKind.Boolean, 0, 0],
      ['byte java.lang.Byte', JavaKind.Int, -128, 127],
      ['short java.lang.Short', JavaKind.Int, -32768, 32767],
      ['int java.lang.Integer', JavaKind.Int, -(2 ** 31), 2 ** 31 - 1],
      ['long java.lang.Long', JavaKind.Long, 0, 0],
      ['float java.lang.Float', JavaKind.Float, 0, 0],
      ['double java.lang.Double', JavaKind.Double, 0, 0],
      ['char java.lang.Character', JavaKind.Char, 0, 0],
      ['java.lang.String java.lang.CharSequence', JavaKind.String, 0, 0],
      ['java.math.BigDecimal', JavaKind.Decimal, 0, 0],
      ['java.math.BigInteger', JavaKind.BigInteger, 0, 0],
      ['java.util.Date', JavaKind.Date, 0, 0],
      ['java.sql.Date java.sql.Time java.sql.Timestamp', JavaKind.SqlDate, 0, 0],
      ['java.lang.Object java.lang.Number java.lang.Comparable java.io.Serializable', JavaKind.Any, 0, 0],
    ] as const
  ).flatMap(([names, kind, min, max]) =>
    names.split(' ').map((name): [string, Scalar] => [name, { kind, min, max }]),
  ),
)

/** Stands for a class until it is compiled. */
const PENDING = new JavaType(JavaKind.Any, '')

/** Collection → class on the wire; null is an `ArrayList`, which needs none. */
const COLLECTIONS: ReadonlyMap<string, string | null> = new Map<string, string | null>([
  ['java.lang.Iterable', null],
  ['java.util.Collection', null],
  ['java.util.List', null],
  ['java.util.ArrayList', null],
  ['java.util.AbstractList', null],
  ['java.util.Set', 'java.util.HashSet'],
  ['java.util.SortedSet', 'java.util.TreeSet'],
  ['java.util.NavigableSet', 'java.util.TreeSet'],
  ['java.util.Queue', 'java.util.LinkedList'],
  ['java.util.Deque', 'java.util.LinkedList'],
  ...ownNames([
    'java.util.HashSet',
    'java.util.LinkedHashSet',
    'java.util.TreeSet',
    'java.util.LinkedList',
    'java.util.ArrayDeque',
    'java.util.PriorityQueue',
    'java.util.Vector',
    'java.util.Stack',
    'java.util.concurrent.CopyOnWriteArrayList',
    'java.util.concurrent.CopyOnWriteArraySet',
    'java.util.concurrent.ConcurrentLinkedQueue',
  ]),
])

/** Map → class on the wire; null is a `HashMap`. */
const MAPS: ReadonlyMap<string, string | null> = new Map<string, string | null>([
  ['java.util.Map', null],
  ['java.util.HashMap', null],
  ['java.util.AbstractMap', null],
  ['java.util.SortedMap', 'java.util.TreeMap'],
  ['java.util.NavigableMap', 'java.util.TreeMap'],
  ['java.util.concurrent.ConcurrentMap', 'java.util.concurrent.ConcurrentHashMap'],
  ...ownNames([
    'java.util.LinkedHashMap',
    'java.util.TreeMap',
    'java.util.Hashtable',
    'java.util.concurrent.ConcurrentHashMap',
  ]),
])

/** Element class → its name in the Hessian type of an array. */
const ARRAY_NAMES: Readonly<Record<string, string>> = {
  'java.lang.String': 'string',
  'java.lang.Object': 'object',
  'java.util.Date': 'date',
}

/** The types of one configuration for one library, each compiled once. */
export class TypeTable {
  readonly #descriptions: TypeDescriptions
  readonly #peer: HessianPeer
  readonly #isGeneric: boolean
  readonly #types = new Map<string, JavaType>()
  readonly #subclasses: ReadonlyMap<string, readonly string[]>
  /** Every described class with fields, once a type needs them all. */
  readonly #objects = new Map<string, JavaType>()

  /** `isGeneric` makes described classes and enums look as Dubbo's generic invocation wants them. */
  constructor(descriptions: TypeDescriptions, peer: HessianPeer, isGeneric: boolean) {
    this.#descriptions = descriptions
    this.#peer = peer
    this.#isGeneric = isGeneric
    this.#subclasses = subclassesIn(descriptions)
  }

  /** Parses an expression; `where` leads the error's text. */
  parse(text: string, where: string): TypeExpression {
    try {
      return parseType(text, (name) => Object.hasOwn(this.#descriptions, name))
    } catch (error) {
      throw new Error(`${where}: ${(error as Error).message}`)
    }
  }

  /** Compiles a parsed type. Throws an `Error` for a class whose description is wrong. */
  resolve(expression: TypeExpression): JavaType {
    const text = typeText(expression)
    const known = this.#types.get(text)
    if (known !== undefined) return known
    return this.#array(expression, text) ?? this.#container(expression, text) ?? this.#plain(expression.name)
  }

  /** A class that values of `type` need and that nobody described, or null. */
  needsDescription(type: JavaType, seen = new Set<JavaType>()): string | null {
    if (seen.has(type)) return null
    seen.add(type)
    if (type.kind === JavaKind.Open) return type.name
    // What an Object may be is no need: a class is used there only when the JSON names it.
    const subtypes = type.kind === JavaKind.Object ? [...type.subtypes.values()] : []
    const inner = [type.element, type.key, ...type.fields.map((field) => field.type), ...subtypes]
    for (const part of inner) {
      const missing = part === null ? null : this.needsDescription(part, seen)
      if (missing !== null) return missing
    }
    return null
  }

  #keep(text: string, type: JavaType): JavaType {
    type.isGeneric = this.#isGeneric
    this.#types.set(text, type)
    return type
  }

  #array(expression: TypeExpression, text: string): JavaType | null {
    if (expression.dimensions === 0) return null
    if (expression.dimensions === 1 && expression.name === 'byte') {
      return this.#keep(text, new JavaType(JavaKind.Binary, text))
    }
    if (expression.dimensions === 1 && expression.name === 'char') {
      return this.#keep(text, new JavaType(JavaKind.String, text))
    }
    const base = ARRAY_NAMES[expression.name] ?? expression.name
    const type = new JavaType(JavaKind.List, text, '['.repeat(expression.dimensions) + base)
    this.#keep(text, type)
    type.element = this.resolve({ ...expression, dimensions: expression.dimensions - 1 })
    return type
  }

  #container(expression: TypeExpression, text: string): JavaType | null {
    if (Object.hasOwn(this.#descriptions, expression.name)) return null
    const collection = COLLECTIONS.get(expression.name)
    if (collection !== undefined) {
      const type = this.#keep(text, new JavaType(JavaKind.List, text, collection))
      type.element = this.#parameter(expression, 0, 1)
      return type
    }
    const map = MAPS.get(expression.name)
    if (map === undefined) return null
    const type = this.#keep(text, new JavaType(JavaKind.Map, text, map))
    type.key =
      expression.parameters.length === 0 ? this.#plain('java.lang.String') : this.#parameter(expression, 0, 2)
    type.element = this.#parameter(expression, 1, 2)
    return type
  }

  #parameter(expression: TypeExpression, index: number, count: number): JavaType {
    const { parameters } = expression
    if (parameters.length > 0 && parameters.length !== count) {
      throw new Error(`${typeText(expression)}: ${expression.name} takes ${count} type arguments`)
    }
    return parameters.length === 0 ? this.#plain('java.lang.Object') : this.resolve(parameters[index])
  }

  /** A class or primitive without regard to type arguments. */
  #plain(name: string): JavaType {
    const known = this.#types.get(name)
    if (known !== undefined) return known
    const description = Object.hasOwn(this.#descriptions, name) ? this.#descriptions[name] : undefined
    if (description !== undefined) return this.#described(name, description)
    const scalar = SCALARS.get(name)
    if (scalar !== undefined) {
      const wireType = scalar.kind === JavaKind.SqlDate ? name : null
      const type = new JavaType(scalar.kind, name, wireType, Object.hasOwn(PRIMITIVES, name))
      type.min = scalar.min
      type.max = scalar.max
      this.#keep(name, type)
      if (type.kind === JavaKind.Any) type.subtypes = this.#allObjects()
      return type
    }
    const form = textFormOf(name, this.#peer)
    if (form === null) {
      const type = this.#keep(name, new JavaType(JavaKind.Open, name, name))
      type.subtypes = this.#allObjects()
      type.element = this.#plain('java.lang.Object')
      return type
    }
    const type = new JavaType(JavaKind.Text, name, null)
    type.form = form
    type.peer = this.#peer
    return this.#keep(name, type)
  }

  #allObjects(): ReadonlyMap<string, JavaType> {
    if (this.#objects.size > 0) return this.#objects
    const names = Object.keys(this.#descriptions).filter(
      (name) => this.#descriptions[name].fields !== undefined,
    )
    // Begun before it is filled: the classes below may have fields of type Object.
    for (const name of names) this.#objects.set(name, PENDING)
    for (const name of names) this.#objects.set(name, this.#plain(name))
    return this.#objects
  }

  #described(name: string, description: TypeDescription): JavaType {
    if (description.enum !== undefined) {
      const type = this.#keep(name, new JavaType(JavaKind.Enum, name, name))
      type.constants = new Set(description.enum)
      type.definition = new ClassDef(name, ['name'])
      return type
    }
    const type = this.#keep(name, new JavaType(JavaKind.Object, name, name))
    type.describe(this.#fields(name))
    type.subtypes = new Map((this.#subclasses.get(name) ?? []).map((sub) => [sub, this.#plain(sub)]))
    return type
  }

  /** Own fields, then the superclass's; a field that hides another stands for both. */
  #fields(name: string): Field[] {
    const fields = new Map<string, Field>()
    for (const className of lineage(name, this.#descriptions)) {
      for (const [field, text] of Object.entries(this.#descriptions[className].fields ?? {})) {
        if (fields.has(field)) continue
        const expression = this.parse(text, `types.${className}.fields.${field}`)
        fields.set(field, { name: field, bytes: Buffer.from(field), type: this.resolve(expression) })
      }
    }
    return [...fields.values()]
  }
}

/** Everything that is wrong with the descriptions; empty when they can be used. */
export function typeProblems(descriptions: TypeDescriptions): TypeProblem[] {
  const problems: TypeProblem[] = []
  const table = new TypeTable(descriptions, 'sofa', false)
  for (const [name, description] of Object.entries(descriptions)) {
    const report = (path: readonly string[], message: string) =>
      problems.push({ path: [name, ...path], message })
    if ((description.fields === undefined) === (description.enum === undefined)) {
      report([], 'give either fields or enum')
    }
    if (description.enum !== undefined && description.extends !== undefined) {
      report(['extends'], 'an enum extends nothing')
    }
    if (description.enum?.length === 0) report(['enum'], 'name at least one constant')
    try {
      lineage(name, descriptions)
    } catch (error) {
      report(['extends'], (error as Error).message)
    }
    for (const [field, text] of Object.entries(description.fields ?? {})) {
      try {
        table.parse(text, field)
      } catch (error) {
        report(['fields', field], (error as Error).message.slice(field.length + 2))
      }
    }
  }
  return problems
}

/** A described class and its described superclasses, nearest first. Throws for a circle or an unknown superclass. */
function lineage(name: string, descriptions: TypeDescriptions): string[] {
  const line = [name]
  for (let at = descriptions[name]?.extends; at !== undefined; at = descriptions[at].extends) {
    if (line.includes(at)) throw new Error(`${[...line, at].join(' extends ')}: a class cannot extend itself`)
    const parent = Object.hasOwn(descriptions, at) ? descriptions[at] : undefined
    if (parent === undefined) {
      throw new Error(
        `${line.at(-1)} extends ${at}, which is not described; describe it or leave "extends" out`,
      )
    }
    if (parent.enum !== undefined) throw new Error(`${line.at(-1)} extends ${at}, which is an enum`)
    line.push(at)
  }
  return line
}

/** Class → the described classes below it. Ignores what {@link lineage} refuses. */
function subclassesIn(descriptions: TypeDescriptions): ReadonlyMap<string, readonly string[]> {
  const subclasses = new Map<string, string[]>()
  for (const name of Object.keys(descriptions)) {
    const seen = new Set([name])
    for (let at = descriptions[name].extends; at !== undefined && !seen.has(at); ) {
      seen.add(at)
      subclasses.set(at, [...(subclasses.get(at) ?? []), name])
      at = Object.hasOwn(descriptions, at) ? descriptions[at].extends : undefined
    }
  }
  return subclasses
}

function ownNames(names: readonly string[]): [string, string][] {
  return names.map((name): [string, string] => [name, name])
}
