/**
 * A business process whose methods are functions, behind SOFARPC or Dubbo: calls are read and answers written by other
 * implementations of Hessian than meshgate's. Arguments come as hessian.js reads them, `$class` lost, unless they are raw.
 */
import type { Test } from 'tap'
import { frame as boltFrame } from './bolt-wire.ts'
import { frame as dubboFrame } from './dubbo-wire.ts'
import { RESPONSE_CLASS } from './rpc-bolt.ts'
import { draftHessian, encodeValues, finalHessian } from './rpc-hessian.ts'
import type { RpcKind, RpcMessage } from './rpc-kinds.ts'
import { type RpcBusiness, type RpcSocket, startRpcBusiness } from './rpc-socket.ts'

/** One call as the service sees it. */
export interface ServiceCall {
  readonly service: string
  readonly version: string
  readonly group: string
  readonly method: string
  /** Types of the arguments: Java's names in SOFARPC, JVM descriptors in Dubbo. */
  readonly types: readonly string[]
  readonly arguments: readonly any[]
  /** Through Dubbo's `$invoke`. */
  readonly isGeneric: boolean
  readonly message: RpcMessage
}

/** What a method does. */
export type ServiceAnswer =
  | { readonly result: unknown }
  | { readonly thrown: { readonly class: string; readonly message: string } }
  /** A status of the protocol with a text. */
  | { readonly status: number; readonly text?: string }
  /** SOFARPC's own failures, which come with status 0. */
  | { readonly refused: string }
  /** The result as bytes. */
  | { readonly raw: Buffer }
  /** The whole content. */
  | { readonly content: Buffer }
  /** Nothing at all, or the end of the connection. */
  | 'silence'
  | 'death'

/** A service that is running. */
export interface Service extends RpcBusiness {
  readonly seen: ServiceCall[]
}

/** Starts it; it ends with the test. */
export async function startService(
  t: Test,
  kind: RpcKind,
  act: (call: ServiceCall) => ServiceAnswer,
): Promise<Service> {
  const seen: ServiceCall[] = []
  const read = kind.name === 'bolt' ? readBolt : readDubbo
  const business = await startRpcBusiness(t, kind, (message, peer) => {
    const call = read(message)
    seen.push(call)
    answer(peer, message.id, act(call))
  })
  return Object.assign(business, { seen })
}

function readBolt(message: RpcMessage): ServiceCall {
  const decoder = new draftHessian.DecoderV2(message.content)
  const request = decoder.read()
  const types = request.methodArgSigs as string[]
  const [service = '', version = '', group = ''] = String(request.targetServiceUniqueName).split(':')
  const values = types.map(() => decoder.read())
  return {
    service,
    version,
    group,
    method: request.methodName,
    types,
    arguments: values,
    isGeneric: false,
    message,
  }
}

const DESCRIPTORS = /\[*(?:[VZBCDFIJS]|L[^;]+;)/g

function readDubbo(message: RpcMessage): ServiceCall {
  const decoder = new finalHessian.DecoderV2(message.content)
  const [, service, version, method, descriptor] = Array.from({ length: 5 }, () => decoder.read())
  const types = String(descriptor).match(DESCRIPTORS) ?? []
  const values = types.map(() => decoder.read())
  const { group = '' } = decoder.read()
  const isGeneric = method === '$invoke'
  const call = { service, version, group, method, types, arguments: values, isGeneric, message }
  return isGeneric ? { ...call, method: values[0], types: values[1], arguments: values[2] } : call
}

function answer({ kind, socket }: RpcSocket, id: string, what: ServiceAnswer): void {
  if (what === 'silence') return
  if (what === 'death') socket.destroy()
  else socket.write(kind.name === 'bolt' ? boltAnswer(id, what) : dubboAnswer(id, what))
}

type Frame = Exclude<ServiceAnswer, 'silence' | 'death'>

function boltAnswer(id: string, what: Frame): Buffer {
  const parts = { type: 0, id: Number.parseInt(id, 16) }
  if ('status' in what) {
    const className = 'com.alipay.remoting.rpc.exception.RpcServerException'
    if (what.text === undefined) return boltFrame({ ...parts, word: what.status })
    const content = encodeValues(draftHessian, throwable(className, what.text))
    return boltFrame({ ...parts, word: what.status, className, content })
  }
  const hasFailed = 'thrown' in what || 'refused' in what
  const headers = hasFailed ? ([['sofa_head_response_error', 'true']] as const) : []
  const content =
    'content' in what
      ? what.content
      : 'raw' in what
        ? sofaResponse(what.raw)
        : encodeValues(draftHessian, {
            $class: RESPONSE_CLASS,
            $: {
              isError: 'refused' in what,
              errorMsg: 'refused' in what ? what.refused : null,
              appResponse:
                'result' in what
                  ? what.result
                  : 'thrown' in what
                    ? throwable(what.thrown.class, what.thrown.message)
                    : null,
              responseProps: null,
            },
          })
  return boltFrame({ ...parts, word: 0, className: RESPONSE_CLASS, headers, content })
}

function dubboAnswer(id: string, what: Frame): Buffer {
  if ('status' in what) return dubboFrame(0x02, what.status, id, encodeValues(finalHessian, what.text ?? ''))
  if ('refused' in what) return dubboFrame(0x02, 70, id, encodeValues(finalHessian, what.refused))
  if ('content' in what) return dubboFrame(0x02, 20, id, what.content)
  if ('raw' in what) return dubboFrame(0x02, 20, id, Buffer.concat([Buffer.of(0x91), what.raw]))
  if ('thrown' in what)
    return dubboFrame(
      0x02,
      20,
      id,
      encodeValues(finalHessian, 0, throwable(what.thrown.class, what.thrown.message)),
    )
  return dubboFrame(0x02, 20, id, encodeValues(finalHessian, 4, what.result, { dubbo: '2.0.2' }))
}

/** An exception as Java writes it, with one frame of a stack. */
function throwable(className: string, message: string): object {
  const frame = {
    $class: 'java.lang.StackTraceElement',
    $: { declaringClass: 'com.shop.Secret', methodName: 'inside', fileName: 'Secret.java', lineNumber: 42 },
  }
  const stackTrace = { $class: '[java.lang.StackTraceElement', $: [frame] }
  return {
    $class: className,
    $: { detailMessage: message, cause: null, stackTrace, suppressedExceptions: [] },
  }
}

/** A SofaResponse around the bytes of a value: slot 0 of the references is the response itself. */
function sofaResponse(value: Buffer): Buffer {
  const text = (name: string): Buffer => Buffer.concat([Buffer.of(name.length), Buffer.from(name)])
  const fields = ['isError', 'errorMsg', 'appResponse', 'responseProps'].map(text)
  const head = [
    Buffer.of(0x4f, 0x90 + RESPONSE_CLASS.length),
    Buffer.from(RESPONSE_CLASS),
    Buffer.of(0x94),
    ...fields,
  ]
  return Buffer.concat([...head, Buffer.from('6f90464e', 'hex'), value, Buffer.of(0x4e)])
}
