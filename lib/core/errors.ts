/**
 * The one error table. A code is public and permanent: callers compare `error.code`, logs and metrics carry
 * it, and every protocol maps each code to its own statuses in a total table (`protocols/<name>/status.ts`),
 * so a code without a mapping does not compile.
 */

/** Who caused a failure: the caller, the business process, or meshgate itself. */
export type ErrorSide = 'downstream' | 'upstream' | 'gateway'

/**
 * Whether a failed request may be sent again:
 * - `never`: it may have run, or would fail in the same way;
 * - `unsent`: nothing of it was processed, another attempt is safe;
 * - `idempotent`: it may have run, so only a request that is safe to repeat may go again.
 */
export type RetryClass = 'never' | 'unsent' | 'idempotent'

/** One row of the error table. */
export interface ErrorRow {
  /** What went wrong, in words a caller may be shown. */
  readonly message: string
  readonly side: ErrorSide
  readonly retry: RetryClass
  /** Envoy's response flag for the access log. */
  readonly flag: string
}

/** Every failure that meshgate itself reports. `docs/errors.md` is generated from this table. */
export const ERRORS = {
  BAD_REQUEST: { message: 'the request is malformed', side: 'downstream', retry: 'never', flag: 'DPE' },
  HEAD_TOO_LARGE: {
    message: 'the request head is too large',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  URI_TOO_LONG: {
    message: 'the request target is too long',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  BODY_TOO_LARGE: {
    message: 'the message is larger than the limit',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  VERSION_UNSUPPORTED: {
    message: 'the protocol version is not supported',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  EXPECTATION_FAILED: {
    message: 'the expectation cannot be met',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  FEATURE_UNSUPPORTED: {
    message: 'the request needs a feature that is not supported',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  ARGUMENTS_MISSING: {
    message: 'the request has no arguments',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  ARGUMENTS_INVALID: {
    message: 'the arguments do not fit the method',
    side: 'downstream',
    retry: 'never',
    flag: 'DPE',
  },
  REQUEST_TIMEOUT: {
    message: 'the request did not arrive in time',
    side: 'downstream',
    retry: 'never',
    flag: 'DT',
  },
  DOWNSTREAM_GONE: { message: 'the caller went away', side: 'downstream', retry: 'never', flag: 'DC' },
  LOOP: { message: 'the request has no hops left', side: 'downstream', retry: 'never', flag: 'LO' },
  NO_ROUTE: { message: 'no route matches', side: 'gateway', retry: 'never', flag: 'NR' },
  ACCESS_DENIED: { message: 'access is denied', side: 'gateway', retry: 'never', flag: 'UAEX' },
  AUTHORISATION_FAILED: {
    message: 'the authorisation failed',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  SESSION_EXPIRED: {
    message: 'the login session is missing or expired',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  DECRYPTION_FAILED: {
    message: 'the body cannot be decrypted',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  SIGN_KEY_MISSING: {
    message: 'there is no key for the signature',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  SIGN_PARAMETER_MISSING: {
    message: 'what the signature check needs is missing',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  SIGN_WRONG: { message: 'the signature is wrong', side: 'gateway', retry: 'never', flag: 'UAEX' },
  SIGN_EXPIRED: {
    message: 'the timestamp is outside its window',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  SIGN_NO_TIMESTAMP: { message: 'the timestamp is missing', side: 'gateway', retry: 'never', flag: 'UAEX' },
  SIGN_MISSING: { message: 'the signature is missing', side: 'gateway', retry: 'never', flag: 'UAEX' },
  CORS_REFUSED: {
    message: 'the cross-origin request is refused',
    side: 'gateway',
    retry: 'never',
    flag: 'UAEX',
  },
  RATE_LIMITED: { message: 'the rate limit is reached', side: 'gateway', retry: 'unsent', flag: 'RL' },
  FAULT_INJECTED: { message: 'a fault was injected', side: 'gateway', retry: 'never', flag: 'FI' },
  FILTER_FAILED: { message: 'a filter failed', side: 'gateway', retry: 'never', flag: 'FE' },
  OVERLOADED: {
    message: 'meshgate has no room for the request',
    side: 'gateway',
    retry: 'unsent',
    flag: 'OM',
  },
  DRAINING: { message: 'meshgate is draining', side: 'gateway', retry: 'unsent', flag: 'DR' },
  INTERNAL: { message: 'internal error', side: 'gateway', retry: 'never', flag: 'IE' },
  NO_ENDPOINT: {
    message: 'the cluster has no usable endpoint',
    side: 'upstream',
    retry: 'unsent',
    flag: 'UH',
  },
  UPSTREAM_OVERFLOW: {
    message: 'the cluster is at its limit',
    side: 'upstream',
    retry: 'unsent',
    flag: 'UO',
  },
  UPSTREAM_REFUSED: {
    message: 'the business process refused the request unprocessed',
    side: 'upstream',
    retry: 'unsent',
    flag: 'UR',
  },
  UPSTREAM_CONNECT_FAILED: {
    message: 'the business process cannot be reached',
    side: 'upstream',
    retry: 'unsent',
    flag: 'UF',
  },
  UPSTREAM_CONNECT_TIMEOUT: {
    message: 'the connection to the business process timed out',
    side: 'upstream',
    retry: 'unsent',
    flag: 'UF',
  },
  UPSTREAM_RESET: {
    message: 'the business process closed the connection before its answer was complete',
    side: 'upstream',
    retry: 'idempotent',
    flag: 'UC',
  },
  UPSTREAM_PROTOCOL: {
    message: 'the business process sent a malformed answer',
    side: 'upstream',
    retry: 'never',
    flag: 'UPE',
  },
  UPSTREAM_TIMEOUT: {
    message: 'the business process did not answer in time',
    side: 'upstream',
    retry: 'idempotent',
    flag: 'UT',
  },
  DEADLINE_EXCEEDED: {
    message: 'the time budget of the request is spent',
    side: 'upstream',
    retry: 'never',
    flag: 'UT',
  },
} as const satisfies Record<string, ErrorRow>

/** The name of one row of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS

/** All codes, in the table's order. */
export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[]

/** One failure of one exchange. Made on the rare path only: it carries a stack. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly side: ErrorSide
  readonly retry: RetryClass
  readonly flag: string
  /** Facts for the log; never sent to a caller. */
  readonly detail: string
  /** Text for the caller in place of the table's; null for the table's. */
  callerMessage: string | null = null
  /** How long a caller should wait before it tries again, in milliseconds; 0 when there is nothing to say. */
  retryAfterMs = 0

  /** `detail` says what was wrong and where, for the log; `cause` is the error that led to this one. */
  constructor(code: ErrorCode, detail = '', cause?: unknown) {
    const row: ErrorRow = ERRORS[code]
    super(
      detail === '' ? row.message : `${row.message}: ${detail}`,
      cause === undefined ? undefined : { cause },
    )
    this.code = code
    this.side = row.side
    this.retry = row.retry
    this.flag = row.flag
    this.detail = detail
  }

  override get name(): string {
    return 'GatewayError'
  }
}

/** What was thrown, as a row of the table: anything unforeseen is `INTERNAL`. */
export function toGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('INTERNAL', '', error)
}
