/** Turns Java classes into the `types:` and `routes:` of a configuration. */
import { parseType, SHORT_NAMES, type TypeExpression } from '../protocols/hessian/type-expression.ts'
import type { JavaClass, JavaMethod } from './javap.ts'

const SHORTER: ReadonlyMap<string, string> = new Map([...SHORT_NAMES].map(([short, full]) => [full, short]))
/** Words that YAML readers take for something else than text. */
const NO_TEXT = /^(?:true|false|null|yes|no|on|off|y|n|~)$/i

/** Whether a class is the project's own: not Java's, no primitive. */
export function isOwnClass(name: string): boolean {
  return name.includes('.') && !/^(?:java|javax|jdk|sun|com\.sun|kotlin|scala)\./.test(name)
}

/** The project's own classes that an expression names, arguments included. */
export function classesIn(text: string): string[] {
  const type = parsed(text)
  return type === null ? [] : namesIn(type).filter(isOwnClass)
}

/** The `types:` of some classes; those that are no data, such as interfaces, are left out. */
export function typesYaml(classes: readonly JavaClass[]): string {
  const described = new Set(classes.filter((one) => one.kind !== 'interface').map((one) => one.name))
  const lines = ['types:']
  for (const one of classes) {
    if (one.kind === 'enum') {
      lines.push(`  ${quoted(one.name)}: { enum: [${one.constants.map(quoted).join(', ')}] }`)
    } else if (one.kind === 'class') {
      lines.push(...classLines(one, described))
    }
  }
  return lines.length === 1 ? 'types: {}\n' : `${lines.join('\n')}\n`
}

function classLines(one: JavaClass, described: ReadonlySet<string>): string[] {
  const parent = one.superclass === null ? null : (parsed(one.superclass)?.name ?? null)
  const lines = [`  ${quoted(one.name)}:`]
  if (parent !== null && described.has(parent)) lines.push(`    extends: ${quoted(parent)}`)
  if (one.fields.length === 0) return [...lines, '    fields: {}']
  lines.push('    fields:')
  for (const field of one.fields) lines.push(`      ${quoted(field.name)}: ${quoted(shortType(field.type))}`)
  return lines
}

/** One route for each method of a service, as a start. */
export function routesYaml(service: string, methods: readonly JavaMethod[], cluster: string): string {
  if (methods.length === 0) return 'routes: []\n'
  const group = operationGroup(service)
  const used = new Map<string, number>()
  const lines = ['routes:']
  for (const method of methods) {
    const count = (used.get(method.name) ?? 0) + 1
    used.set(method.name, count)
    const operation = `${group}.${method.name}${count === 1 ? '' : `.${count}`}`
    lines.push(
      `  - match: { operation: ${quoted(operation)} }`,
      '    to:',
      `      cluster: ${quoted(cluster)}`,
      `      service: ${quoted(service)}`,
      `      method: ${quoted(method.name)}`,
    )
    if (method.parameters.length === 0) lines.push('      parameters: []')
    else
      lines.push(
        '      parameters:',
        ...method.parameters.map((type) => `        - ${quoted(shortType(type))}`),
      )
  }
  return `${lines.join('\n')}\n`
}

/** `com.example.OrderService` → `order`. */
function operationGroup(service: string): string {
  const simple = service.slice(Math.max(service.lastIndexOf('.'), service.lastIndexOf('$')) + 1)
  const bare = simple.replace(/(?:Service|Facade)$/, '') || simple
  return bare[0].toLowerCase() + bare.slice(1)
}

/** A type in the short forms that a configuration takes; `Object` for what cannot be told. */
export function shortType(text: string): string {
  const type = parsed(text)
  return type === null ? 'Object' : short(type)
}

function short(type: TypeExpression): string {
  const parameters = type.parameters.length === 0 ? '' : `<${type.parameters.map(short).join(', ')}>`
  return (SHORTER.get(type.name) ?? type.name) + parameters + '[]'.repeat(type.dimensions)
}

function parsed(text: string): TypeExpression | null {
  try {
    return parseType(text, () => true)
  } catch {
    return null
  }
}

function namesIn(type: TypeExpression): string[] {
  return [type.name, ...type.parameters.flatMap(namesIn)]
}

/** A plain scalar where YAML reads it as this text, else one in quotes. */
function quoted(text: string): string {
  const isPlain = /^[A-Za-z_][\w.$<>[\]-]*(?:, [\w.$<>[\]-]+)*$/.test(text) && !NO_TEXT.test(text)
  return isPlain && !text.includes(',') && !/[[\]]/.test(text) ? text : `'${text.replaceAll("'", "''")}'`
}
