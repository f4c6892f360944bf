/** Values that are text in JSON: what they are in Java, and what a message says is expected. */
import { JavaKind, type JavaType } from './java-type.ts'

/** Farthest point in time from 1970 that JavaScript's calendar reaches, in milliseconds. */
export const MAX_DATE = 8.64e15
/** Digits of a BigDecimal or BigInteger: more cost the business process time that grows with their square. */
const MAX_DIGITS = 1000
/** That of a 128-bit IEEE decimal. Java spells a number with a huge exponent out when asked for an integer. */
const MAX_EXPONENT = 6144

/** The text itself where it is a BigDecimal within bounds, else null. */
export function decimalFrom(text: string): string | null {
  const match = text.length > MAX_DIGITS ? null : /^-?\d+(?:\.\d+)?(?:[eE]([+-]?\d{1,5}))?$/.exec(text)
  return match !== null && Math.abs(Number(match[1] ?? 0)) <= MAX_EXPONENT ? text : null
}

/** The integer, null for any other text or too many digits. */
export function integerFrom(text: string): bigint | null {
  return text.length <= MAX_DIGITS && /^-?\d+$/.test(text) ? BigInt(text) : null
}

/** The doubles that JSON numbers cannot name. */
export function floatFrom(text: string): number | null {
  if (text === 'NaN') return Number.NaN
  if (text === 'Infinity') return Number.POSITIVE_INFINITY
  return text === '-Infinity' ? Number.NEGATIVE_INFINITY : null
}

const DATE =
  /^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d))?$/

/** Milliseconds since 1970 for an ISO 8601 date (midnight, UTC) or point in time with its zone; null for other texts. */
export function dateFrom(text: string): number | null {
  const match = DATE.exec(text)
  if (match === null) return null
  const [year, month, day, hour, minute, second] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0)) as number[]
  const isTime = hour < 24 && minute < 60 && second < 60
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // A day that the month lacks would roll over into the next one.
  if (!isTime || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null
  const millis = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3))
  date.setUTCHours(hour, minute, second, millis)
  const ms = date.getTime() - zoneOffset(match[8] ?? 'Z')
  return Math.abs(ms) <= MAX_DATE ? ms : null
}

/** Milliseconds that a zone is ahead of UTC. */
function zoneOffset(zone: string): number {
  if (zone === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))
  return (zone[0] === '-' ? -minutes : minutes) * 60_000
}

/** Bytes from base64, in the common or the URL-safe alphabet, with or without padding; null for anything else. */
export function bytesFrom(text: string): Buffer | null {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) return null
  const bare = text.replace(/=+$/, '')
  const padding = text.length - bare.length
  if (bare.length % 4 === 1 || (padding > 0 && text.length % 4 !== 0)) return null
  return Buffer.from(bare, 'base64')
}

/** What JSON a type that is text in JSON takes. */
export function wantedBy(type: JavaType): string {
  switch (type.kind) {
    case JavaKind.Decimal:
      return 'a number, or a string of decimal digits'
    case JavaKind.BigInteger:
      return 'a whole number, or a string of decimal digits'
    case JavaKind.Date:
    case JavaKind.SqlDate:
      return 'an ISO 8601 date such as "2024-01-31T13:45:00Z", or milliseconds since 1970'
    case JavaKind.Binary:
      return 'a string in base64'
    case JavaKind.Char:
      return 'a string of one character'
    case JavaKind.Enum:
      return `a constant of ${type.name}`
    case JavaKind.Text:
      return type.form === null ? 'a string' : type.form.example
    default:
      return 'a string'
  }
}
