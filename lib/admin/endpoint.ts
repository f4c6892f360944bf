/** The contract of an endpoint of the admin port. Endpoints see neither a socket nor the web framework. */
import type { Readable } from 'node:stream'
import type { GatewayInspector } from '../core/inspect.ts'
import type { Logger } from '../core/services.ts'

/** What an endpoint is asked. */
export interface AdminRequest {
  readonly gateway: GatewayInspector
  readonly log: Logger
  /** Decoded; of a key that came twice, the last. */
  readonly query: ReadonlyMap<string, string>
  /** `''` when there was none. */
  readonly body: string
  /** Aborted when the caller is gone or the admin port closes. Made on the first call. */
  signal(): AbortSignal
}

/** What an endpoint answers: `json` becomes JSON, everything else is sent as it is. */
export interface AdminReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: { readonly json: unknown } | string | Readable
}

/** One path and method of the admin port. */
export interface Endpoint {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** One line for the list of endpoints that a wrong path gets. */
  readonly summary: string
  handle(request: AdminRequest): AdminReply | Promise<AdminReply>
}

/** A refusal that its caller can do something about. */
export class AdminError extends Error {
  readonly status: number
  readonly code: string

  /** `code` is stable and in capitals; `message` says what would be right. */
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** Answers JSON. */
export function json(value: unknown, status = 200): AdminReply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: { json: value } }
}

/** Answers something else than JSON. */
export function content(
  type: string,
  body: string | Readable,
  headers: Readonly<Record<string, string>> = {},
): AdminReply {
  return { status: 200, headers: { ...headers, 'content-type': type }, body }
}

/** Reads a whole number within bounds from the query; `fallback` when it is not there. Throws an {@link AdminError} 400. */
export function integerParameter(
  request: AdminRequest,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly fallback: number },
): number {
  const text = request.query.get(name)
  if (text === undefined) return bounds.fallback
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= bounds.min && value <= bounds.max) return value
  throw new AdminError(
    400,
    'BAD_PARAMETER',
    `"${name}" must be a whole number from ${bounds.min} to ${bounds.max}, not "${text}"`,
  )
}
