/** Bolt as tests speak it; see rpc-kinds.ts. */
import { frame, parseFrames } from './bolt-wire.ts'
import { draftHessian } from './rpc-hessian.ts'
import type { AnswerParts, CallParts, RpcKind, RpcMessage } from './rpc-kinds.ts'

export const REQUEST_CLASS = 'com.alipay.sofa.rpc.core.request.SofaRequest'
export const RESPONSE_CLASS = 'com.alipay.sofa.rpc.core.response.SofaResponse'
const TYPES = ['answer', 'call', 'one-way'] as const
const BEATS = ['heartbeat-answer', 'heartbeat'] as const
const GO_AWAY = 100

export const boltKind: RpcKind = {
  name: 'bolt',
  ids: ['00000001', '7fffffff', '80000000', 'ffffffff', '00000000', '00000003', '0000ffff', '12345678'],
  statuses: {
    ok: 0,
    timeout: 7,
    busy: 4,
    noRoute: 6,
    noEndpoint: 6,
    unreachable: 6,
    reset: 16,
    malformed: 2,
    refused: 2,
    injected: 2,
    unsupported: 2,
  },

  frameLength(bytes) {
    if (bytes.length < 3) return 0
    const extra = (bytes[0] as number) - 1
    const isAnswer = bytes[1 + extra] === 0
    const at = 10 + 2 * extra + (isAnswer ? 2 : 4)
    if (bytes.length < at + 8) return 0
    const hasCrc = extra === 1 && bytes[1] === 2 && ((bytes[11] as number) & 1) === 1
    const parts = bytes.readUInt16BE(at) + bytes.readUInt16BE(at + 2) + bytes.readUInt32BE(at + 4)
    return at + 8 + parts + (hasCrc ? 4 : 0)
  },

  parse(raw): RpcMessage {
    const [one] = parseFrames(raw)
    if (one === undefined) throw new Error('no frame')
    const headers = Object.fromEntries(one.headers)
    const [service = '', version = '', group = ''] = (headers['service'] ?? '').split(':')
    const isBeat = one.command === 0
    return {
      type:
        one.command === GO_AWAY
          ? 'event'
          : isBeat
            ? (BEATS[one.type] as 'heartbeat')
            : (TYPES[one.type] as 'call'),
      id: (one.id >>> 0).toString(16).padStart(8, '0'),
      status: one.type === 0 ? one.word : 0,
      service,
      version,
      group,
      method: headers['sofa_head_method_name'] ?? '',
      app: headers['app'] ?? '',
      timeoutMs: one.type === 0 ? 0 : one.word,
      headers,
      text: textOf(one.className, one.content),
      raw,
      content: one.content,
    }
  },

  call(id, parts: CallParts = {}) {
    const { service = 'a.B', version = '1.0', group = '', method = 'hi', app, headers = {} } = parts
    const name = `${service}:${version}${group === '' ? '' : `:${group}`}`
    const pairs: [string, string][] = [
      ['service', name],
      ['sofa_head_target_service', name],
      ['sofa_head_method_name', method],
      ...Object.entries(headers),
    ]
    if (app !== undefined) pairs.push(['app', app])
    const { isOneWay = false, timeoutMs = isOneWay ? -1 : 3000, text = 'text' } = parts
    return frame({
      type: isOneWay ? 2 : 1,
      id: Number.parseInt(id, 16),
      word: timeoutMs,
      className: REQUEST_CLASS,
      headers: pairs,
      content: text,
    })
  },

  answer(id, { status = 0, text = 'answer', headers = {} }: AnswerParts = {}) {
    return frame({
      type: 0,
      id: Number.parseInt(id, 16),
      word: status,
      className: 'Text',
      headers: Object.entries(headers),
      content: text,
    })
  },

  withId(bytes, id) {
    const copy = Buffer.from(bytes)
    copy.write(id, copy[0] === 1 ? 5 : 6, 'hex')
    return copy
  },

  heartbeat: (id) => frame({ type: 1, command: 0, id: Number.parseInt(id, 16), word: -1 }),
  beatAnswer: (id) => frame({ type: 0, command: 0, id: Number.parseInt(id, 16), word: 0 }),
}

/** Ours and Java's bear Hessian, those of tests plain text. */
function textOf(className: string, content: Buffer): string {
  if (className !== RESPONSE_CLASS && !className.endsWith('RpcServerException')) return content.toString()
  try {
    const value = new draftHessian.DecoderV2(content).read()
    return String(className === RESPONSE_CLASS ? value.appResponse : value.message)
  } catch {
    return content.toString('latin1')
  }
}
