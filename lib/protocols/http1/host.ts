/** Authorities: what Host and an absolute target may say (RFC 3986 section 3.2, RFC 9110 section 7.2). */
import { COLON, HEX, HOST } from './chars.ts'

const PERCENT = 0x25
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const MAX_PORT = 65535

/** True when `start…end` is a host, with or without a port, and neither empty nor with user information. */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  const hostEnd =
    bytes[start] === OPEN_BRACKET ? endOfAddress(bytes, start, end) : endOfName(bytes, start, end)
  if (hostEnd <= start) return false
  return hostEnd === end || (bytes[hostEnd] === COLON && isPort(bytes, hostEnd + 1, end))
}

/** {@link isAuthority} of a string. */
export function isAuthorityText(text: string): boolean {
  const bytes = Buffer.from(text, 'utf8')
  return isAuthority(bytes, 0, bytes.length)
}

/** Where a registered name ends; -1 when it is broken. */
function endOfName(bytes: Uint8Array, start: number, end: number): number {
  let i = start
  while (i < end && HOST[bytes[i]] === 1) {
    if (bytes[i] === PERCENT && (i + 2 >= end || HEX[bytes[i + 1]] > 15 || HEX[bytes[i + 2]] > 15)) return -1
    i++
  }
  return i
}

/** Where an address in brackets ends, behind the bracket; -1 when it is broken. */
function endOfAddress(bytes: Uint8Array, start: number, end: number): number {
  let i = start + 1
  let colons = 0
  while (i < end && bytes[i] !== CLOSE_BRACKET) {
    const byte = bytes[i++]
    if (byte === COLON) colons++
    else if (HEX[byte] > 15 && byte !== 0x2e) return -1
  }
  return i < end && colons >= 2 ? i + 1 : -1
}

/** A port may be empty (RFC 3986 section 3.2.3). */
function isPort(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 5) return false
  let port = 0
  for (let i = start; i < end; i++) {
    const digit = bytes[i] - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= MAX_PORT
}
