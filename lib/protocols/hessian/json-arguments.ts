/** The JSON body of an operation as the arguments of one method, written as Hessian values. */
import { GatewayError } from '../../core/errors.ts'
import type { JavaType } from './java-type.ts'
import { JsonError, JsonTape, Tag } from './json-scanner.ts'
import { pathOf, textOf } from './json-tokens.ts'
import { JsonValues } from './json-values.ts'
import { didYouMean } from './nearest-name.ts'
import type { HessianWriter } from './writer.ts'

/** What some clients wrap the one argument of a method in. */
const BODY_KEY = '_requestBody'

/** Encoding is synchronous and never nested, so that one tape serves every call of the process. */
const tape = new JsonTape()
const values = new JsonValues()

/** Writes the arguments of one method. Made when a configuration is loaded. */
export class ArgumentsEncoder {
  readonly #parameters: readonly JavaType[]
  readonly #names: readonly string[]

  /** `names` are the parameters' names, or empty. */
  constructor(parameters: readonly JavaType[], names: readonly string[]) {
    this.#parameters = parameters
    this.#names = names
  }

  /**
   * Checks the JSON text between `offset` and `end` and writes each argument as one value to `writer`. Throws a
   * `GatewayError`: ARGUMENTS_MISSING for an empty text, ARGUMENTS_INVALID with the path of what does not fit in
   * `callerMessage`; what was written until then is worthless.
   */
  encode(body: Buffer, offset: number, end: number, writer: HessianWriter): void {
    if (isBlank(body, offset, end)) {
      if (this.#parameters.length > 0) throw new GatewayError('ARGUMENTS_MISSING', 'the body is empty')
      return
    }
    try {
      tape.scan(body, offset, end)
      values.use(tape, writer)
      this.#arguments()
    } catch (error) {
      throw error instanceof JsonError ? invalid(error) : error
    } finally {
      tape.release()
    }
  }

  #arguments(): void {
    const tag = tape.tag(0)
    if (tag === Tag.Array) this.#fromArray()
    else if (tag === Tag.Object && this.#isByName()) this.#fromNames()
    else if (this.#parameters.length === 1) values.write(0, this.#parameters[0])
    else if (tag !== Tag.Object || this.#parameters.length > 0 || tape.count(0) > 0)
      throw new JsonError(this.#wanted(), 0)
  }

  #fromArray(): void {
    const parameters = this.#parameters
    const count = tape.count(0)
    if (count !== parameters.length) throw new JsonError(`${this.#wanted()}, got ${count}`, 0)
    let node = tape.child(0)
    for (let i = 0; i < count; i++) {
      values.write(count === 1 ? this.#unwrap(node) : node, parameters[i])
      node = tape.next(node)
    }
  }

  /** The value within `{ "_requestBody": … }`, else the node itself. */
  #unwrap(node: number): number {
    if (tape.tag(node) !== Tag.Object || tape.count(node) !== 1) return node
    const key = tape.child(node)
    const isWrapped = textOf(tape, key) === BODY_KEY && !this.#parameters[0].fieldIndex.has(BODY_KEY)
    return isWrapped ? tape.next(key) : node
  }

  /** Whether an object names the parameters. That of a method with one parameter may be the argument itself. */
  #isByName(): boolean {
    if (this.#names.length !== 1) return this.#names.length > 0
    return tape.count(0) === 1 && textOf(tape, tape.child(0)) === this.#names[0]
  }

  #fromNames(): void {
    const nodes = this.#names.map(() => -1)
    for (let i = 0, key = tape.child(0); i < tape.count(0); i++, key = tape.next(tape.next(key))) {
      const name = textOf(tape, key)
      const index = this.#names.indexOf(name)
      if (index < 0)
        throw new JsonError(`the method has no such parameter${didYouMean(name, this.#names)}`, key)
      if (nodes[index] >= 0) throw new JsonError('the key comes twice', key)
      nodes[index] = tape.next(key)
    }
    for (const [index, node] of nodes.entries()) {
      const type = this.#parameters[index]
      if (node >= 0) values.write(node, type)
      else if (type.isPrimitive)
        throw new JsonError(`the parameter ${this.#names[index]} (${type.name}) is missing`, 0)
      else values.writeNull()
    }
  }

  #wanted(): string {
    const types = this.#parameters.map((type, index) => {
      const name = this.#names[index]
      return name === undefined ? type.name : `${type.name} ${name}`
    })
    const count = types.length === 1 ? '1 argument' : `${types.length} arguments`
    return `expected an array of ${count}${types.length === 0 ? '' : ` (${types.join(', ')})`}`
  }
}

function isBlank(body: Buffer, offset: number, end: number): boolean {
  for (let i = offset; i < end; i++) if (body[i] > 0x20) return false
  return true
}

function invalid(error: JsonError): GatewayError {
  const where = error.node < 0 ? 'the body is not JSON' : pathOf(tape, error.node)
  const message = `${where}: ${error.message}`
  const failure = new GatewayError('ARGUMENTS_INVALID', message)
  failure.callerMessage = message
  return failure
}
