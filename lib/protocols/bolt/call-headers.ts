/** The header block of a call that meshgate makes. */
import type { Exchange } from '../../core/exchange.ts'
import { Key, MAX_SHORT_LENGTH } from './constants.ts'
import { type HeaderBlock, writeText } from './headers.ts'

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
  const block = Buffer.concat(pairs.map(encoded))
  if (block.length > MAX_SHORT_LENGTH / 2)
    throw new Error(`service and method take ${block.length} bytes of headers, use shorter names`)
  return block
}

/** The pairs that are the same for every call of one method over connections of one application, and the name that the trace id follows. */
export class CallFront {
  readonly app: string
  readonly bytes: Buffer
  /** Where the pairs end and that name begins. */
  readonly pairsEnd: number

  /** `constant` comes from {@link constantPairs}; `''` is no application. */
  constructor(constant: Buffer, app: string) {
    const pairs = app === '' ? [constant] : [constant, encoded(Key.App), encoded(app)]
    this.app = app
    this.bytes = Buffer.concat([...pairs, encoded(Key.TraceId)])
    this.pairsEnd = this.bytes.length - encoded(Key.TraceId).length
  }
}

function encoded(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** The name of the rpcId, with its length. */
const RPC_ID_NAME = encoded(Key.RpcId)
/** What a pair has in front of its value. */
const VALUE_OVERHEAD = 4

/** Filled for a call and written at once; one serves all calls. */
export class CallHeaders implements HeaderBlock {
  #front: CallFront = new CallFront(Buffer.alloc(0), '')
  #traceId = ''
  #rpcId = ''

  fill(front: CallFront, exchange: Exchange): void {
    const { request } = exchange
    const { headers } = request
    const names = request.protocol === 'mmtp' ? TRACE_NAMES.mmtp : TRACE_NAMES.http1
    this.#front = front
    this.#traceId = headers.get(names.traceId) ?? exchange.traceId
    this.#rpcId = headers.get(names.rpcId) ?? exchange.rpcId
    if (this.#rpcId === '') this.#rpcId = ROOT_RPC_ID
    // What a caller sends without a filter that checks it must not break the frame.
    if (this.limit > MAX_SHORT_LENGTH) this.#traceId = ''
  }

  get limit(): number {
    if (this.#traceId === '') return this.#front.pairsEnd
    const values = UTF8_BYTES * (this.#traceId.length + this.#rpcId.length)
    return this.#front.bytes.length + RPC_ID_NAME.length + 2 * VALUE_OVERHEAD + values
  }

  write(buffer: Buffer, at: number): number {
    const { bytes, pairsEnd } = this.#front
    if (this.#traceId === '') return at + bytes.copy(buffer, at, 0, pairsEnd)
    at = writeText(buffer, at + bytes.copy(buffer, at), this.#traceId)
    for (let i = 0; i < RPC_ID_NAME.length; i++) buffer[at++] = RPC_ID_NAME[i] as number
    return writeText(buffer, at, this.#rpcId)
  }
}
