/**
 * What a path means. Servers differ in how they read `//`, `;x`, `%2F` or `\`, and a route that guards
 * something must hold for all of them: see docs/routing.md, "Odd paths".
 */

/** Characters that stand for themselves in a path (RFC 3986 section 3.3), without `;`. */
const PLAIN = /[A-Za-z0-9\-._~!$&'()*+,=:@/]/

/** 1 for each ASCII code whose presence makes a path worth a closer look. */
export const ODD_CODES: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) =>
  PLAIN.test(String.fromCharCode(code)) ? 0 : 1,
)

const HEX = '0123456789ABCDEF'
const DOT_SEGMENT = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i
const ONE_DOT = /^(?:\.|%2e)$/i
const TWO_DOTS = /^(?:\.|%2e){2}$/i
const SLASHES = /%2F|%5C/g
const PARAMETERS = /;[^/]*/g
const EMPTY_SEGMENTS = /\/{2,}/g
const DIVISIVE = /%2F|%5C|;|\/\//

/**
 * Removes `.` and `..` segments, percent-encoded ones too (RFC 3986 section 5.2.4), and leaves every other byte as it is.
 * Returns null for a path that climbs above its root, holds NUL, or does not begin with a slash.
 */
export function resolveDots(path: string): string | null {
  if (path.charCodeAt(0) !== 47 || path.includes('\0') || path.includes('%00')) return null
  if (!DOT_SEGMENT.test(path)) return path
  const kept: string[] = []
  const segments = path.split('/')
  const last = segments.length - 1
  for (let i = 1; i <= last; i++) {
    const segment = segments[i]!
    const climbs = TWO_DOTS.test(segment)
    if (!climbs && !ONE_DOT.test(segment)) {
      kept.push(segment)
      continue
    }
    if (climbs && kept.pop() === undefined) return null
    if (i === last) kept.push('')
  }
  return '/' + kept.join('/')
}

/**
 * Spells a path in one way: what may stand unescaped does, everything else is escaped with capital digits.
 * `;` and escaped slashes keep their form, because they mean something else than their counterparts.
 */
export function canonicalPath(path: string): string {
  const changesAt = firstUncanonical(path)
  if (changesAt === path.length) return path
  let text = path.slice(0, changesAt)
  for (let i = changesAt; i < path.length; i++) {
    let code = path.charCodeAt(i)
    let isEscaped = false
    if (code === 37) {
      const value = hexByte(path, i + 1)
      if (value >= 0) {
        code = value
        isEscaped = true
        i += 2
      }
    }
    if (code > 255) {
      const point = path.codePointAt(i)!
      text += encodeURIComponent(String.fromCodePoint(point).toWellFormed())
      if (point > 0xffff) i++
    } else if (code < 128 && ODD_CODES[code] === 0 && !(isEscaped && code === 47))
      text += String.fromCharCode(code)
    else if (code === 59 && !isEscaped) text += ';'
    else text += '%' + HEX[code >> 4]! + HEX[code & 15]!
  }
  return text
}

/** Where the canonical spelling first differs; the path's length when it does not. */
function firstUncanonical(path: string): number {
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    if (code === 37) {
      const value = hexByte(path, i + 1)
      const isKept = value > 127 || value === 47 || (value >= 0 && ODD_CODES[value] === 1)
      if (!isKept || isLowerHex(path.charCodeAt(i + 1)) || isLowerHex(path.charCodeAt(i + 2))) return i
      i += 2
    } else if (code > 127 || (ODD_CODES[code] === 1 && code !== 59)) {
      return i
    }
  }
  return path.length
}

function isLowerHex(code: number): boolean {
  return code >= 97
}

function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at))
  const low = hexDigit(text.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/**
 * The ways in which servers read a path whose dots are resolved, each in canonical spelling and none twice. The first is the
 * literal one (RFC 3986). Null when one of them climbs above the root.
 */
export function pathReadings(resolved: string): string[] | null {
  const literal = canonicalPath(resolved)
  if (!DIVISIVE.test(literal)) return [literal]
  const readings = new Set([literal])
  const merged = (path: string) => path.replace(EMPTY_SEGMENTS, '/')
  const slashed = (path: string) => path.replace(SLASHES, '/')
  const stripped = (path: string) => path.replace(PARAMETERS, '')
  const readers = [
    slashed,
    stripped,
    (path: string) => stripped(slashed(path)),
    (path: string) => slashed(stripped(path)),
  ]
  for (const path of [literal, ...readers.map((read) => read(literal))]) {
    for (const variant of [path, merged(path)]) {
      const reading = resolveDots(variant)
      if (reading === null) return null
      readings.add(reading)
      readings.add(merged(reading))
    }
  }
  return [...readings]
}

/** The canonical spelling of a path from a configuration, whose letters are Unicode and not bytes. */
export function canonicalRulePath(path: string): string {
  return canonicalPath(path.replace(/[^\0-\x7f]+/gu, (text) => encodeURIComponent(text.toWellFormed())))
}

/** True when servers may read the path in different ways, so that no rule can name it. */
export function isDivisive(path: string): boolean {
  return DIVISIVE.test(canonicalRulePath(path))
}
