/** Bodies that hold one string: error texts, and the values of answers that filters give. */
import { ResponseKind, Serialization } from './constants.ts'
import { hessianTextLimit, writeHessianText } from './hessian-text.ts'
import { jsonbTextLimit, writeJsonbField } from './jsonb.ts'

const NO_BODY = Buffer.alloc(0)
const HESSIAN_ZERO = 0x90
const JSONB_VALUE = Buffer.from([0, 0, 0, 2, 0xbd, ResponseKind.Value])

/** The string alone: what a status other than 20 has. Empty for serializations that are not written. */
export function errorBody(serialization: number, text: string): Buffer {
  if (serialization === Serialization.Hessian2) {
    const buffer = Buffer.allocUnsafe(hessianTextLimit(text))
    return buffer.subarray(0, writeHessianText(buffer, 0, text))
  }
  if (serialization !== Serialization.Fastjson2) return NO_BODY
  const buffer = Buffer.allocUnsafe(4 + jsonbTextLimit(text))
  return buffer.subarray(0, writeJsonbField(buffer, 0, text))
}

/** The string as the value of a call that succeeded. */
export function valueBody(serialization: number, text: string): Buffer {
  if (serialization === Serialization.Hessian2) {
    return Buffer.concat([Buffer.from([HESSIAN_ZERO + ResponseKind.Value]), errorBody(serialization, text)])
  }
  if (serialization !== Serialization.Fastjson2) return NO_BODY
  return Buffer.concat([JSONB_VALUE, errorBody(serialization, text)])
}
