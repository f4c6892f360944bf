/** The strings that begin a request's body: protocol version, path, version, method, descriptor. */
import { HessianError } from '../hessian/limits.ts'
import { NO_VERSION, Serialization } from './constants.ts'
import { HESSIAN_NULL, readHessianText, skipHessianText } from './hessian-text.ts'
import { isJsonbText, Jsonb, JsonbError, jsonbFieldEnd, readJsonbText, skipJsonb } from './jsonb.ts'

const LENGTH_BYTES = 4
const COUNT = 5

/** Where the values lie, as {@link scanLeading} left it; read it before the next scan. Positions count from the start of the body. */
export const found = { path: 0, version: 0, method: 0, descriptor: 0, end: 0 }

const ends = new Int32Array(COUNT)

/**
 * Looks for the five strings in a body and writes where they begin to {@link found}. Path and version may be null. False
 * when they are not there; true only for serializations whose bodies are read.
 */
export function scanLeading(serialization: number, bytes: Buffer, at: number, end: number): boolean {
  const skip = serialization === Serialization.Hessian2 ? skipHessian : skipFastjson
  try {
    let next = at
    for (let i = 0; i < COUNT; i++) {
      next = skip(bytes, next, end)
      ends[i] = next - at
    }
  } catch (error) {
    if (error instanceof HessianError || error instanceof JsonbError) return false
    throw error
  }
  found.path = ends[0] as number
  found.version = ends[1] as number
  found.method = ends[2] as number
  found.descriptor = ends[3] as number
  found.end = ends[4] as number
  return true
}

function skipHessian(bytes: Buffer, at: number, end: number): number {
  return at < end && bytes[at] === HESSIAN_NULL ? at + 1 : skipHessianText(bytes, at, end)
}

function skipFastjson(bytes: Buffer, at: number, end: number): number {
  const fieldEnd = jsonbFieldEnd(bytes, at, end)
  const code = bytes[at + LENGTH_BYTES] as number
  if (code !== Jsonb.Null && !isJsonbText(code)) throw new JsonbError(`expected a string at ${at}`)
  if (skipJsonb(bytes, at + LENGTH_BYTES, fieldEnd) !== fieldEnd) {
    throw new JsonbError(`a string does not fill its length at ${at}`)
  }
  return fieldEnd
}

/** The string between two positions of {@link found}; `''` for null. */
export function leadingText(serialization: number, bytes: Buffer, at: number, end: number): string {
  if (serialization === Serialization.Hessian2) {
    return bytes[at] === HESSIAN_NULL ? '' : readHessianText(bytes, at, end)
  }
  return readJsonbText(bytes, at + LENGTH_BYTES, end) ?? ''
}

/** The version a request names: none when it is the one that stands for none. */
export function namedVersion(version: string): string {
  return version === NO_VERSION ? '' : version
}
