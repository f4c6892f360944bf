/** Exceptions of the business process: what a caller is told of them, and what the log. */
import type { JsonRules } from '../../core/route.ts'
import type { HessianReader } from './reader.ts'
import { HessianList, HessianObject, type HessianValue } from './values.ts'

/** Stack frames of each exception, and causes, that a log entry shows. */
const MAX_FRAMES = 16
const MAX_CAUSES = 8
/** Characters of a log entry, and of a message for a caller. */
const MAX_LOG = 8192
const MAX_MESSAGE = 512
/** Fields that every exception has. */
const OWN_FIELDS = new Set(['detailMessage', 'cause', 'stackTrace', 'suppressedExceptions'])

/** One exception that a method threw. */
export interface ServiceException {
  /** Its class, such as `com.example.BizException`. */
  readonly className: string
  /** `''` when it has none. */
  readonly message: string
  /** Class, message, own fields, the top of the stack and the causes, for the log. */
  readonly logText: string
}

/** What a caller is told of an exception. */
export interface ExceptionReply {
  /** For `result-memo`; not encoded. */
  readonly memo: string
  /** JSON; `{}` when all is hidden. */
  readonly body: Buffer
}

/**
 * Reads the next value, which tells of an exception: an object of its class, Dubbo's `GenericException` (which is told
 * as the exception it stands for), or in lack of a class a text. Throws a `HessianError` for a broken value.
 */
export function readException(reader: HessianReader): ServiceException {
  const value = reader.readValue()
  if (!(value instanceof HessianObject)) {
    const message = typeof value === 'string' ? value : ''
    return { className: '', message, logText: message.slice(0, MAX_LOG) }
  }
  const inner = textOf(value.get('exceptionClass'))
  if (inner !== '' && value.className.endsWith('.GenericException')) {
    const message = textOf(value.get('exceptionMessage'))
    const full = textOf(value.get('detailMessage'))
    return {
      className: inner,
      message,
      logText: (full === '' ? `${inner}: ${message}` : full).slice(0, MAX_LOG),
    }
  }
  return {
    className: value.className,
    message: textOf(value.get('detailMessage')),
    logText: describe(value).slice(0, MAX_LOG),
  }
}

/** What the caller is told, by the route's policy. */
export function exceptionReply(exception: ServiceException, policy: JsonRules['exceptions']): ExceptionReply {
  const message = exception.message.slice(0, MAX_MESSAGE).toWellFormed()
  switch (policy) {
    case 'hidden':
      return { memo: 'the service threw an exception', body: Buffer.from('{}') }
    case 'message':
      return { memo: message, body: Buffer.from(JSON.stringify({ message })) }
    case 'class-and-message': {
      const { className } = exception
      const memo = message === '' ? className : `${className}: ${message}`
      return { memo, body: Buffer.from(JSON.stringify({ class: className, message })) }
    }
  }
}

function describe(thrown: HessianObject): string {
  const lines: string[] = []
  const seen = new Set<HessianObject>()
  let at: HessianValue | undefined = thrown
  for (let i = 0; i < MAX_CAUSES && at instanceof HessianObject && !seen.has(at); i++) {
    seen.add(at)
    const message = textOf(at.get('detailMessage'))
    lines.push(
      `${i === 0 ? '' : 'Caused by: '}${at.className}${message === '' ? '' : `: ${message}`}${ownFields(at)}`,
    )
    lines.push(...frames(at.get('stackTrace')))
    at = at.get('cause')
  }
  return lines.join('\n')
}

/** ` {code: 4001}`: fields of the exception's own class that have a short form. */
function ownFields(thrown: HessianObject): string {
  const parts: string[] = []
  for (const [name, value] of thrown.fields) {
    if (OWN_FIELDS.has(name) || value === null || typeof value === 'object') continue
    parts.push(`${name}: ${typeof value === 'string' ? JSON.stringify(value.slice(0, 200)) : String(value)}`)
  }
  return parts.length === 0 ? '' : ` {${parts.join(', ')}}`
}

function frames(trace: HessianValue | undefined): string[] {
  if (!(trace instanceof HessianList)) return []
  const shown = trace.items.slice(0, MAX_FRAMES).map((frame) => {
    if (!(frame instanceof HessianObject)) return '  at ?'
    const file = textOf(frame.get('fileName'))
    const where = file === '' ? 'Unknown Source' : `${file}:${String(frame.get('lineNumber'))}`
    return `  at ${textOf(frame.get('declaringClass'))}.${textOf(frame.get('methodName'))}(${where})`
  })
  const left = trace.items.length - shown.length
  return left > 0 ? [...shown, `  … ${left} more`] : shown
}

function textOf(value: HessianValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
