/**
 * What calls over Bolt and Dubbo share: the JSON of an operation becomes Hessian arguments, the Hessian result or
 * exception becomes JSON. Both are compiled once from the route's `to` and the configuration's `types`; the rules are
 * in docs/translation.md.
 */
import type { CallTarget, TypeDescriptions } from '../../core/route.ts'
import { ResultWriter } from './hessian-json.ts'
import { ArgumentsEncoder } from './json-arguments.ts'
import type { HessianPeer } from './text-forms.ts'
import { descriptorOf, signatureOf } from './type-expression.ts'
import { TypeTable } from './type-table.ts'

/** How the arguments of one method are written. */
export interface ArgumentsPlan {
  /** `Class.getName()` of each parameter, for SOFARPC's `methodArgSigs` and Dubbo's `$invoke`: `int`, `[I`, `java.lang.String`, `[Ljava.lang.String;`. */
  readonly signatures: readonly string[]
  /** JVM descriptor of the parameters as Dubbo sends it: `ILjava/lang/String;[J`; `''` when there are none. */
  readonly descriptor: string
  /**
   * True when a Dubbo call has to be made with `$invoke` and `generic=true`, because a class that a parameter needs is
   * not described. The arguments are then written in that mode's form: maps for objects, names for enums.
   */
  readonly isGeneric: boolean
  /** Validates JSON and writes each argument as one value of the writer's stream. */
  readonly encoder: ArgumentsEncoder
}

/**
 * Compiles the parameters of a call. `peer` says whose library reads them: SOFARPC's or Dubbo's. Throws an `Error` that
 * names the parameter or description that is wrong and says what would be right.
 */
export function compileArguments(
  target: CallTarget,
  types: TypeDescriptions,
  peer: HessianPeer,
): ArgumentsPlan {
  const names = target.parameterNames
  if (names.length > 0 && names.length !== target.parameters.length) {
    throw new Error(
      `parameterNames: there are ${names.length} for ${target.parameters.length} parameters; name all of them or none`,
    )
  }
  const table = tableFor(types, peer, false)
  const expressions = target.parameters.map((text, index) => table.parse(text, `parameters[${index}]`))
  let parameters = expressions.map((expression) => table.resolve(expression))
  const isGeneric = peer === 'dubbo' && parameters.some((type) => table.needsDescription(type) !== null)
  if (isGeneric) {
    const generic = tableFor(types, peer, true)
    parameters = expressions.map((expression) => generic.resolve(expression))
  }
  return {
    signatures: expressions.map(signatureOf),
    descriptor: expressions.map(descriptorOf).join(''),
    isGeneric,
    encoder: new ArgumentsEncoder(parameters, names),
  }
}

/**
 * Compiles how results of a call become JSON; `isGeneric` as in {@link ArgumentsPlan}. Exceptions are for `readException`
 * and `exceptionReply` of exceptions.ts.
 */
export function compileResult(target: CallTarget, types: TypeDescriptions, isGeneric: boolean): ResultWriter {
  return new ResultWriter(target.json, types, isGeneric)
}

/** Tables of the configurations that are in use: every route of one shares its types. */
const tables = new WeakMap<TypeDescriptions, Map<string, TypeTable>>()

function tableFor(types: TypeDescriptions, peer: HessianPeer, isGeneric: boolean): TypeTable {
  let known = tables.get(types)
  if (known === undefined) {
    known = new Map()
    tables.set(types, known)
  }
  const key = `${peer} ${isGeneric}`
  const table = known.get(key) ?? new TypeTable(types, peer, isGeneric)
  known.set(key, table)
  return table
}
