/** Dubbo as tests speak it; see rpc-kinds.ts. */
import { frame, parseFrames } from './dubbo-wire.ts'
import { encodeValues, finalHessian } from './rpc-hessian.ts'
import type { AnswerParts, CallParts, RpcKind, RpcMessage } from './rpc-kinds.ts'

const Flag = { Request: 0x80, TwoWay: 0x40, Event: 0x20, Hessian: 0x02 } as const
const HEADER_LENGTH = 16
const OK = 20

/** What a body says. */
interface Body {
  readonly strings: readonly string[]
  readonly text: string
  readonly headers: Record<string, string>
}

const NOTHING: Body = { strings: [], text: '', headers: {} }

export const dubboKind: RpcKind = {
  name: 'dubbo',
  ids: [
    '0000000000000001',
    'a605676dae25d8f9',
    'ffffffffffffffff',
    '0000000000000000',
    '8000000000000000',
    '0000000100000001',
    '7fffffffffffffff',
    '0000000000000003',
  ],
  statuses: {
    ok: OK,
    timeout: 31,
    busy: 100,
    noRoute: 60,
    noEndpoint: 60,
    unreachable: 60,
    reset: 35,
    malformed: 50,
    refused: 70,
    injected: 70,
    unsupported: 40,
  },

  frameLength: (bytes) => (bytes.length < HEADER_LENGTH ? 0 : HEADER_LENGTH + bytes.readUInt32BE(12)),

  parse(raw): RpcMessage {
    const [one] = parseFrames(raw)
    if (one === undefined) throw new Error('no frame')
    const isRequest = (one.flag & Flag.Request) !== 0
    const isTwoWay = (one.flag & Flag.TwoWay) !== 0
    const isEvent = (one.flag & Flag.Event) !== 0
    const isHessian = (one.flag & 0x1f) === Flag.Hessian
    const body =
      isEvent || !isHessian ? NOTHING : isRequest ? callBody(one.body) : answerBody(one.body, one.status)
    const [, path = '', version = '', method = ''] = body.strings
    return {
      type: typeOf(isRequest, isTwoWay, isEvent),
      id: one.id,
      status: one.status,
      service: path,
      version,
      group: body.headers['group'] ?? '',
      method,
      app: body.headers['remote.application'] ?? '',
      timeoutMs: Number(body.headers['timeout'] ?? 0),
      headers: body.headers,
      text: body.text,
      raw,
      content: one.body,
    }
  },

  call(id, parts: CallParts = {}) {
    const { service = 'a.B', version = '1.0', group, method = 'hi', app, timeoutMs, text = 'text' } = parts
    const attachments: Record<string, string> = {
      path: service,
      interface: service,
      version,
      ...parts.headers,
    }
    if (group !== undefined) attachments['group'] = group
    if (app !== undefined) attachments['remote.application'] = app
    if (timeoutMs !== undefined) attachments['timeout'] = String(timeoutMs)
    const body = encodeValues(
      finalHessian,
      '2.0.2',
      service,
      version,
      method,
      'Ljava/lang/String;',
      text,
      attachments,
    )
    return frame(Flag.Request | (parts.isOneWay ? 0 : Flag.TwoWay) | Flag.Hessian, 0, id, body)
  },

  answer(id, { status = OK, text = 'answer', headers = {} }: AnswerParts = {}) {
    const body =
      status === OK
        ? encodeValues(finalHessian, 4, text, { dubbo: '2.0.2', ...headers })
        : encodeValues(finalHessian, text)
    return frame(Flag.Hessian, status, id, body)
  },

  withId(bytes, id) {
    const copy = Buffer.from(bytes)
    copy.write(id, 4, 'hex')
    return copy
  },

  heartbeat: (id) => frame(Flag.Request | Flag.TwoWay | Flag.Event | Flag.Hessian, 0, id, '4e'),
  beatAnswer: (id) => frame(Flag.Event | Flag.Hessian, OK, id, '4e'),
}

function typeOf(isRequest: boolean, isTwoWay: boolean, isEvent: boolean): RpcMessage['type'] {
  if (isEvent) return isRequest ? (isTwoWay ? 'heartbeat' : 'event') : 'heartbeat-answer'
  return isRequest ? (isTwoWay ? 'call' : 'one-way') : 'answer'
}

/** Calls of tests have at most one argument, which is read when it is a text. */
function callBody(bytes: Buffer): Body {
  const decoder = new finalHessian.DecoderV2(bytes)
  const strings = Array.from({ length: 5 }, () => decoder.read() as string)
  const argument = strings[4] === '' ? '' : decoder.read()
  return { strings, text: typeof argument === 'string' ? argument : '', headers: decoder.read() ?? {} }
}

function answerBody(bytes: Buffer, status: number): Body {
  if (bytes.length === 0) return NOTHING
  const decoder = new finalHessian.DecoderV2(bytes)
  const first = decoder.read()
  if (status !== OK) return { ...NOTHING, text: String(first) }
  const kind = first as number
  const text = kind === 2 || kind === 5 ? '' : String(decoder.read())
  return { ...NOTHING, text, headers: kind >= 3 ? decoder.read() : {} }
}
