/** The header block of a call that meshgate makes. */
import type { Exchange } from '../../core/exchange.ts'
import { Key, MAX_SHORT_LENGTH } from './constants.ts'
import { type HeaderBlock, PAIR_OVERHEAD, writeText } from './headers.ts'

/** UTF-8 bytes of one UTF-16 unit, at most. */
const UTF8_BYTES = 3
/** Names that the trace-context filter uses in the protocols of callers. */
const TRACE_NAMES = {
  http1: { traceId: 'sofa-traceid', rpcId: 'sofa-rpcid' },
  mmtp: { traceId: 'trace-id', rpcId: 'rpc-id' },
} as const
/** The rpcId of a call that is the first of its trace. */
const ROOT_RPC_ID = '0'

/** The pairs that are the same for every call of one method. */
export function constantPairs(uniqueName: string, method: string): Buffer {
  const pairs = [Key.TargetService, uniqueName, Key.Service, uniqueName, Key.Method, method]
  pairs.push(Key.Protocol, 'bolt', Key.Type, 'sync')
  const texts = pairs.flatMap((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeInt32BE(bytes.length)
    return [length, bytes]
  })
  const block = Buffer.concat(texts)
  if (block.length > MAX_SHORT_LENGTH / 2)
    throw new Error(`service and method take ${block.length} bytes of headers, use shorter names`)
  return block
}

/** Filled for a call and written at once; one serves all calls. */
export class CallHeaders implements HeaderBlock {
  #constant: Buffer = Buffer.alloc(0)
  #app = ''
  #traceId = ''
  #rpcId = ''

  /** `constant` comes from {@link constantPairs}. */
  fill(constant: Buffer, app: string, exchange: Exchange): void {
    const { request } = exchange
    const { headers } = request
    const names = request.protocol === 'mmtp' ? TRACE_NAMES.mmtp : TRACE_NAMES.http1
    this.#constant = constant
    this.#app = app
    this.#traceId = headers.get(names.traceId) ?? exchange.traceId
    this.#rpcId = headers.get(names.rpcId) ?? exchange.rpcId
    if (this.#rpcId === '') this.#rpcId = ROOT_RPC_ID
    // What a caller sends without a filter that checks it must not break the frame.
    if (this.limit > MAX_SHORT_LENGTH) this.#traceId = ''
  }

  get limit(): number {
    const texts = this.#app.length + this.#traceId.length + this.#rpcId.length
    const names = Key.App.length + Key.TraceId.length + Key.RpcId.length
    const ids = this.#traceId === '' ? UTF8_BYTES * this.#app.length : UTF8_BYTES * texts
    return this.#constant.length + 3 * PAIR_OVERHEAD + names + ids
  }

  write(buffer: Buffer, at: number): number {
    at += this.#constant.copy(buffer, at)
    if (this.#app !== '') at = writeText(buffer, writeText(buffer, at, Key.App), this.#app)
    if (this.#traceId === '') return at
    at = writeText(buffer, writeText(buffer, at, Key.TraceId), this.#traceId)
    return writeText(buffer, writeText(buffer, at, Key.RpcId), this.#rpcId)
  }
}
