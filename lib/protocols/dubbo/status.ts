/** How failures look in Dubbo. A Java consumer makes a TimeoutException of 30 and 31, a SerializationException of 25, and a RemotingException with our text of everything else. */
import type { ErrorCode, GatewayError } from '../../core/errors.ts'
import { ERRORS } from '../../core/errors.ts'
import { Status } from './constants.ts'

/** The status of each row of the error table. */
export const status = {
  BAD_REQUEST: Status.BadRequest,
  HEAD_TOO_LARGE: Status.BadRequest,
  URI_TOO_LONG: Status.BadRequest,
  BODY_TOO_LARGE: Status.BadRequest,
  VERSION_UNSUPPORTED: Status.BadRequest,
  EXPECTATION_FAILED: Status.BadRequest,
  FEATURE_UNSUPPORTED: Status.BadRequest,
  ARGUMENTS_MISSING: Status.BadRequest,
  ARGUMENTS_INVALID: Status.BadRequest,
  REQUEST_TIMEOUT: Status.BadRequest,
  DOWNSTREAM_GONE: Status.ChannelInactive,
  LOOP: Status.ServiceError,
  NO_ROUTE: Status.ServiceNotFound,
  ACCESS_DENIED: Status.ServiceError,
  AUTHORISATION_FAILED: Status.ServiceError,
  SESSION_EXPIRED: Status.ServiceError,
  DECRYPTION_FAILED: Status.ServiceError,
  SIGN_KEY_MISSING: Status.ServiceError,
  SIGN_PARAMETER_MISSING: Status.ServiceError,
  SIGN_WRONG: Status.ServiceError,
  SIGN_EXPIRED: Status.ServiceError,
  SIGN_NO_TIMESTAMP: Status.ServiceError,
  SIGN_MISSING: Status.ServiceError,
  CORS_REFUSED: Status.ServiceError,
  RATE_LIMITED: Status.ThreadPoolExhausted,
  FAULT_INJECTED: Status.ServiceError,
  FILTER_FAILED: Status.ServerError,
  OVERLOADED: Status.ThreadPoolExhausted,
  DRAINING: Status.ThreadPoolExhausted,
  INTERNAL: Status.ServerError,
  NO_ENDPOINT: Status.ServiceNotFound,
  UPSTREAM_OVERFLOW: Status.ThreadPoolExhausted,
  UPSTREAM_REFUSED: Status.ThreadPoolExhausted,
  UPSTREAM_CONNECT_FAILED: Status.ServiceNotFound,
  UPSTREAM_CONNECT_TIMEOUT: Status.ServerTimeout,
  UPSTREAM_RESET: Status.ChannelInactive,
  UPSTREAM_PROTOCOL: Status.BadResponse,
  UPSTREAM_TIMEOUT: Status.ServerTimeout,
  DEADLINE_EXCEEDED: Status.ServerTimeout,
} as const satisfies Record<ErrorCode, number>

/** The text of a failure for the caller: from the error table or the filter that refused, never the detail. */
export function errorText(error: GatewayError): string {
  return `meshgate: ${error.callerMessage ?? ERRORS[error.code].message} [${error.code}]`
}
