/** Checks filters' options with the configuration's own schema check: same messages, same hints. */
import { checkAgainst } from './config/schema-check.ts'
import type { OptionProblem } from './filters/compile.ts'

/** Every problem of some options; none when the filter has no schema. For `compileChains`. */
export function checkFilterOptions(
  schema: object | null,
  options: Readonly<Record<string, unknown>>,
): OptionProblem[] {
  if (schema === null) return []
  return checkAgainst(schema, options, []).map(({ path, message, hint, atKey = false }) => ({
    path: path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    message,
    hint,
    atKey,
  }))
}

/** The keys and indexes of a problem's path, for findings. */
export function stepsOf({ path }: OptionProblem): (string | number)[] {
  return path
    .split('/')
    .slice(1)
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step.replaceAll('~1', '/').replaceAll('~0', '~')))
}
