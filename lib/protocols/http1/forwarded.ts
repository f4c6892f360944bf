/** `X-Forwarded-*` and `Forwarded` (RFC 7239) by the listener's policy. */
import type { HeaderTable } from '../../buffer/header-table.ts'
import type { ServerCodecOptions } from '../../core/codec.ts'
import { FLAG_FORWARDED } from './constants.ts'
import type { Http1Request } from './request.ts'

const FOR = 'x-forwarded-for'
const PROTO = 'x-forwarded-proto'
const HOST = 'x-forwarded-host'

/**
 * Enters who called into the request's headers. `append` adds the caller to the list that came and keeps the rest only
 * when the peer is trusted; `replace` believes nothing; `off` leaves everything as it came.
 */
export function applyForwarded(request: Http1Request, options: ServerCodecOptions, address: string): void {
  const policy = options.forwarded
  if (policy === 'off') return
  const headers = request.headers
  let keepsProto = false
  let keepsHost = false
  let list = address
  if ((request.flags & FLAG_FORWARDED) !== 0) {
    if (policy === 'append') {
      keepsProto = options.trusted && headers.has(PROTO)
      keepsHost = options.trusted && headers.has(HOST)
      list = joined(headers.get(FOR), address)
      extendForwarded(headers, address)
    } else headers.remove('forwarded')
    headers.remove(FOR)
    if (!keepsProto) headers.remove(PROTO)
    if (!keepsHost) headers.remove(HOST)
  }
  // Pushed without `set`: nothing is left to replace, and all of it has been checked.
  const added = (headers.added ??= [])
  if (list !== '') added.push(FOR, list)
  if (!keepsProto) added.push(PROTO, 'http')
  const authority = request.authority
  if (!keepsHost && authority !== '') added.push(HOST, authority)
}

function joined(list: string | null, address: string): string {
  if (list === null || list === '') return address
  return address === '' ? list : `${list}, ${address}`
}

/** Adds the caller to a `Forwarded` that came; none is started, because `X-Forwarded-For` says the same. */
function extendForwarded(headers: HeaderTable, address: string): void {
  const elements = headers.get('forwarded')
  if (elements === null || address === '') return
  const node = address.includes(':') ? `"[${address}]"` : address
  headers.set('forwarded', `${elements}, for=${node};proto=http`)
}
