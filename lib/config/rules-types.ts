/** Rules about descriptions of Java types. */
import type { TypeDescription } from '../core/route.ts'
import type { Draft } from './draft.ts'
import { isClassName, isIdentifier, projectClasses } from './java-names.ts'
import { show } from './schema-walk.ts'
import { suggest } from './suggest.ts'

/** Everything about `types` that a schema cannot say. */
export function checkTypes(draft: Draft): void {
  const { types } = draft
  const names = Object.keys(types)
  for (const name of names) {
    if (!isClassName(name))
      draft.reportKey(
        ['types', name],
        `${show(name)} is no class name`,
        'write it in full: com.example.Order',
      )
    const type = types[name] as TypeDescription
    if (!draft.isTypeSound(name)) continue
    checkForm(draft, name, type)
    checkFields(draft, name, type, names)
    checkExtends(draft, name, types, names)
  }
}

function checkForm(draft: Draft, name: string, type: TypeDescription): void {
  const at = ['types', name]
  if (type.enum === undefined) {
    if (type.fields === undefined)
      draft.report(at, `${name} has neither fields nor enum`, 'give fields: {} to a class without any')
    return
  }
  if (type.fields !== undefined)
    draft.report([...at, 'enum'], 'fields and enum exclude each other', 'give one of them')
  if (type.extends !== undefined)
    draft.reportKey([...at, 'extends'], 'an enum extends nothing', 'leave it out')
  const seen = new Set<string>()
  type.enum.forEach((constant, index) => {
    const place = [...at, 'enum', index]
    if (!isIdentifier(constant))
      draft.report(place, `${show(constant)} is no Java name`, 'write the constant as in Java, such as PAID')
    else if (seen.has(constant))
      draft.report(place, `the constant ${constant} is listed twice`, 'remove one of them')
    seen.add(constant)
  })
}

function checkFields(
  draft: Draft,
  name: string,
  { fields }: TypeDescription,
  names: readonly string[],
): void {
  for (const field in fields) {
    const at = ['types', name, 'fields', field]
    if (!isIdentifier(field))
      draft.reportKey(at, `${show(field)} is no Java name`, 'write the field as in Java, such as orderId')
    for (const used of projectClasses(fields[field] as string)) {
      if (!names.includes(used)) draft.report(at, `there is no type ${used}`, unknownHint(used, names))
    }
  }
}

function unknownHint(used: string, names: readonly string[]): string {
  const near = suggest(used, names, 'types')
  return near.startsWith('did you')
    ? near
    : 'describe it too, or write java.lang.Object to pass it as it comes'
}

function checkExtends(
  draft: Draft,
  name: string,
  types: Readonly<Record<string, TypeDescription>>,
  names: readonly string[],
): void {
  const parent = types[name]?.extends
  if (parent === undefined) return
  const at = ['types', name, 'extends']
  if (!names.includes(parent)) {
    draft.report(at, `there is no type ${show(parent)}`, suggest(parent, names, 'types'))
    return
  }
  if (types[parent]?.enum !== undefined) {
    draft.report(at, `${parent} is an enum, which nothing extends`, 'leave it out')
    return
  }
  const line = ancestry(name, types)
  if (line.at(-1) === name)
    draft.report(at, `the class extends itself: ${line.join(' → ')}`, 'remove one of these extends')
}

/** The class and its superclasses, up to the first without one or to the first that comes again. */
function ancestry(name: string, types: Readonly<Record<string, TypeDescription>>): string[] {
  const line = [name]
  for (;;) {
    const next = Object.hasOwn(types, line.at(-1) as string)
      ? types[line.at(-1) as string]?.extends
      : undefined
    if (next === undefined) return line
    const isKnown = line.includes(next)
    line.push(next)
    if (isKnown) return line
  }
}
