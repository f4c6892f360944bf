/** The string to sign. */
import { hash } from 'node:crypto'
import type { RequestHead } from '../../core/message.ts'

/**
 * What a request calls: the operation; `METHOD target` of a plain HTTP request; `service:version:group.method` of an RPC. An
 * operation has no path of its own, so what stood in an HTTP request line beside it is not signed.
 */
export function targetOf(request: RequestHead): string {
  if (request.operation !== '') return request.operation
  if (request.service !== '') {
    return `${request.service}:${request.version}:${request.group}.${request.method}`
  }
  const { method, path, query } = request
  return query === '' ? `${method} ${path}` : `${method} ${path}?${query}`
}

/** `target LF ts LF did LF base64(sha256(body))`. No header holds a line feed, so no other request gives the same string. */
export function stringToSign(target: string, ts: string, did: string, body: Buffer): string {
  return `${target}\n${ts}\n${did}\n${hash('sha256', body, 'base64')}`
}

const TIMESTAMP = /^[0-9]{1,16}$/

/** Milliseconds since 1970; NaN for anything but decimal digits. */
export function parseTimestamp(text: string): number {
  return TIMESTAMP.test(text) ? Number(text) : Number.NaN
}
