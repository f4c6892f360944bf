/**
 * Bolt and Dubbo as tests speak them, written from their specifications: the same few messages in either. Calls bear one
 * text as argument, answers one text as result; how it is encoded is the protocol's.
 */
import { boltKind } from './rpc-bolt.ts'
import { dubboKind } from './rpc-dubbo.ts'

/** One message in readable form. */
export interface RpcMessage {
  readonly type: 'call' | 'one-way' | 'answer' | 'heartbeat' | 'heartbeat-answer' | 'event'
  /** In hexadecimal: 8 digits in Bolt, 16 in Dubbo. */
  readonly id: string
  /** Of an answer. */
  readonly status: number
  readonly service: string
  readonly version: string
  readonly group: string
  readonly method: string
  readonly app: string
  /** Milliseconds that a call gives; 0 when it gives none. */
  readonly timeoutMs: number
  /** Bolt's header pairs, Dubbo's attachments. */
  readonly headers: Readonly<Record<string, string>>
  /** The argument of a call, the result or the reason in an answer. */
  readonly text: string
  /** The whole frame. */
  readonly raw: Buffer
  /** Content of a Bolt frame, body of a Dubbo frame. */
  readonly content: Buffer
}

/** What a call may say. */
export interface CallParts {
  readonly service?: string
  readonly version?: string
  readonly group?: string
  readonly method?: string
  readonly app?: string
  readonly timeoutMs?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly text?: string
  readonly isOneWay?: boolean
}

/** What an answer may say. */
export interface AnswerParts {
  readonly status?: number
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** One of the two protocols. */
export interface RpcKind {
  readonly name: 'bolt' | 'dubbo'
  /** Ids as callers make them. */
  readonly ids: readonly string[]
  /** What the protocol's own clients understand for each failure. */
  readonly statuses: Readonly<
    Record<
      | 'ok'
      | 'timeout'
      | 'busy'
      | 'noRoute'
      | 'noEndpoint'
      | 'unreachable'
      | 'reset'
      | 'malformed'
      | 'refused'
      | 'injected'
      | 'unsupported',
      number
    >
  >
  /** Bytes of the frame that `bytes` begin with; 0 while that is not known. */
  frameLength(bytes: Buffer): number
  parse(frame: Buffer): RpcMessage
  call(id: string, parts?: CallParts): Buffer
  answer(id: string, parts?: AnswerParts): Buffer
  /** A copy with another id. */
  withId(frame: Buffer, id: string): Buffer
  heartbeat(id: string): Buffer
  beatAnswer(id: string): Buffer
}

/** Both protocols, to run a test for each. */
export const KINDS: readonly RpcKind[] = [boltKind, dubboKind]
