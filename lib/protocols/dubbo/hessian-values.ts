/** The scalars of the final dialect of Hessian 2 as text, for attachments that are no strings. */
import { readU32 } from './frame.ts'
import { isHessianText, readHessianText } from './hessian-text.ts'

/** The text of a string, boolean, int or long that ends at `valueEnd`; null for null and for everything else. */
export function readHessianValue(bytes: Buffer, at: number, valueEnd: number): string | null {
  const code = bytes[at] as number
  if (isHessianText(code)) return readHessianText(bytes, at, valueEnd)
  if (code >= 0x80 && code <= 0xd7) return `${smallInt(bytes, at, code)}`
  if (code >= 0xd8 || (code >= 0x38 && code < 0x40)) return `${smallLong(bytes, at, code)}`
  switch (code) {
    case 0x54:
      return 'true'
    case 0x46:
      return 'false'
    case 0x49:
    case 0x59:
      return `${readU32(bytes, at + 1) | 0}`
    case 0x4c:
      return `${bytes.readBigInt64BE(at + 1)}`
    default:
      return null
  }
}

function smallInt(bytes: Buffer, at: number, code: number): number {
  const second = bytes[at + 1] as number
  if (code < 0xc0) return code - 0x90
  if (code < 0xd0) return ((code - 0xc8) << 8) | second
  return ((code - 0xd4) << 16) | (second << 8) | (bytes[at + 2] as number)
}

function smallLong(bytes: Buffer, at: number, code: number): number {
  const second = bytes[at + 1] as number
  if (code >= 0xf0) return ((code - 0xf8) << 8) | second
  if (code >= 0xd8) return code - 0xe0
  return ((code - 0x3c) << 16) | (second << 8) | (bytes[at + 2] as number)
}
