/** Points in time as `2024-01-31T13:45:00.000Z`, from and to bytes, without the cost of a Date or a regular expression. */

/** Characters of a time with and without milliseconds. */
const LONG_FORM = 24
const SHORT_FORM = 20
const DAY = 86_400_000
/** First and last point in time whose year has four digits. */
const FIRST = Date.UTC(-1, 11, 31) + DAY
const LAST = Date.UTC(10_000, 0, 1) - 1
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Milliseconds since 1970 of the text between `start` and `end`: a time of the year 0 to 9999 in UTC, with seconds and
 * perhaps milliseconds. NaN for every other text, ISO 8601 or not.
 */
export function timeFrom(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  if (length !== LONG_FORM && length !== SHORT_FORM) return Number.NaN
  const year = digits(bytes, start, 4)
  const month = digits(bytes, start + 5, 2)
  const day = digits(bytes, start + 8, 2)
  const hour = digits(bytes, start + 11, 2)
  const minute = digits(bytes, start + 14, 2)
  const second = digits(bytes, start + 17, 2)
  const millis = length === LONG_FORM ? digits(bytes, start + 20, 3) : 0
  if ((year | month | day | hour | minute | second | millis) < 0) return Number.NaN
  if (bytes[start + 4] !== 0x2d || bytes[start + 7] !== 0x2d || bytes[start + 10] !== 0x54) return Number.NaN
  if (bytes[start + 13] !== 0x3a || bytes[start + 16] !== 0x3a || bytes[end - 1] !== 0x5a) return Number.NaN
  if (length === LONG_FORM && bytes[start + 19] !== 0x2e) return Number.NaN
  if (month < 1 || month > 12 || day < 1 || day > daysOf(year, month)) return Number.NaN
  if (hour > 23 || minute > 59 || second > 59) return Number.NaN
  return daysSince1970(year, month, day) * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + millis
}

/** Writes a point in time of the year 0 to 9999 in 24 bytes and returns true; returns false for any other. */
export function writeTime(ms: number, target: Uint8Array, at: number): boolean {
  if (!(ms >= FIRST && ms <= LAST)) return false
  const day = Math.floor(ms / DAY)
  writeDay(day, target, at)
  const rest = ms - day * DAY
  const seconds = (rest / 1000) | 0
  const minutes = (seconds / 60) | 0
  const hours = (minutes / 60) | 0
  target[at + 10] = 0x54
  writePair(hours, target, at + 11)
  target[at + 13] = 0x3a
  writePair(minutes - hours * 60, target, at + 14)
  target[at + 16] = 0x3a
  writePair(seconds - minutes * 60, target, at + 17)
  target[at + 19] = 0x2e
  const millis = rest - seconds * 1000
  const hundreds = (millis / 100) | 0
  target[at + 20] = 0x30 + hundreds
  writePair(millis - hundreds * 100, target, at + 21)
  target[at + 23] = 0x5a
  return true
}

/** Days of a month, from 1. */
export function daysOf(year: number, month: number): number {
  const isLeap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return isLeap ? 29 : DAYS[month - 1]
}

/** Two, three or four digits, -1 when one of them is none. */
function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0
  for (const end = at + count; at < end; at++) {
    const digit = bytes[at] - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

/** Counts years from March on, so that the leap day is a year's last. */
function daysSince1970(year: number, month: number, day: number): number {
  const fromMarch = month > 2 ? year : year - 1
  const era = Math.floor(fromMarch / 400)
  const yearOfEra = fromMarch - era * 400
  const dayOfYear = ((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) | 0
  const leapDays = ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0)
  return era * 146_097 + yearOfEra * 365 + leapDays + dayOfYear + day - 1 - 719_468
}

/** The other way round. */
function writeDay(days: number, target: Uint8Array, at: number): void {
  const fromMarch = days + 719_468
  const era = Math.floor(fromMarch / 146_097)
  const dayOfEra = fromMarch - era * 146_097
  const leapDays = ((dayOfEra / 1460) | 0) - ((dayOfEra / 36_524) | 0) + ((dayOfEra / 146_096) | 0)
  const yearOfEra = ((dayOfEra - leapDays) / 365) | 0
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0))
  const shifted = ((5 * dayOfYear + 2) / 153) | 0
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const century = (year / 100) | 0
  writePair(century, target, at)
  writePair(year - century * 100, target, at + 2)
  target[at + 4] = 0x2d
  writePair(month, target, at + 5)
  target[at + 7] = 0x2d
  writePair(dayOfYear - (((153 * shifted + 2) / 5) | 0) + 1, target, at + 8)
}

function writePair(value: number, target: Uint8Array, at: number): void {
  const tens = (value / 10) | 0
  target[at] = 0x30 + tens
  target[at + 1] = 0x30 + value - tens * 10
}
