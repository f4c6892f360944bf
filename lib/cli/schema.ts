/** `meshgate schema`: the JSON Schema of the configuration, with the options of every built-in filter. */
import { publishSchema } from '../config/publish-schema.ts'
import { ExitCode } from './exit-codes.ts'
import { filterCatalog } from './extra-checks.ts'
import type { Output } from './paint.ts'

/** Prints the schema. */
export function schema(output: Output = process.stdout): ExitCode {
  output.write(`${JSON.stringify(publishSchema(filterCatalog()), null, 2)}\n`)
  return ExitCode.Ok
}
