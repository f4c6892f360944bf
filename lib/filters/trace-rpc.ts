/** Where SOFATracer's ids stand in the headers of RPCs (docs/filters.md). */
import type { Headers } from '../core/message.ts'
import type { Clock } from '../core/services.ts'
import { addMade, SofaTraceIds } from './trace-ids.ts'

/** Reads and writes the ids of one protocol's requests. */
export interface TraceCarrier {
  /** The trace id that came, null when there is none. It may be malformed. */
  traceId(headers: Headers): string | null
  /** The rpcId that came, null when there is none. It may be malformed. */
  rpcId(headers: Headers): string | null
  /** Writes both in the form that came. */
  write(headers: Headers, traceId: string, rpcId: string): void
}

/** A header, by the name it is written with and the one it is looked up by. */
interface Name {
  readonly written: string
  readonly key: string
}

function nameOf(written: string): Name {
  return { written, key: written.toLowerCase() }
}

const BOLT_TRACE_ID = nameOf('rpc_trace_context.sofaTraceId')
const BOLT_RPC_ID = nameOf('rpc_trace_context.sofaRpcId')
const BOLT_CONTEXT = nameOf('new_rpc_trace_context')
const DUBBO_CONTEXT = nameOf('dubbo.rpc.sofa.tracer')

const TRACE_ID = 'tcid'
const RPC_ID = 'spid'
const PARENT_ID = 'pspid'

/** SOFARPC's headers that hold an id and nothing else. */
export const BOLT_IDS = { traceId: BOLT_TRACE_ID.written, rpcId: BOLT_RPC_ID.written }

/** SOFARPC over Bolt: a header pair for each id, or one context with all of them. */
export const boltCarrier: TraceCarrier = {
  traceId: (headers) =>
    headers.get(BOLT_TRACE_ID.key) ?? contextPart(headers.get(BOLT_CONTEXT.key), TRACE_ID),
  rpcId: (headers) => headers.get(BOLT_RPC_ID.key) ?? contextPart(headers.get(BOLT_CONTEXT.key), RPC_ID),
  write(headers, traceId, rpcId) {
    const context = headers.get(BOLT_CONTEXT.key)
    if (context !== null) headers.set(BOLT_CONTEXT.written, contextWith(context, traceId, rpcId))
    if (context !== null && !headers.has(BOLT_TRACE_ID.key) && !headers.has(BOLT_RPC_ID.key)) return
    headers.set(BOLT_TRACE_ID.written, traceId)
    headers.set(BOLT_RPC_ID.written, rpcId)
  },
}

/** Dubbo with SOFATracer's plug-in: one attachment with the context. */
export const dubboCarrier: TraceCarrier = {
  traceId: (headers) => contextPart(headers.get(DUBBO_CONTEXT.key), TRACE_ID),
  rpcId: (headers) => contextPart(headers.get(DUBBO_CONTEXT.key), RPC_ID),
  write(headers, traceId, rpcId) {
    const context = headers.get(DUBBO_CONTEXT.key) ?? ''
    headers.set(DUBBO_CONTEXT.written, contextWith(context, traceId, rpcId))
  },
}

const BEFORE_ID = `${TRACE_ID}=`
const BEHIND_ID = `&${RPC_ID}=0&${PARENT_ID}=&sample=true&`

/** Makes the contexts of Dubbo requests that came without one. They are flat strings: joined ones cost more to make, and are flattened when they are checked or written. */
export class DubboContexts {
  readonly #made: SofaTraceIds

  constructor(clock: Clock) {
    this.#made = new SofaTraceIds(clock, undefined, undefined, BEFORE_ID, BEHIND_ID)
  }

  /** Adds a context with the rpcId 0 and returns its trace id; null when one came. */
  addTo(headers: Headers): string | null {
    if (headers.has(DUBBO_CONTEXT.key)) return null
    const made = this.#made
    const context = made.next()
    addMade(headers, DUBBO_CONTEXT.written, context, made)
    return context.substring(BEFORE_ID.length, context.length - BEHIND_ID.length)
  }
}

/** One part of a serialised span context, `tcid=…&spid=…&pspid=…&sample=true&…`; null when it has none of that name. */
export function contextPart(context: string | null, name: string): string | null {
  if (context === null) return null
  for (let at = 0; at < context.length; ) {
    const ampersand = context.indexOf('&', at)
    const end = ampersand === -1 ? context.length : ampersand
    if (context.startsWith(name, at) && context[at + name.length] === '=')
      return context.slice(at + name.length + 1, end)
    at = end + 1
  }
  return null
}

/** The context with other ids: sampling and baggage stay, the parent was that of the ids before. */
export function contextWith(context: string, traceId: string, rpcId: string): string {
  const ids = `${TRACE_ID}=${traceId}&${RPC_ID}=${rpcId}&${PARENT_ID}=&`
  const rest = context.split('&').filter((part) => {
    const name = part.slice(0, part.indexOf('='))
    return part !== '' && name !== TRACE_ID && name !== RPC_ID && name !== PARENT_ID
  })
  if (rest.length === 0) return `${ids}sample=true&`
  return `${ids}${rest.join('&')}&`
}
