/** Statuses: for the error table, between HTTP's numbers and the result codes, and their phrases. */
import type { ErrorCode } from '../../core/errors.ts'

/** The HTTP status of each failure. */
export const status = {
  BAD_REQUEST: 400,
  HEAD_TOO_LARGE: 431,
  URI_TOO_LONG: 414,
  BODY_TOO_LARGE: 413,
  VERSION_UNSUPPORTED: 505,
  EXPECTATION_FAILED: 417,
  FEATURE_UNSUPPORTED: 501,
  ARGUMENTS_MISSING: 400,
  ARGUMENTS_INVALID: 400,
  REQUEST_TIMEOUT: 408,
  DOWNSTREAM_GONE: 499,
  LOOP: 508,
  NO_ROUTE: 404,
  ACCESS_DENIED: 403,
  AUTHORISATION_FAILED: 403,
  SESSION_EXPIRED: 401,
  DECRYPTION_FAILED: 400,
  SIGN_KEY_MISSING: 401,
  SIGN_PARAMETER_MISSING: 401,
  SIGN_WRONG: 401,
  SIGN_EXPIRED: 401,
  SIGN_NO_TIMESTAMP: 401,
  SIGN_MISSING: 401,
  CORS_REFUSED: 403,
  RATE_LIMITED: 429,
  FAULT_INJECTED: 503,
  FILTER_FAILED: 500,
  OVERLOADED: 503,
  DRAINING: 503,
  INTERNAL: 500,
  NO_ENDPOINT: 503,
  UPSTREAM_OVERFLOW: 503,
  UPSTREAM_REFUSED: 503,
  UPSTREAM_CONNECT_FAILED: 503,
  UPSTREAM_CONNECT_TIMEOUT: 504,
  UPSTREAM_RESET: 502,
  UPSTREAM_PROTOCOL: 502,
  UPSTREAM_TIMEOUT: 504,
  DEADLINE_EXCEEDED: 504,
} satisfies Record<ErrorCode, number>

/** The result code of each failure, for operations that came over HTTP. */
export const resultCode = {
  BAD_REQUEST: 3002,
  HEAD_TOO_LARGE: 3002,
  URI_TOO_LONG: 3002,
  BODY_TOO_LARGE: 3002,
  VERSION_UNSUPPORTED: 3002,
  EXPECTATION_FAILED: 3002,
  FEATURE_UNSUPPORTED: 3002,
  ARGUMENTS_MISSING: 3001,
  ARGUMENTS_INVALID: 3002,
  REQUEST_TIMEOUT: 3002,
  DOWNSTREAM_GONE: 5000,
  LOOP: 4002,
  NO_ROUTE: 3000,
  ACCESS_DENIED: 1001,
  AUTHORISATION_FAILED: 1005,
  SESSION_EXPIRED: 2000,
  DECRYPTION_FAILED: 3003,
  SIGN_KEY_MISSING: 7000,
  SIGN_PARAMETER_MISSING: 7001,
  SIGN_WRONG: 7002,
  SIGN_EXPIRED: 7003,
  SIGN_NO_TIMESTAMP: 7007,
  SIGN_MISSING: 7014,
  CORS_REFUSED: 8002,
  RATE_LIMITED: 1002,
  FAULT_INJECTED: 5000,
  FILTER_FAILED: 5000,
  OVERLOADED: 1002,
  DRAINING: 1002,
  INTERNAL: 5000,
  NO_ENDPOINT: 4002,
  UPSTREAM_OVERFLOW: 1002,
  UPSTREAM_REFUSED: 1002,
  UPSTREAM_CONNECT_FAILED: 4002,
  UPSTREAM_CONNECT_TIMEOUT: 4001,
  UPSTREAM_RESET: 4002,
  UPSTREAM_PROTOCOL: 4002,
  UPSTREAM_TIMEOUT: 4001,
  DEADLINE_EXCEEDED: 4001,
} satisfies Record<ErrorCode, number>

const RESULT_TO_STATUS: ReadonlyMap<number, number> = new Map([
  [1000, 200],
  [1001, 403],
  [1002, 429],
  [1005, 403],
  [2000, 401],
  [3000, 404],
  [3001, 400],
  [3002, 400],
  [4001, 504],
  [4002, 502],
  [4003, 502],
  [5000, 500],
])

/** The HTTP status that a plain request gets for a result code. */
export function statusOfResult(code: number): number {
  if (code >= 7000 && code <= 7999) return 401
  return RESULT_TO_STATUS.get(code) ?? 500
}

/** The result code that an operation gets when its business process answered in HTTP. */
export function resultOfStatus(httpStatus: number): number {
  if (httpStatus < 400) return 1000
  if (httpStatus === 401) return 2000
  if (httpStatus === 403) return 1001
  if (httpStatus === 404) return 3000
  if (httpStatus === 429) return 1002
  if (httpStatus < 500) return 3002
  return httpStatus === 504 ? 4001 : 4002
}

const PHRASES: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  418: "I'm a teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  499: 'Client Closed Request',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  511: 'Network Authentication Required',
}

/** The reason phrase of a status, `''` for one without a registered phrase. */
export function phraseOf(httpStatus: number): string {
  return PHRASES[httpStatus] ?? ''
}

const lines: (Buffer | undefined)[] = new Array(1000)

/** The whole status line, CRLF included; built on first use. A number that is no HTTP status gets 500's. */
export function statusLine(httpStatus: number): Buffer {
  const safe = Number.isInteger(httpStatus) && httpStatus >= 100 && httpStatus <= 999 ? httpStatus : 500
  return (lines[safe] ??= Buffer.from(`HTTP/1.1 ${safe} ${phraseOf(safe)}\r\n`))
}
