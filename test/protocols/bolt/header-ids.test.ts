/** Trace ids that stay where they came until somebody reads them. */
import t from 'tap'
import { traceContext } from '../../../lib/filters/trace-context.ts'
import { RPC_ID_BYTES, TRACE_ID_BYTES } from '../../../lib/filters/trace-ids.ts'
import { BoltHeaders, writeText } from '../../../lib/protocols/bolt/headers.ts'
import { ManualClock, makeTestExchange, testFilter } from '../../../lib/testing.ts'

const TRACE = 'rpc_trace_context.sofaTraceId'
const RPC = 'rpc_trace_context.sofaRpcId'

function headersOf(...pairs: readonly (readonly [string, string])[]): BoltHeaders {
  const bytes = Buffer.alloc(4096, 0x21)
  const base = 5
  let at = base
  for (const [name, value] of pairs) at = writeText(bytes, writeText(bytes, at, name), value)
  const headers = new BoltHeaders()
  headers.read(bytes, base, 0, at - base)
  return headers
}

/** An exchange whose request has these headers, after `trace-context` saw it. */
async function traced(headers: BoltHeaders, options: Record<string, unknown> = {}) {
  const exchange = makeTestExchange({ protocol: 'bolt' }, new ManualClock())
  Object.defineProperty(exchange.request, 'headers', { value: headers })
  const kit = testFilter(traceContext, options, { name: 'trace-context' })
  kit.filter.onRequest?.(exchange)
  return exchange
}

t.test('the place of an id is given for what came and is one', async (t) => {
  const headers = headersOf([TRACE, 'a'.repeat(64)], ['service', 'a.B:1.0'], [RPC, '0.1'])
  const place = headers.placeOfId(TRACE, TRACE_ID_BYTES)
  t.equal(headers.textAt(place), 'a'.repeat(64))
  t.equal(headers.textAt(headers.placeOfId(RPC.toUpperCase(), RPC_ID_BYTES)), '0.1')
  t.ok(headers.placeOfId(RPC, TRACE_ID_BYTES) < 0, 'a full stop')
  t.ok(headers.placeOfId('absent', TRACE_ID_BYTES) < 0, 'absent')
  t.ok(headers.placeOfId('servicé', TRACE_ID_BYTES) < 0, 'a name beyond ASCII')
  headers.set(RPC, '0.2')
  t.ok(headers.placeOfId(RPC, RPC_ID_BYTES) < 0, 'replaced')
  headers.remove(TRACE)
  t.ok(headers.placeOfId(TRACE, TRACE_ID_BYTES) < 0, 'removed')
  t.equal(headers.textAt(place), 'a'.repeat(64), 'what came is still to be had')
  headers.release()
  t.equal(headers.textAt(place), '')
  for (const bad of ['', 'a'.repeat(65), 'a b', 'é', 'a\n'])
    t.ok(headersOf([TRACE, bad]).placeOfId(TRACE, TRACE_ID_BYTES) < 0, JSON.stringify(bad))
})

t.test('of a repeated id the last one counts', async (t) => {
  const headers = headersOf([TRACE, 'first'], [TRACE, 'last'])
  t.equal(headers.textAt(headers.placeOfId(TRACE, TRACE_ID_BYTES)), 'last')
})

t.test('an exchange reads its ids from the headers, also after these were changed and moved', async (t) => {
  const headers = headersOf(['x', ''], [TRACE, '0a0b-X_1'], [RPC, '0.1.1'])
  const exchange = await traced(headers)
  t.equal(headers.added, null, 'nothing was written')
  headers.set(TRACE, 'other')
  headers.retain(headers.blockEnd)
  t.equal(exchange.traceId, '0a0b-X_1')
  t.equal(exchange.rpcId, '0.1.1')
  headers.release()
  t.equal(exchange.traceId, '0a0b-X_1', 'what was read once stays')
  exchange.traceId = 'mine'
  t.equal(exchange.traceId, 'mine')
})

t.test('ids that are malformed or not believed are replaced', async (t) => {
  const malformed = headersOf([TRACE, 'a b'], [RPC, '0'])
  const made = await traced(malformed)
  t.match(made.traceId, /^[0-9a-f]{8}\d+$/)
  t.equal(malformed.get(TRACE), made.traceId)
  const badRpc = headersOf([TRACE, 'a'], [RPC, '0 1'])
  const kept = await traced(badRpc)
  t.equal(kept.traceId, 'a')
  t.equal(kept.rpcId, '0')
  t.equal(badRpc.get(RPC), '0')
  const strange = headersOf([TRACE, 'a'], [RPC, '0.1'])
  const own = await traced(strange, { trust: false })
  t.not(own.traceId, 'a')
  t.equal(strange.get(TRACE), own.traceId)
  t.equal(strange.get(RPC), '0')
})

t.test('a W3C id that came goes before the SOFATracer id when it is the first format', async (t) => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const pairs = [
    [TRACE, 'a'],
    [RPC, '0.1'],
    ['traceparent', parent],
  ] as const
  const w3c = await traced(headersOf(...pairs))
  t.equal(w3c.traceId, parent.slice(3, 35))
  t.equal(w3c.rpcId, '0.1')
  const sofa = await traced(headersOf(...pairs), { formats: ['sofa', 'w3c'] })
  t.equal(sofa.traceId, 'a')
})
