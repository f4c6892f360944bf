/** One connection of an RPC protocol, spoken frame by frame: a caller's, or that of a business process. */
import { once } from 'node:events'
import net from 'node:net'
import type { Test } from 'tap'
import { startRawBusiness } from './rig.ts'
import type { RpcKind, RpcMessage } from './rpc-kinds.ts'

const LIMIT_MS = 10_000

/** See the file's head. */
export class RpcSocket {
  readonly socket: net.Socket
  readonly kind: RpcKind
  /** Every message that came. */
  readonly messages: RpcMessage[] = []
  /** The peer closed or reset the connection. */
  isOver = false
  /** Bytes that came so far. */
  received = 0
  onMessage: ((message: RpcMessage) => void) | null = null
  #pieces: Buffer[] = []
  #held = 0
  /** Bytes of the message that is arriving; 0 before that is known. */
  #wanted = 0
  readonly #waiting = new Set<() => void>()

  constructor(socket: net.Socket, kind: RpcKind) {
    this.socket = socket
    this.kind = kind
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => this.#onData(bytes))
    socket.on('error', () => undefined)
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.isOver = true
        this.#wake()
      })
    }
  }

  send(...frames: Buffer[]): this {
    this.socket.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames))
    return this
  }

  /** The answers that came: no heartbeats, no events. */
  get answers(): RpcMessage[] {
    return this.messages.filter(({ type }) => type === 'answer')
  }

  /** The calls that came, one-way ones too. */
  get calls(): RpcMessage[] {
    return this.messages.filter(({ type }) => type === 'call' || type === 'one-way')
  }

  ofType(type: RpcMessage['type']): RpcMessage[] {
    return this.messages.filter((message) => message.type === type)
  }

  /** The answer with this id. Fails when none comes. */
  async answer(id: string): Promise<RpcMessage> {
    const find = (): RpcMessage | undefined => this.answers.find((message) => message.id === id)
    await this.until(`an answer with the id ${id}`, () => find() !== undefined)
    return find() as RpcMessage
  }

  /** Sends a frame and waits for the answer with its id. */
  ask(frame: Buffer): Promise<RpcMessage> {
    const { id } = this.kind.parse(frame)
    this.send(frame)
    return this.answer(id)
  }

  untilOver(): Promise<void> {
    return this.until('the end of the connection', () => this.isOver)
  }

  /** Waits until `test` holds, for ten seconds at most. */
  async until(what: string, test: () => boolean): Promise<void> {
    const untilMs = performance.now() + LIMIT_MS
    while (!test()) {
      const left = untilMs - performance.now()
      if (left <= 0)
        throw new Error(`${what} did not come; ${this.messages.length} messages, over: ${this.isOver}`)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, left)
        this.#waiting.add(wake)
      })
    }
  }

  #onData(bytes: Buffer): void {
    this.received += bytes.length
    this.#pieces.push(bytes)
    this.#held += bytes.length
    if (this.#held >= this.#wanted) this.#cut(Buffer.concat(this.#pieces.splice(0)))
    this.#wake()
  }

  #cut(bytes: Buffer): void {
    let at = 0
    for (;;) {
      const length = this.kind.frameLength(bytes.subarray(at))
      this.#wanted = length
      if (length === 0 || length > bytes.length - at) break
      const message = this.kind.parse(Buffer.from(bytes.subarray(at, at + length)))
      this.messages.push(message)
      this.onMessage?.(message)
      at += length
    }
    const rest = bytes.subarray(at)
    if (rest.length > 0) this.#pieces.push(rest)
    this.#held = rest.length
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}

/** Connects a caller. Closed with the test. */
export async function connectRpc(t: Test, kind: RpcKind, port: number): Promise<RpcSocket> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return new RpcSocket(socket, kind)
}

/** A business process: what came over which connection. */
export interface RpcBusiness {
  readonly port: number
  readonly connections: RpcSocket[]
  /** Calls over all connections, in order of arrival. */
  readonly calls: RpcMessage[]
  /** What it does with a call; replace it at will. */
  act: (call: RpcMessage, peer: RpcSocket) => void
  /** What it does with a heartbeat; answers it. */
  beat: (heartbeat: RpcMessage, peer: RpcSocket) => void
  until(what: string, test: () => boolean): Promise<void>
}

/** Starts a business process that answers each call with its own text, until it is told otherwise. */
export async function startRpcBusiness(
  t: Test,
  kind: RpcKind,
  act: RpcBusiness['act'] = (call, peer) => peer.send(kind.answer(call.id, { text: call.text })),
): Promise<RpcBusiness> {
  const connections: RpcSocket[] = []
  const calls: RpcMessage[] = []
  const business = {
    connections,
    calls,
    act,
    beat: (heartbeat: RpcMessage, peer: RpcSocket): void => void peer.send(kind.beatAnswer(heartbeat.id)),
    until: async (what: string, test: () => boolean): Promise<void> => {
      const untilMs = performance.now() + LIMIT_MS
      while (!test()) {
        if (performance.now() > untilMs) throw new Error(`${what}: not within ten seconds`)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    },
  }
  const port = await startRawBusiness(t, (socket) => {
    const peer = new RpcSocket(socket, kind)
    socket.on('end', () => socket.end())
    connections.push(peer)
    peer.onMessage = (message) => {
      if (message.type === 'heartbeat') business.beat(message, peer)
      else if (message.type === 'call' || message.type === 'one-way') {
        calls.push(message)
        business.act(message, peer)
      }
    }
  })
  return Object.assign(business, { port })
}
