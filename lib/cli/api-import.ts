/** `meshgate api import`: reads a service interface and the classes it needs from a jar, and writes the YAML of a configuration. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { classesIn, isOwnClass, routesYaml, typesYaml } from './api-yaml.ts'
import { ExitCode } from './exit-codes.ts'
import { type JavaClass, type JavaMethod, parseJavap } from './javap.ts'
import type { ApiImportOptions } from './options.ts'
import type { Output } from './paint.ts'

const CLASS_NAME = /^[\p{L}_$][\p{L}\p{N}_$]*(?:\.[\p{L}_$][\p{L}\p{N}_$]*)*$/u
/** A service that needs more has a model that nobody wants in a configuration. */
const MAX_CLASSES = 2_000

/** Prints a listing of classes: runs `javap`, or plays it in tests. Rejects when there is no `javap`. */
export type ListClasses = (jar: string, names: readonly string[]) => Promise<string>

/**
 * Writes the `types:` and `routes:` that belong to a service, to a file or to `output`. What cannot be told, such as
 * classes that are not in the jar, is named in `errors`, and the rest is written.
 */
export async function apiImport(
  options: ApiImportOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
  list: ListClasses = runJavap,
): Promise<ExitCode> {
  const problem = checkOptions(options)
  if (problem !== null) {
    errors.write(`meshgate: ${problem}\n`)
    return ExitCode.Usage
  }
  try {
    const classes = await readClasses(options, list)
    const service = classes.get(options.service)
    if (service === undefined) {
      errors.write(
        `meshgate: ${options.service} is not in ${options.jar}; give the full name of the interface, with "$" before the name of a nested one\n`,
      )
      return ExitCode.Failure
    }
    const text = yamlOf(service, classes, options)
    for (const warning of warnings(service, classes)) errors.write(`meshgate: ${warning}\n`)
    if (options.out === undefined) output.write(text)
    else await writeFile(options.out, text)
    return ExitCode.Ok
  } catch (error) {
    errors.write(`meshgate: ${(error as Error).message}\n`)
    return ExitCode.Failure
  }
}

function checkOptions(options: ApiImportOptions): string | null {
  const wrong = [options.service, ...options.class].find((name) => !CLASS_NAME.test(name))
  if (wrong !== undefined) {
    return `${JSON.stringify(wrong)} is no name of a class; write it in full, such as com.example.OrderService`
  }
  const missing = options.jar.split(path.delimiter).find((file) => !existsSync(file))
  return missing === undefined ? null : `there is no file ${missing}`
}

/** The service, the classes asked for, and everything of the project's own that they need, each once. */
async function readClasses(options: ApiImportOptions, list: ListClasses): Promise<Map<string, JavaClass>> {
  const classes = new Map<string, JavaClass>()
  const asked = new Set<string>()
  let due = [options.service, ...options.class]
  while (due.length > 0) {
    for (const name of due) asked.add(name)
    if (asked.size > MAX_CLASSES) throw new Error(`${options.service} needs more than ${MAX_CLASSES} classes`)
    const found = parseJavap(await list(options.jar, due))
    for (const one of found) classes.set(one.name, one)
    due = [...new Set(found.flatMap((one) => neededBy(one, isInterfaceOf(one, options, classes))))].filter(
      (name) => !asked.has(name),
    )
  }
  return classes
}

/** Whether methods count: those of the service and of the interfaces it extends. */
function isInterfaceOf(one: JavaClass, options: ApiImportOptions, classes: Map<string, JavaClass>): boolean {
  return lineage(options.service, classes).includes(one.name)
}

function neededBy(one: JavaClass, withMethods: boolean): string[] {
  const methods = withMethods ? one.methods.flatMap((method) => [method.result, ...method.parameters]) : []
  const types = [...one.fields.map((field) => field.type), ...methods, one.superclass ?? '']
  return [...types.filter((type) => type !== '' && type !== 'void'), ...one.interfaces].flatMap(classesIn)
}

/** An interface and those it extends, nearest first. */
function lineage(name: string, classes: ReadonlyMap<string, JavaClass>, seen = new Set<string>()): string[] {
  if (seen.has(name)) return []
  seen.add(name)
  const parents = classes.get(name)?.interfaces.flatMap(classesIn) ?? []
  return [name, ...parents.flatMap((parent) => lineage(parent, classes, seen))]
}

function methodsOf(service: JavaClass, classes: ReadonlyMap<string, JavaClass>): JavaMethod[] {
  const methods = new Map<string, JavaMethod>()
  for (const name of lineage(service.name, classes)) {
    for (const method of classes.get(name)?.methods ?? []) {
      const key = `${method.name}(${method.parameters.join()})`
      if (!methods.has(key)) methods.set(key, method)
    }
  }
  return [...methods.values()]
}

function yamlOf(
  service: JavaClass,
  classes: ReadonlyMap<string, JavaClass>,
  options: ApiImportOptions,
): string {
  const described = [...classes.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  const types = typesYaml(described.filter((one) => one.kind !== 'interface' && one.name !== service.name))
  const routes = routesYaml(service.name, methodsOf(service, classes), options.cluster)
  return `# Made by "meshgate api import" from ${service.name}. Names of operations are a proposal.\n${types}\n${routes}`
}

/** What the reader of the YAML has to know. */
function warnings(service: JavaClass, classes: ReadonlyMap<string, JavaClass>): string[] {
  const found: string[] = []
  const services = lineage(service.name, classes)
  const needed = new Set([...classes.values()].flatMap((one) => neededBy(one, services.includes(one.name))))
  for (const name of [...needed].sort()) {
    const one = classes.get(name)
    if (one === undefined && isOwnClass(name)) {
      found.push(`${name} is not in the jar; it is left undescribed (add the jar that has it to --jar)`)
    } else if (one?.kind === 'interface' && !services.includes(name)) {
      found.push(`${name} is an interface; name the classes that implement it with --class`)
    }
  }
  return found
}

/** Runs the `javap` of `JAVA_HOME`, else of the path. Classes that it does not find are missing in the listing. */
function runJavap(jar: string, names: readonly string[]): Promise<string> {
  const home = process.env.JAVA_HOME
  const own = home === undefined || home === '' ? '' : path.join(home, 'bin', 'javap')
  const command = own !== '' && existsSync(own) ? own : 'javap'
  return new Promise((resolve, reject) => {
    const child = spawn(command, ['-p', '-cp', jar, ...names], { stdio: ['ignore', 'pipe', 'ignore'] })
    const parts: Buffer[] = []
    child.stdout.on('data', (part: Buffer) => parts.push(part))
    child.on('error', () =>
      reject(new Error(`cannot run ${command}: install a JDK, or set JAVA_HOME to the one there is`)),
    )
    child.on('close', () => resolve(Buffer.concat(parts).toString()))
  })
}
