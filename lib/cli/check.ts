/** `meshgate check FILE`: every problem of a configuration at once. */

import { checkConfig, type LoadResult } from '../config/load.ts'
import { ConfigReadError, readConfigFile } from '../config/load-file.ts'
import type { Problem } from '../config/problem.ts'
import { CATALOG, findFilterProblems } from '../filter-specs.ts'
import { findRouteConflicts } from '../route-conflicts.ts'
import { findRouteProblems } from '../route-problems.ts'
import { ExitCode } from './exit-codes.ts'
import { type Output, type Paint, paintFor } from './paint.ts'

/** How to print. */
export interface CheckOptions {
  readonly json?: boolean
}

/** Checks a file and prints what is wrong with it to `output`, or why it cannot be read to `errors`. */
export async function check(
  file: string,
  options: CheckOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
): Promise<ExitCode> {
  try {
    const text = await readConfigFile(file)
    const result = await checkConfig(text, CATALOG, async (config) => [
      ...(await findFilterProblems(config, file)),
      ...(await findRouteProblems(config)),
      ...findRouteConflicts(config.routes),
    ])
    output.write(options.json === true ? toJson(file, result) : toText(file, result, paintFor(output)))
    return result.config === null ? ExitCode.Config : ExitCode.Ok
  } catch (error) {
    if (!(error instanceof ConfigReadError)) throw error
    errors.write(`meshgate: ${error.message}\n`)
    return ExitCode.Failure
  }
}

/** The result for people: aligned lines and a count. Also what `run` prints when it refuses to start. */
export function toText(file: string, result: LoadResult, paint: Paint): string {
  const places = result.problems.map(({ line, column }) => (line === 0 ? file : `${file}:${line}:${column}`))
  const width = Math.max(0, ...places.map((place) => place.length))
  let text = ''
  result.problems.forEach((problem, index) => {
    text += `${paint.bold(places[index].padEnd(width))}  ${describe(problem, paint)}\n`
  })
  return `${text}${summary(file, result, paint)}\n`
}

function describe({ severity, path, message, hint }: Problem, paint: Paint): string {
  const mark = severity === 'warning' ? `${paint.yellow('warning:')} ` : ''
  const where = path === '' ? '' : `${paint.dim(`${path}:`)} `
  return `${mark}${where}${message}${hint === '' ? '' : ` — ${hint}`}`
}

function summary(file: string, { config, problems, checksum }: LoadResult, paint: Paint): string {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  const also = warnings === 0 ? '' : `, ${plural(warnings, 'warning')}`
  if (config === null) return paint.red(`${file}: ${plural(errors, 'problem')}${also}`)
  const contents = [
    plural(config.listeners.length, 'listener'),
    plural(config.clusters.length, 'cluster'),
    plural(config.filters.length, 'filter'),
    plural(config.routes.length, 'route'),
  ]
  return paint.green(`${file}: valid${also} (${contents.join(', ')}; checksum ${checksum.slice(0, 12)})`)
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

function toJson(file: string, { config, problems, checksum }: LoadResult): string {
  return `${JSON.stringify({ file, valid: config !== null, checksum, problems }, null, 2)}\n`
}
