/** Reads what `javap -p` prints of classes: fields, methods, type parameters, in Java's own words. */

/** One class, interface or enum. */
export interface JavaClass {
  readonly name: string
  readonly kind: 'class' | 'interface' | 'enum'
  /** With its type arguments; null when it is Object, and for interfaces and enums. */
  readonly superclass: string | null
  /** Of an interface, what it extends. */
  readonly interfaces: readonly string[]
  /** Fields of objects: neither static nor transient. Of an enum none. */
  readonly fields: readonly JavaField[]
  /** Of an enum, in order. */
  readonly constants: readonly string[]
  /** Instance methods. */
  readonly methods: readonly JavaMethod[]
}

/** Types are full names with their arguments; type variables are replaced by their bounds. */
export interface JavaField {
  readonly name: string
  readonly type: string
}

/** One method; see {@link JavaField} for its types. */
export interface JavaMethod {
  readonly name: string
  readonly parameters: readonly string[]
  readonly result: string
}

const MODIFIERS = new Set(
  'public protected private static final abstract native synchronized transient volatile default strictfp sealed non-sealed'.split(
    ' ',
  ),
)

/** The classes of a listing, in its order. Lines that are no declaration are passed over. */
export function parseJavap(text: string): JavaClass[] {
  const classes: JavaClass[] = []
  const lines = text.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    if (!/\b(class|interface)\s.*\{$/.test(lines[i])) continue
    const body: string[] = []
    let end = i + 1
    while (end < lines.length && lines[end] !== '}') body.push(lines[end++].trim())
    classes.push(parseClass(lines[i].slice(0, -1).trim(), body))
    i = end
  }
  return classes
}

function parseClass(header: string, body: readonly string[]): JavaClass {
  const { rest } = takeModifiers(header)
  const isInterface = /^@?interface\s/.test(rest)
  const declaration = rest.replace(/^@?\w+\s+/, '')
  const name = /^[\w.$]+/.exec(declaration)?.[0] ?? ''
  const [variables, clauses] = takeVariables(declaration.slice(name.length), new Map())
  const parents = clause(clauses, 'extends').map((type) => substitute(type, variables))
  const isEnum = !isInterface && parents[0]?.startsWith('java.lang.Enum<') === true
  const members = body.filter((line) => line.endsWith(';')).map((line) => line.slice(0, -1))
  const fields = members
    .filter((member) => !member.includes('('))
    .map((member) => parseField(member, variables))
  return {
    name,
    kind: isEnum ? 'enum' : isInterface ? 'interface' : 'class',
    superclass: isInterface || isEnum || parents[0] === 'java.lang.Object' ? null : (parents[0] ?? null),
    interfaces: isInterface ? parents : [],
    fields: isEnum
      ? []
      : fields.filter(({ modifiers: own, name: field }) => isInstance(own) && !/^this\$\d+$/.test(field)),
    constants: isEnum ? fields.filter((field) => isConstant(field, name)).map((field) => field.name) : [],
    methods: members
      .filter((member) => member.includes('('))
      .flatMap((member) => parseMethod(member, variables) ?? []),
  }
}

function isInstance(modifiers: ReadonlySet<string>): boolean {
  return !modifiers.has('static') && !modifiers.has('transient')
}

function isConstant(field: ParsedField, className: string): boolean {
  return field.modifiers.has('public') && field.modifiers.has('static') && field.type === className
}

interface ParsedField extends JavaField {
  readonly modifiers: ReadonlySet<string>
}

function parseField(member: string, variables: ReadonlyMap<string, string>): ParsedField {
  const { modifiers, rest } = takeModifiers(member)
  const space = rest.lastIndexOf(' ')
  return { modifiers, name: rest.slice(space + 1), type: substitute(rest.slice(0, space), variables) }
}

/** Null for constructors and static methods. */
function parseMethod(member: string, inherited: ReadonlyMap<string, string>): JavaMethod | null {
  const { modifiers, rest } = takeModifiers(member)
  if (modifiers.has('static')) return null
  const [variables, declaration] = takeVariables(rest, inherited)
  const open = declaration.indexOf('(')
  const close = declaration.lastIndexOf(')')
  const head = declaration.slice(0, open).trim()
  const space = head.lastIndexOf(' ')
  if (space < 0 || close < open) return null
  return {
    name: head.slice(space + 1),
    result: substitute(head.slice(0, space), variables),
    parameters: splitTop(declaration.slice(open + 1, close)).map((type) => substitute(type, variables)),
  }
}

function takeModifiers(text: string): { modifiers: Set<string>; rest: string } {
  const modifiers = new Set<string>()
  let rest = text.trim()
  for (;;) {
    const word = /^[\w-]+(?=\s)/.exec(rest)?.[0]
    if (word === undefined || !MODIFIERS.has(word)) return { modifiers, rest }
    modifiers.add(word)
    rest = rest.slice(word.length).trimStart()
  }
}

/** `<T extends a.B, K>` at the start of a text: each variable with its first bound, added to those known. */
function takeVariables(
  text: string,
  known: ReadonlyMap<string, string>,
): [variables: ReadonlyMap<string, string>, rest: string] {
  if (!text.startsWith('<')) return [known, text.trim()]
  const end = closing(text)
  const variables = new Map(known)
  const declared = splitTop(text.slice(1, end)).map((part) => /^([\w$]+)(?:\s+extends\s+(.*))?$/.exec(part))
  for (const match of declared) if (match !== null) variables.set(match[1], 'java.lang.Object')
  for (const match of declared) {
    const bound = match?.[2]?.split(/\s*&\s*/)[0]
    // A variable in its own bound, as in T extends Comparable<T>, is an Object there.
    if (match !== null && bound !== undefined) variables.set(match[1], substitute(bound, variables))
  }
  return [variables, text.slice(end + 1).trim()]
}

/** The types behind `extends` or `implements`. */
function clause(text: string, keyword: string): string[] {
  const match = new RegExp(`(?:^|\\s)${keyword}\\s+(.*)$`).exec(text)
  if (match === null) return []
  const others = /\s(?:implements|permits)\s/.exec(match[1])
  return splitTop(others === null ? match[1] : match[1].slice(0, others.index))
}

function substitute(type: string, variables: ReadonlyMap<string, string>): string {
  if (variables.size === 0) return type.trim()
  return type.trim().replace(/[A-Za-z_$][\w$.]*/g, (name) => {
    const vararg = name.endsWith('...') ? '...' : ''
    const bare = vararg === '' ? name : name.slice(0, -3)
    return (variables.get(bare) ?? bare) + vararg
  })
}

/** Index of the `>` that closes the `<` a text begins with. */
function closing(text: string): number {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '<') depth++
    else if (text[i] === '>' && --depth === 0) return i
  }
  return text.length
}

/** Splits at the commas outside of `<` and `>`. */
function splitTop(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '<') depth++
    else if (text[i] === '>') depth--
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i).trim())
      start = i + 1
    }
  }
  const last = text.slice(start).trim()
  return last === '' ? parts : [...parts, last]
}
