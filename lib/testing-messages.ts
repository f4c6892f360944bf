/** Requests and responses made up for the test kit: plain objects with the contract of those that codecs make. */
import { isFailureStatus } from './buffer/local-response.ts'
import type { DownstreamStream, LocalReply } from './core/codec.ts'
import type { Headers, ProtocolName, RequestHead, ResponseHead, StatusKind } from './core/message.ts'

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const PRINTABLE = /^[!-~]+$/
const FORBIDDEN_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/

/** {@link Headers} over a list of pairs. */
export class PlainHeaders implements Headers {
  readonly #isRpc: boolean
  #pairs: [name: string, value: string][] = []

  /** A list gives one header several values. Names of an RPC keep their case, and of several values the last one wins. */
  constructor(from: Readonly<Record<string, string | readonly string[]>> = {}, isRpc = false) {
    this.#isRpc = isRpc
    for (const [name, values] of Object.entries(from)) {
      const written = isRpc ? name : name.toLowerCase()
      for (const value of typeof values === 'string' ? [values] : values) this.add(written, value)
    }
  }

  get(name: string): string | null {
    const values = this.getAll(name)
    if (this.#isRpc) return values.at(-1) ?? null
    return values.length === 0 ? null : values.join(name === 'cookie' ? '; ' : ', ')
  }

  getAll(name: string): string[] {
    return this.#pairs.filter(([key]) => this.#isSame(key, name)).map(([, value]) => value)
  }

  has(name: string): boolean {
    return this.#pairs.some(([key]) => this.#isSame(key, name))
  }

  set(name: string, value: string): void {
    this.#check(name, value)
    this.remove(name)
    this.#pairs.push([name, value])
  }

  add(name: string, value: string): void {
    this.#check(name, value)
    this.#pairs.push([name, value])
  }

  remove(name: string): void {
    this.#pairs = this.#pairs.filter(([key]) => !this.#isSame(key, name))
  }

  forEach(visit: (name: string, value: string) => void): void {
    for (const [name, value] of [...this.#pairs]) visit(name, value)
  }

  /** Name → value, repeated ones joined. */
  toObject(): Record<string, string> {
    return Object.fromEntries(this.#pairs.map(([name]) => [name, this.get(name) as string]))
  }

  #isSame(name: string, other: string): boolean {
    return name === other || (this.#isRpc && name.toLowerCase() === other.toLowerCase())
  }

  #check(name: string, value: string): void {
    if (!(this.#isRpc ? PRINTABLE : TOKEN).test(name)) {
      const what = this.#isRpc ? 'hold printable ASCII only' : 'be a lower-case token'
      throw new TypeError(`header name ${JSON.stringify(name)} must ${what}`)
    }
    if (FORBIDDEN_IN_VALUE.test(value))
      throw new TypeError(`the value of header ${name} holds a control character`)
  }
}

/** True for the protocols whose requests are RPCs. */
export function isRpcProtocol(protocol: ProtocolName): boolean {
  return protocol === 'bolt' || protocol === 'dubbo'
}

/** A request in a test; every part may be left out. */
export interface TestRequest {
  /** `http1` unless said otherwise. */
  readonly protocol?: ProtocolName
  /** `GET`, or `POST` when there is a body or an operation; `call` of an RPC. */
  readonly method?: string
  /** With its query: `/a?b=c`. */
  readonly path?: string
  readonly authority?: string
  /** Makes it an operation request. */
  readonly operation?: string
  /** Interface of an RPC; `method` is then its method. */
  readonly service?: string
  readonly version?: string
  readonly group?: string
  readonly app?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Text, bytes, or any other value as JSON. */
  readonly body?: unknown
  /** Address of the caller. */
  readonly clientIp?: string
  /** False for a listener at the edge. */
  readonly trusted?: boolean
  readonly budgetMs?: number
}

/** What the business process answers in a test; success (200, 1000, Bolt's 0, Dubbo's 20) with nothing when left out. */
export interface TestAnswer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: unknown
}

/** The head of a made-up request. */
export class TestRequestHead implements RequestHead {
  readonly protocol: ProtocolName
  readonly method: string
  path: string
  query: string
  authority: string
  readonly operation: string
  readonly service: string
  readonly version: string
  readonly group: string
  readonly app: string
  readonly headers: PlainHeaders
  readonly bodyLength: number
  readonly isIdempotent: boolean
  readonly budgetMs: number

  constructor(request: TestRequest) {
    const isNamed = (request.operation ?? request.service) !== undefined
    const target = request.path ?? (isNamed ? '' : '/')
    const cut = target.indexOf('?')
    this.protocol = request.protocol ?? 'http1'
    this.operation = request.operation ?? ''
    this.method = request.method ?? usualMethod(request)
    this.path = cut === -1 ? target : target.slice(0, cut)
    this.query = cut === -1 ? '' : target.slice(cut + 1)
    this.authority = request.authority ?? (request.service === undefined ? 'test.local' : '')
    this.service = request.service ?? ''
    this.version = request.version ?? ''
    this.group = request.group ?? ''
    this.app = request.app ?? ''
    this.headers = new PlainHeaders(request.headers, isRpcProtocol(this.protocol))
    this.bodyLength = toBytes(request.body).length
    this.isIdempotent = this.method === 'GET' || this.method === 'HEAD'
    this.budgetMs = request.budgetMs ?? 0
  }

  retain(): void {}
  release(): void {}
}

/** The head of a made-up response. */
export class TestResponseHead implements LocalReply {
  status: number
  readonly statusKind: StatusKind
  readonly headers: PlainHeaders
  readonly body: Buffer

  constructor(
    status: number,
    statusKind: StatusKind,
    headers: Readonly<Record<string, string | readonly string[]>>,
    body: Buffer,
  ) {
    this.status = status
    this.statusKind = statusKind
    this.headers = new PlainHeaders(headers, statusKind === 'bolt' || statusKind === 'dubbo')
    this.body = body
  }

  get isFailure(): boolean {
    return isFailureStatus(this.statusKind, this.status)
  }

  get failureDetail(): string {
    return ''
  }

  get bodyLength(): number {
    return this.body.length
  }

  retain(): void {}
  release(): void {}
}

function usualMethod({ service, body, operation }: TestRequest): string {
  if (service !== undefined) return 'call'
  return body === undefined && operation === undefined ? 'GET' : 'POST'
}

/** Text and bytes as they are, anything else as JSON. */
export function toBytes(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body === 'string') return Buffer.from(body)
  return body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
}

/** A caller that takes everything. The kit reads the answer off the exchange, so nothing is kept here. */
export class TestDownstream implements DownstreamStream {
  readonly isWritable = true

  sendInformational(_response: ResponseHead): void {}
  sendResponse(_response: ResponseHead, _last: boolean): void {}
  sendBody(_bytes: Buffer, _offset: number, _end: number, _last: boolean): void {}
  sendTrailers(_trailers: Headers): void {}
  errorReply(): LocalReply {
    return new TestResponseHead(500, 'http', {}, Buffer.alloc(0))
  }
  localReply(status: number, _resultCode: number, body: Buffer): LocalReply {
    return new TestResponseHead(status, 'http', {}, body)
  }
  reset(): void {}
  pause(): void {}
  resume(): void {}
  finish(): void {}
}
