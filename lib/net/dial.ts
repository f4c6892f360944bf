/** Opens connections to endpoints. */
import net from 'node:net'
import type { TimerEntry } from '../core/services.ts'
import type { Address } from './address.ts'
import { Connection, type ConnectionOwner, type NetContext, ON_READ } from './connection.ts'

const KEEPALIVE_DELAY_MS = 60_000

/** Why a dial failed. */
export type DialFailure = 'refused' | 'timeout'

/** Told how a dial ended; exactly one call. */
export interface Dialler {
  onDialled(connection: Connection, dialling: Dialling): void
  onDialFailed(reason: DialFailure, error: Error, dialling: Dialling): void
}

/** A dial that is under way. */
export interface Dialling {
  /** Gives up; nothing is reported any more. */
  abort(): void
}

/** Connects to `address` within `timeoutMs`. The connection has not been started: give it a codec with `start(codec, isPooledDial)`. */
export function dial(
  address: Address,
  timeoutMs: number,
  context: NetContext,
  dialler: Dialler,
  owner: ConnectionOwner,
): Dialling {
  return new Dial(address, timeoutMs, context, dialler, owner)
}

/** Whether dialled sockets read into pooled slabs; to be handed to `Connection.start`. */
export const isPooledDial = process.env.MESHGATE_POOLED_READS !== 'off'

class Dial implements Dialling, TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  readonly #socket: net.Socket
  readonly #context: NetContext
  readonly #dialler: Dialler
  readonly #timeoutMs: number
  #isOver = false

  constructor(
    address: Address,
    timeoutMs: number,
    context: NetContext,
    dialler: Dialler,
    owner: ConnectionOwner,
  ) {
    this.#context = context
    this.#dialler = dialler
    this.#timeoutMs = timeoutMs
    const socket = net.connect(socketOptions(address))
    this.#socket = socket
    const onError = (error: Error): void => this.#fail('refused', error)
    socket.once('error', onError)
    socket.once('connect', () => {
      if (this.#isOver) return
      this.#finish()
      // A listener must stay on the socket at every moment: the connection adds its own before this one goes.
      const connection = new Connection(socket, context, owner)
      socket.off('error', onError)
      dialler.onDialled(connection, this)
    })
    if (timeoutMs > 0) context.loop.schedule(this, timeoutMs)
  }

  onTimer(): void {
    this.#fail('timeout', new Error(`no connection within ${this.#timeoutMs} ms`))
    this.#socket.destroy()
  }

  abort(): void {
    this.#finish()
    this.#socket.on('error', () => undefined)
    this.#socket.destroy()
  }

  #finish(): void {
    this.#isOver = true
    this.#context.loop.cancel(this)
  }

  #fail(reason: DialFailure, error: Error): void {
    if (this.#isOver) return
    this.#finish()
    this.#socket.on('error', () => undefined)
    this.#dialler.onDialFailed(reason, error, this)
  }
}

function socketOptions(address: Address): net.NetConnectOpts {
  const common = {
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
    autoSelectFamily: false,
    ...(isPooledDial ? { onread: ON_READ } : {}),
  }
  const target = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
  return { ...target, ...common } as unknown as net.NetConnectOpts
}
