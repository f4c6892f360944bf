/** What a request says about zones, in the words of its protocol, and what is written when it is sent on. */
import type { Exchange } from '../../core/exchange.ts'
import type { Headers, ProtocolName, RequestHead } from '../../core/message.ts'
import { showShard, UNSHARDED } from './shards.ts'

/** Header names of one protocol; `''` where the protocol has a better place. All but the first two are meshgate's own. */
export interface MarkNames {
  readonly uid: string
  readonly origin: string
  readonly shard: string
  readonly hops: string
  readonly version: string
  readonly target: string
  readonly tag: string
  readonly hint: string
}

const HTTP: MarkNames = {
  uid: 'x-ldc-uid',
  origin: 'x-ldc-origin',
  shard: 'x-ldc-shard',
  hops: 'x-ldc-hops',
  version: 'x-ldc-ver',
  target: 'x-ldc-target',
  tag: 'x-ldc-tag',
  hint: 'x-ldc-zone-hint',
}
const MMTP: MarkNames = {
  uid: 'uid',
  origin: 'origin-zone',
  shard: '',
  hops: '',
  version: 'ldc-ver',
  target: 'target-cell',
  tag: 'tag',
  hint: 'zone-hint',
}
const RPC: MarkNames = {
  uid: 'uid',
  origin: 'rpc_trace_context.sofaCallerZone',
  shard: 'ldc.shard',
  hops: 'ldc.hops',
  version: 'ldc.ver',
  target: 'ldc.target',
  tag: 'ldc.tag',
  hint: 'ldc.zone-hint',
}
const NAMES: Readonly<Record<ProtocolName, MarkNames>> = { http1: HTTP, mmtp: MMTP, bolt: RPC, dubbo: RPC }

/** Marks that are HTTP's own and not in {@link MarkNames}. */
const HTTP_TRIPLE = ['tri-unit-info', 'tri-traffic-type']

/** Every name that only a trusted peer may use. */
const STRIPPED: Readonly<Record<ProtocolName, readonly string[]>> = {
  http1: [...Object.values(HTTP).filter((name) => name !== HTTP.hint), ...HTTP_TRIPLE],
  // HTTP's names too: a request that was translated bears them.
  mmtp: [...Object.values(MMTP), ...Object.values(HTTP), ...HTTP_TRIPLE].filter(
    (name) => name !== '' && name !== 'tag',
  ),
  bolt: Object.values(RPC),
  dubbo: Object.values(RPC),
}

/** Names that mean nothing beyond the gateway that the request was sent to. */
const CONSUMED = ['hops', 'version', 'target'] as const

/** The names that a protocol uses. */
export function namesFor(protocol: ProtocolName): MarkNames {
  return NAMES[protocol]
}

/** What a request over Mmtp has beside its headers; the codec's own object has these fields. */
export interface MmtpMarks {
  /** 0–99, or beyond when unknown. */
  shard?: number
  /** Bits of {@link LOAD_TEST}, {@link GREY}, {@link SHARD_VERIFIED}. */
  marks?: number
  /** Forwards that are left, this gateway's own to its business process among them. */
  hops?: number
}

export const LOAD_TEST = 0x01
export const GREY = 0x08
export const SHARD_VERIFIED = 0x80
/** Tag that the grey mark of Mmtp stands for. */
const GREY_TAG = 'grey-b'

/** The fields that Mmtp has in its frame; for requests of other protocols all are undefined. */
export function mmtpMarks(request: RequestHead): MmtpMarks {
  return request as unknown as MmtpMarks
}

const BAGGAGE_MARK = /(?:^|[&,;\s])(?:_sys_)?mark=T(?:[&,;\s]|$)/

/** True when the request bears the mark of a load test. Believe it of trusted peers only. */
export function isLoadTest(request: RequestHead): boolean {
  const { headers } = request
  switch (request.protocol) {
    case 'mmtp':
      return (
        ((mmtpMarks(request).marks ?? 0) & LOAD_TEST) !== 0 || headers.get('tri-traffic-type') === 'pressure'
      )
    case 'http1':
      return headers.get('tri-traffic-type') === 'pressure' || hasMark(headers.get('baggage'))
    case 'bolt':
    case 'dubbo':
      return (
        hasMark(headers.get('rpc_trace_context.sofaPenAttrs')) ||
        hasMark(headers.get('new_rpc_trace_context')) ||
        headers.get('tri-traffic-type') === 'pressure'
      )
  }
}

function hasMark(baggage: string | null): boolean {
  return baggage !== null && baggage !== '' && BAGGAGE_MARK.test(baggage)
}

/** Headers that hold baggage of the caller's beside the mark. */
const BAGGAGE: Readonly<Record<ProtocolName, readonly string[]>> = {
  http1: ['baggage'],
  mmtp: [],
  bolt: ['rpc_trace_context.sofaPenAttrs', 'new_rpc_trace_context'],
  dubbo: ['rpc_trace_context.sofaPenAttrs', 'new_rpc_trace_context'],
}

/** The tag that rules may ask for, `''` for none. */
export function tagOf(request: RequestHead): string {
  const tag = request.headers.get(NAMES[request.protocol].tag)
  if (tag !== null) return tag
  return request.protocol === 'mmtp' && ((mmtpMarks(request).marks ?? 0) & GREY) !== 0 ? GREY_TAG : ''
}

/** The cell that the sender of a forwarded request meant; `''` when nobody forwarded it. */
export function targetOf(request: RequestHead): string {
  const own = request.headers.get(NAMES[request.protocol].target)
  if (own !== null) return own
  return request.protocol === 'mmtp' ? (request.headers.get(HTTP.target) ?? '') : ''
}

/** Version of the sender's rules; 0 when it gives none. */
export function versionOf(request: RequestHead): number {
  const { headers, protocol } = request
  const text =
    headers.get(NAMES[protocol].version) ?? (protocol === 'mmtp' ? headers.get(HTTP.version) : null)
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : 0
}

/** How often a request may still be sent to another cell, at most `maxHops`. */
export function hopsOf(request: RequestHead, maxHops: number): number {
  const { headers, protocol } = request
  let left = maxHops
  const text = headers.get(protocol === 'mmtp' ? HTTP.hops : NAMES[protocol].hops)
  if (text !== null) left = /^\d{1,2}$/.test(text) ? Math.min(left, Number(text)) : 0
  const { hops } = mmtpMarks(request)
  // One of Mmtp's hops is left for the way to the business process.
  if (protocol === 'mmtp' && hops !== undefined) left = Math.min(left, Math.max(0, hops - 1))
  return left
}

/** Takes away what a peer that is not trusted may not say. */
export function stripMarks(request: RequestHead): void {
  const { headers, protocol } = request
  const names = STRIPPED[protocol]
  for (let i = 0; i < names.length; i++) if (headers.has(names[i])) headers.remove(names[i])
  const baggage = BAGGAGE[protocol]
  for (let i = 0; i < baggage.length; i++) unmark(headers, baggage[i])
  if (protocol !== 'mmtp') return
  const prefix = mmtpMarks(request)
  if (prefix.marks !== undefined) prefix.marks &= ~(LOAD_TEST | SHARD_VERIFIED)
}

/** Leaves the baggage of a request as it is, but for the mark of a load test. */
function unmark(headers: Headers, name: string): void {
  const value = headers.get(name)
  if (value !== null && hasMark(value))
    headers.set(name, value.replace(/(?<![a-zA-Z0-9])mark=T(?![^&,;\s])/g, 'mark=F'))
}

/** Takes away what was meant for this gateway. */
export function consumeMarks({ headers, protocol }: RequestHead): void {
  removeAll(headers, NAMES[protocol])
  if (protocol === 'mmtp') removeAll(headers, HTTP)
}

function removeAll(headers: Headers, names: MarkNames): void {
  for (const key of CONSUMED) if (names[key] !== '') headers.remove(names[key])
}

/** Says whose request it is: shard and verified user. */
export function writeUser(exchange: Exchange, shard: number, isVerified: boolean): void {
  const { request } = exchange
  const names = NAMES[request.protocol]
  if (exchange.userId !== '') request.headers.set(names.uid, exchange.userId)
  if (shard === UNSHARDED) return
  if (names.shard !== '') {
    request.headers.set(names.shard, showShard(shard, shard + 1))
    return
  }
  const prefix = mmtpMarks(request)
  prefix.shard = shard
  if (isVerified) prefix.marks = (prefix.marks ?? 0) | SHARD_VERIFIED
}

/** What goes with a request that is sent to another cell. */
export interface ForwardMarks {
  readonly version: string
  readonly origin: string
  readonly target: string
  /** Forwards left before this one. */
  readonly hops: number
}

/** Writes what the gateway of the other cell has to know. */
export function writeForward(request: RequestHead, marks: ForwardMarks): void {
  const names = NAMES[request.protocol]
  const { headers } = request
  headers.set(names.version, marks.version)
  headers.set(names.origin, marks.origin)
  headers.set(names.target, marks.target)
  if (names.hops !== '') headers.set(names.hops, String(marks.hops - 1))
  // The encoder takes one off as it forwards; see hopsOf for the other one.
  else mmtpMarks(request).hops = marks.hops + 1
}
