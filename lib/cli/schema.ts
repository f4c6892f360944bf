/** `meshgate schema`: the JSON Schema of the configuration, with the options of every built-in filter. */
import { publishSchema } from '../config/publish-schema.ts'
import { CATALOG } from '../filter-specs.ts'
import { ExitCode } from './exit-codes.ts'
import type { Output } from './paint.ts'

/** Prints the schema. */
export function schema(output: Output = process.stdout): ExitCode {
  output.write(`${JSON.stringify(publishSchema(CATALOG), null, 2)}\n`)
  return ExitCode.Ok
}
