/** What can be wrong with a configuration, and where. */

/** Keys and indexes from the top of the configuration. */
export type ConfigPath = readonly (string | number)[]

/** Errors refuse the configuration, warnings do not. */
export type Severity = 'error' | 'warning'

/** Something wrong that has no line yet. */
export interface Finding {
  readonly path: ConfigPath
  /** What is wrong. */
  readonly message: string
  /** What would be right; `''` when the message says it. */
  readonly hint: string
  /** Point at the key instead of its value. */
  readonly atKey?: boolean
  readonly severity?: Severity
}

/** One problem as it is shown: position, what is wrong, what would be right. */
export interface Problem {
  readonly severity: Severity
  /** From 1; 0 when the place is unknown. */
  readonly line: number
  /** From 1; 0 when the place is unknown. */
  readonly column: number
  /** Such as `routes[3].to.cluster`; `''` for the whole file. */
  readonly path: string
  readonly message: string
  readonly hint: string
}

/** Writes a path as `routes[3].to.cluster`. */
export function formatPath(path: ConfigPath): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[\w$-]+$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(step)}]`
  }
  return text
}

/** One line for logs: `message — hint`. */
export function describeProblem(problem: Problem): string {
  const what = problem.hint === '' ? problem.message : `${problem.message} — ${problem.hint}`
  return problem.path === '' ? what : `${problem.path}: ${what}`
}

/** Order of the file. */
export function comparePlaces(a: Problem, b: Problem): number {
  return a.line - b.line || a.column - b.column
}

/** A configuration was refused; `problems` has them all. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    super(`${file} has ${problems.length} problem${problems.length === 1 ? '' : 's'}`)
    this.problems = problems
  }
}
