/**
 * Java classes of the platform that are objects on the wire and plain text in JSON: `java.time` types travel as handles,
 * `java.util.Locale` too. Field names and handle classes as hessian-lite 4.0 and sofa-hessian 3.5 write them.
 */

import { daysOf } from './iso-dates.ts'

/** Whose library reads the arguments: it decides the classes of handles. */
export type HessianPeer = 'sofa' | 'dubbo'

/** Package of the handle classes of each library. */
export const HANDLE_PACKAGES: Readonly<Record<HessianPeer, string>> = {
  sofa: 'com.caucho.hessian.io.',
  dubbo: 'com.alibaba.com.caucho.hessian.io.',
}

/** A number, a text, or an object of class `form`. */
export type TextPart = number | string | TextObject

/** The object that a text becomes. */
export interface TextObject {
  readonly form: TextForm
  readonly values: readonly TextPart[]
}

/** One class with a text form. */
export interface TextForm {
  /** Class on the wire; in a handle's name the library's package comes before it. */
  readonly wireName: string
  readonly isHandle: boolean
  readonly fields: readonly string[]
  /** What a text should look like, for messages. */
  readonly example: string
  /** The object for a text, null when it has another form. */
  readonly parse: (text: string) => TextObject | null
}

const LOCAL_DATE: TextForm = {
  wireName: 'java8.LocalDateHandle',
  isHandle: true,
  fields: ['year', 'month', 'day'],
  example: 'a date such as "2024-01-31"',
  parse: (text) => {
    const match = /^([+-]?\d{4,9})-(\d\d)-(\d\d)$/.exec(text)
    if (match === null) return null
    const [year, month, day] = match.slice(1).map(Number) as [number, number, number]
    const isReal = month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month)
    return isReal ? { form: LOCAL_DATE, values: [year, month, day] } : null
  },
}

const LOCAL_TIME: TextForm = {
  wireName: 'java8.LocalTimeHandle',
  isHandle: true,
  fields: ['hour', 'minute', 'second', 'nano'],
  example: 'a time such as "13:45:00"',
  parse: (text) => {
    const match = /^([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,9}))?)?$/.exec(text)
    if (match === null) return null
    const nano = Number((match[4] ?? '').padEnd(9, '0'))
    return { form: LOCAL_TIME, values: [Number(match[1]), Number(match[2]), Number(match[3] ?? 0), nano] }
  },
}

const LOCAL_DATE_TIME: TextForm = {
  wireName: 'java8.LocalDateTimeHandle',
  isHandle: true,
  fields: ['date', 'time'],
  example: 'a local time such as "2024-01-31T13:45:00"',
  parse: (text) => {
    const split = text.indexOf('T')
    const date = split < 0 ? null : LOCAL_DATE.parse(text.slice(0, split))
    const time = split < 0 ? null : LOCAL_TIME.parse(text.slice(split + 1))
    return date === null || time === null ? null : { form: LOCAL_DATE_TIME, values: [date, time] }
  },
}

const INSTANT: TextForm = {
  wireName: 'java8.InstantHandle',
  isHandle: true,
  fields: ['seconds', 'nanos'],
  example: 'a point in time such as "2024-01-31T13:45:00Z"',
  parse: (text) => {
    const local = text.endsWith('Z') ? LOCAL_DATE_TIME.parse(text.slice(0, -1)) : null
    if (local === null) return null
    const [date, time] = local.values as [TextObject, TextObject]
    const [year, month, day] = date.values as [number, number, number]
    const [hour, minute, second, nano] = time.values as [number, number, number, number]
    const start = new Date(0)
    start.setUTCFullYear(year, month - 1, day)
    const seconds = start.getTime() / 1000 + hour * 3600 + minute * 60 + second
    return Number.isNaN(seconds) ? null : { form: INSTANT, values: [seconds, nano] }
  },
}

const LOCALE: TextForm = {
  wireName: 'LocaleHandle',
  isHandle: true,
  fields: ['value'],
  example: 'a locale such as "zh_CN"',
  parse: (text) => (/^[A-Za-z0-9_#-]{0,64}$/.test(text) ? { form: LOCALE, values: [text] } : null),
}

const UUID: TextForm = {
  wireName: 'java.util.UUID',
  isHandle: false,
  fields: ['value'],
  example: 'a UUID such as "123e4567-e89b-12d3-a456-426614174000"',
  parse: (text) =>
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? { form: UUID, values: [text] } : null,
}

/** Class → its text form, for arguments to that library. sofa-hessian 3 has no portable form of a UUID. */
export function textFormOf(className: string, peer: HessianPeer): TextForm | null {
  if (className === 'java.util.UUID') return peer === 'dubbo' ? UUID : null
  return TEXT_FORMS.get(className) ?? null
}

const TEXT_FORMS: ReadonlyMap<string, TextForm> = new Map([
  ['java.time.LocalDate', LOCAL_DATE],
  ['java.time.LocalTime', LOCAL_TIME],
  ['java.time.LocalDateTime', LOCAL_DATE_TIME],
  ['java.time.Instant', INSTANT],
  ['java.util.Locale', LOCALE],
])

/**
 * The ISO text of a `java.time` handle, `name` being its class without the package; null for fields that make none.
 * `valueOf` gives a field: a number, or the text of the handle in it.
 */
export function formatHandle(name: string, valueOf: (field: string) => unknown): string | null {
  switch (name) {
    case 'java8.LocalDateHandle':
      return joined([padYear(valueOf('year')), pad(valueOf('month')), pad(valueOf('day'))], '-')
    case 'java8.LocalTimeHandle': {
      const time = joined([pad(valueOf('hour')), pad(valueOf('minute')), pad(valueOf('second'))], ':')
      return time === null ? null : time + fraction(valueOf('nano'))
    }
    case 'java8.LocalDateTimeHandle':
      return joined([textIn(valueOf('date')), textIn(valueOf('time'))], 'T')
    case 'java8.InstantHandle': {
      const seconds = Number(valueOf('seconds'))
      if (!(Math.abs(seconds) <= 8.64e12)) return null
      return `${new Date(seconds * 1000).toISOString().slice(0, -5)}${fraction(valueOf('nanos'))}Z`
    }
    default:
      return null
  }
}

function joined(parts: readonly (string | null)[], separator: string): string | null {
  return parts.includes(null) ? null : parts.join(separator)
}

function textIn(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function pad(value: unknown): string | null {
  return typeof value === 'number' ? String(value).padStart(2, '0') : null
}

/** Years of more than four digits have a sign, as ISO 8601 wants it. */
function padYear(value: unknown): string | null {
  if (typeof value !== 'number') return null
  const digits = String(Math.abs(value)).padStart(4, '0')
  return value < 0 ? `-${digits}` : digits.length > 4 ? `+${digits}` : digits
}

/** Nanoseconds as a fraction, in groups of three digits as Java prints them; nothing for none. */
function fraction(value: unknown): string {
  const nanos = typeof value === 'number' && value > 0 ? value : 0
  return nanos === 0
    ? ''
    : `.${String(nanos)
        .padStart(9, '0')
        .replace(/(000){1,2}$/, '')}`
}
