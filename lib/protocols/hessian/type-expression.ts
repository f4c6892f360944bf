/** Java type expressions as a configuration writes them: `int`, `String[]`, `java.util.Map<String, com.example.Item>`. */

/** One parsed type. */
export interface TypeExpression {
  /** Full name of the class or primitive, without arguments and dimensions: `int`, `java.util.List`. */
  readonly name: string
  /** Type arguments in order, wildcards replaced by their bounds; empty for a raw or plain type. */
  readonly parameters: readonly TypeExpression[]
  /** 0, or how many `[]` follow. */
  readonly dimensions: number
}

/** Primitive type → its letter in JVM descriptors. */
export const PRIMITIVES: Readonly<Record<string, string>> = {
  boolean: 'Z',
  byte: 'B',
  char: 'C',
  short: 'S',
  int: 'I',
  long: 'J',
  float: 'F',
  double: 'D',
}

const LANG = [
  'Object String Boolean Byte Character Short Integer Long Float Double Number CharSequence',
  'Iterable Comparable Enum Class StringBuilder StringBuffer Throwable Exception RuntimeException',
]
const UTIL = [
  'Collection List ArrayList LinkedList Vector Stack Set HashSet LinkedHashSet SortedSet NavigableSet TreeSet',
  'Queue Deque ArrayDeque PriorityQueue Map HashMap LinkedHashMap SortedMap NavigableMap TreeMap Hashtable',
  'Date UUID Locale',
]

/** Short forms: simple name → full name. */
export const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ...namesIn('java.lang', LANG),
  ...namesIn('java.util', UTIL),
  ...namesIn('java.util.concurrent', ['ConcurrentMap ConcurrentHashMap']),
  ...namesIn('java.math', ['BigDecimal BigInteger']),
  ...namesIn('java.time', ['LocalDate LocalTime LocalDateTime Instant']),
  ...namesIn('java.io', ['Serializable']),
])

const OBJECT: TypeExpression = { name: 'java.lang.Object', parameters: [], dimensions: 0 }

/** Longest expression, and deepest nesting of type arguments, that is parsed. */
const MAX_LENGTH = 1000
const MAX_DEPTH = 16
/** What a class file allows. */
const MAX_DIMENSIONS = 255

/**
 * Parses one expression. `isKnown` tells whether a name without a package is a class all the same (a described class of
 * the default package). Throws an `Error` that quotes the expression and says what is wrong with it.
 */
export function parseType(text: string, isKnown: (name: string) => boolean = () => false): TypeExpression {
  return new TypeParser(text, isKnown).parse()
}

/** `Class.getName()` of the erased type. */
export function signatureOf(type: TypeExpression): string {
  if (type.dimensions === 0) return type.name
  const letter = PRIMITIVES[type.name]
  return '['.repeat(type.dimensions) + (letter ?? `L${type.name};`)
}

/** JVM descriptor of the erased type. */
export function descriptorOf(type: TypeExpression): string {
  const letter = PRIMITIVES[type.name]
  return '['.repeat(type.dimensions) + (letter ?? `L${type.name.replaceAll('.', '/')};`)
}

/** The expression in full names, as messages show it and caches compare it. */
export function typeText(type: TypeExpression): string {
  const parameters = type.parameters.length === 0 ? '' : `<${type.parameters.map(typeText).join(', ')}>`
  return type.name + parameters + '[]'.repeat(type.dimensions)
}

function namesIn(namespace: string, lines: readonly string[]): [string, string][] {
  return lines.flatMap((line) =>
    line.split(' ').map((name): [string, string] => [name, `${namespace}.${name}`]),
  )
}

class TypeParser {
  readonly #text: string
  readonly #isKnown: (name: string) => boolean
  #at = 0

  constructor(text: string, isKnown: (name: string) => boolean) {
    this.#text = text
    this.#isKnown = isKnown
  }

  parse(): TypeExpression {
    if (this.#text.length > MAX_LENGTH) this.#fail(`it is longer than ${MAX_LENGTH} characters`)
    const type = this.#type(0)
    this.#space()
    if (this.#at < this.#text.length) this.#fail(`${this.#found()} at ${this.#at} is too much`)
    return type
  }

  #type(depth: number): TypeExpression {
    if (depth > MAX_DEPTH) this.#fail(`types are nested deeper than ${MAX_DEPTH}`)
    this.#space()
    if (this.#text[this.#at] === '?') return this.#wildcard(depth)
    const name = this.#name()
    const parameters = this.#arguments(depth)
    const dimensions = this.#dimensions()
    if (name === 'void') this.#fail('void is no type of a value')
    if (Object.hasOwn(PRIMITIVES, name)) {
      if (parameters.length > 0) this.#fail(`${name} takes no type arguments`)
      if (depth > 0 && dimensions === 0) this.#fail(`${name} cannot be a type argument; use its class`)
    }
    return { name, parameters, dimensions }
  }

  /** `?`, `? extends X`, `? super X`. */
  #wildcard(depth: number): TypeExpression {
    if (depth === 0) this.#fail('"?" stands only between "<" and ">"')
    this.#at++
    this.#space()
    const bound = /^(?:extends|super)\s+/.exec(this.#text.slice(this.#at))
    if (bound === null) return OBJECT
    this.#at += bound[0].length
    return this.#type(depth)
  }

  #name(): string {
    const match = /^[\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}_$][\p{L}\p{N}_$]*)*/u.exec(this.#text.slice(this.#at))
    if (match === null) return this.#fail(`a type is expected at ${this.#at}, not ${this.#found()}`)
    this.#at += match[0].length
    return this.#fullName(match[0])
  }

  #fullName(name: string): string {
    if (name.includes('.') || Object.hasOwn(PRIMITIVES, name) || name === 'void') return name
    if (this.#isKnown(name)) return name
    const full = SHORT_NAMES.get(name)
    if (full !== undefined) return full
    // A type variable is erased to its bound, which an expression does not tell.
    if (/^[A-Z]\d?$/.test(name)) return OBJECT.name
    return this.#fail(`${name} has no package and is no short form; write its full name`)
  }

  #arguments(depth: number): TypeExpression[] {
    this.#space()
    if (this.#text[this.#at] !== '<') return []
    this.#at++
    const parameters: TypeExpression[] = []
    for (;;) {
      parameters.push(this.#type(depth + 1))
      this.#space()
      const next = this.#text[this.#at]
      if (next !== ',' && next !== '>')
        this.#fail(`"," or ">" is expected at ${this.#at}, not ${this.#found()}`)
      this.#at++
      if (next === '>') return parameters
    }
  }

  #dimensions(): number {
    const match = /^(?:\s*\[\s*\])*(?:\s*\.\.\.)?/.exec(this.#text.slice(this.#at))
    const text = match === null ? '' : match[0]
    this.#at += text.length
    const dimensions = text.split('[').length - 1 + (text.endsWith('...') ? 1 : 0)
    if (dimensions > MAX_DIMENSIONS) this.#fail(`it has more than ${MAX_DIMENSIONS} dimensions`)
    return dimensions
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++
  }

  #found(): string {
    return this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : 'the end'
  }

  #fail(why: string): never {
    throw new Error(`${JSON.stringify(this.#text.slice(0, 100))} is no Java type: ${why}`)
  }
}
