/** Gives every exchange trace ids: passes on those that came, makes those that did not. */
import type { Exchange } from '../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices } from '../core/filter.ts'
import type { Headers } from '../core/message.ts'
import { Sampler } from './sampler.ts'
import {
  addMade,
  isSofaRpcId,
  isSofaTraceId,
  parseTraceParent,
  RPC_ID_BYTES,
  SofaTraceIds,
  spanIdOf,
  TRACE_ID_BYTES,
  TraceParentPool,
  traceIdOf,
} from './trace-ids.ts'
import { BOLT_IDS, boltCarrier, DubboContexts, dubboCarrier, type TraceCarrier } from './trace-rpc.ts'

/** Options of `trace-context`. */
export const traceContextSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    formats: {
      type: 'array',
      items: { enum: ['w3c', 'sofa'] },
      minItems: 1,
      default: ['w3c', 'sofa'],
      description:
        'Which kinds of ids are read and made; the first one is what logs show. Over Mmtp, Bolt and Dubbo, which have names of their own for SOFATracer ids, W3C ids are made only where `sofa` is left out',
    },
    trust: {
      enum: [true, false, 'listener'],
      default: true,
      description: 'Whether ids that came are passed on; `listener`: on trusted listeners only',
    },
    sample: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      default: 1,
      description: 'Fraction of the new W3C traces that are marked as sampled',
    },
  },
} as const

interface Options {
  readonly formats?: readonly ('w3c' | 'sofa')[]
  readonly trust?: boolean | 'listener'
  readonly sample?: number
}

/** The `trace-context` filter. */
export const traceContext: FilterDefinition<Options> = {
  schema: traceContextSchema,
  perRoute: false,
  create: (options, services) => new TraceContext(options, services),
}

const HTTP_TRACE_ID = 'sofa-traceid'
const HTTP_RPC_ID = 'sofa-rpcid'
const MMTP_TRACE_ID = 'trace-id'
const MMTP_RPC_ID = 'rpc-id'

// A proxy is no party to the trace: it takes no rpc number and no span of its own, so that the callee's span hangs
// below the caller's and not below one that nobody reports.
class TraceContext implements Filter {
  readonly name: string
  readonly #hasW3c: boolean
  readonly #hasSofa: boolean
  readonly #isSofaFirst: boolean
  readonly #trust: boolean | 'listener'
  readonly #sampler: Sampler | null
  readonly #sampled = new TraceParentPool('01')
  readonly #unsampled = new TraceParentPool('00')
  readonly #sofaIds: SofaTraceIds
  readonly #dubboContexts: DubboContexts

  constructor(options: Options, services: FilterServices) {
    const formats = options.formats ?? ['w3c', 'sofa']
    this.name = services.name
    this.#hasW3c = formats.includes('w3c')
    this.#hasSofa = formats.includes('sofa')
    this.#isSofaFirst = formats[0] === 'sofa'
    this.#trust = options.trust ?? true
    this.#sampler = options.sample === undefined || options.sample === 1 ? null : new Sampler(options.sample)
    this.#sofaIds = new SofaTraceIds(services.clock)
    this.#dubboContexts = new DubboContexts(services.clock)
  }

  onRequest(exchange: Exchange): void {
    const isTrusted = this.#trust === 'listener' ? exchange.listener.trusted : this.#trust
    const { headers, protocol } = exchange.request
    if (this.#hasW3c) this.#applyW3c(exchange, headers, isTrusted, this.#hasSofa && protocol !== 'http1')
    if (!this.#hasSofa) return
    if (protocol === 'http1') this.#applySofa(exchange, headers, isTrusted, HTTP_TRACE_ID, HTTP_RPC_ID)
    else if (protocol === 'mmtp') this.#applySofa(exchange, headers, isTrusted, MMTP_TRACE_ID, MMTP_RPC_ID)
    else if (protocol === 'bolt') this.#applyBolt(exchange, headers, isTrusted)
    else this.#applyDubbo(exchange, headers, isTrusted)
  }

  /** Ids that are as they should be are left where they are: nobody may ever read them. */
  #applyBolt(exchange: Exchange, headers: Headers, isTrusted: boolean): void {
    const tracePlace = isTrusted ? placeOf(headers, BOLT_IDS.traceId, TRACE_ID_BYTES) : -1
    const rpcPlace = tracePlace < 0 ? -1 : placeOf(headers, BOLT_IDS.rpcId, RPC_ID_BYTES)
    if (rpcPlace < 0) {
      this.#applyRpc(exchange, headers, isTrusted, boltCarrier)
      return
    }
    exchange.leaveRpcIdAt(rpcPlace)
    if (this.#isSofaFirst || exchange.traceId === '') exchange.leaveTraceIdAt(tracePlace)
  }

  #applyDubbo(exchange: Exchange, headers: Headers, isTrusted: boolean): void {
    const made = exchange.traceId === '' ? this.#dubboContexts.addTo(headers) : null
    if (made === null) {
      this.#applyRpc(exchange, headers, isTrusted, dubboCarrier)
      return
    }
    exchange.traceId = made
    exchange.rpcId = '0'
  }

  /** An RPC whose ids came is left as it is, so that it can be forwarded as it is. */
  #applyRpc(exchange: Exchange, headers: Headers, isTrusted: boolean, carrier: TraceCarrier): void {
    const came = carrier.traceId(headers)
    if (came === null && exchange.traceId !== '') return
    const isKnown = isTrusted && came !== null && isSofaTraceId(came)
    const traceId = isKnown ? came : this.#sofaIds.next()
    const rpcCame = isKnown ? carrier.rpcId(headers) : null
    const isRpcKnown = rpcCame !== null && isSofaRpcId(rpcCame)
    const rpcId = isRpcKnown ? rpcCame : '0'
    if (!isRpcKnown) carrier.write(headers, traceId, rpcId)
    exchange.rpcId = rpcId
    if (this.#isSofaFirst || exchange.traceId === '') exchange.traceId = traceId
  }

  #applyW3c(exchange: Exchange, headers: Headers, isTrusted: boolean, isOptional: boolean): void {
    const header = headers.get('traceparent')
    if (header === null && isOptional) return
    const parent = header === null || !isTrusted ? null : parseTraceParent(header)
    if (parent !== null) {
      exchange.traceId = parent.traceId
      exchange.spanId = parent.spanId
      if (parent.header !== header) headers.set('traceparent', parent.header)
      return
    }
    const isSampled = this.#sampler === null || this.#sampler.take()
    const ids = isSampled ? this.#sampled : this.#unsampled
    const made = ids.next()
    exchange.traceId = traceIdOf(made)
    exchange.spanId = spanIdOf(made)
    if (header === null) addMade(headers, 'traceparent', made, ids)
    else headers.set('traceparent', made)
    // A tracestate belongs to the traceparent that it came with.
    if (headers.has('tracestate')) headers.remove('tracestate')
  }

  #applySofa(
    exchange: Exchange,
    headers: Headers,
    isTrusted: boolean,
    traceName: string,
    rpcName: string,
  ): void {
    const came = headers.get(traceName)
    const isKnown = isTrusted && came !== null && isSofaTraceId(came)
    const traceId = isKnown ? came : this.#sofaIds.next()
    const rpcCame = headers.get(rpcName)
    const rpcId = isKnown && rpcCame !== null && isSofaRpcId(rpcCame) ? rpcCame : '0'
    if (came === null) addMade(headers, traceName, traceId, this.#sofaIds)
    else if (!isKnown) headers.set(traceName, traceId)
    if (rpcCame === null) headers.add(rpcName, rpcId)
    else if (rpcCame !== rpcId) headers.set(rpcName, rpcId)
    exchange.rpcId = rpcId
    if (this.#isSofaFirst || exchange.traceId === '') exchange.traceId = traceId
  }
}

function placeOf(headers: Headers, name: string, idBytes: Uint8Array): number {
  return headers.placeOfId === undefined ? -1 : headers.placeOfId(name, idBytes)
}
