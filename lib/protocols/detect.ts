/** Recognises the protocol of a new connection by its first bytes. */
import type {
  DownstreamHandler,
  Protocol,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../core/codec.ts'
import type { ProtocolName } from '../core/message.ts'
import { MOST_FIRST_BYTES, recognise } from './first-bytes.ts'

/** The accepting half of a protocol. */
export type ServerProtocol = Pick<Protocol, 'createServer'> & { readonly name: string }

/**
 * Makes the protocol `auto`, which becomes one of `protocols` with the first bytes; what looks like none of them is left to
 * HTTP/1 to refuse. A caller that does not send enough of them within the header timeout is cut off.
 */
export function createDetector(protocols: Readonly<Record<ProtocolName, Protocol>>): ServerProtocol {
  return {
    name: 'auto',
    createServer: (wire, options, handler, context) =>
      new Detector(wire, options, handler, context, protocols),
  }
}

/** Waits for the first bytes, then passes every call to the codec that they stand for. */
class Detector implements ServerCodec {
  readonly #wire: Wire
  readonly #options: ServerCodecOptions
  readonly #handler: DownstreamHandler
  readonly #context: ServerContext
  readonly #protocols: Readonly<Record<ProtocolName, Protocol>>
  #codec: ServerCodec | null = null
  /** What came so far, where that did not tell yet. */
  #kept: Buffer | null = null
  #drainGraceMs: number | null = null

  constructor(
    wire: Wire,
    options: ServerCodecOptions,
    handler: DownstreamHandler,
    context: ServerContext,
    protocols: Readonly<Record<ProtocolName, Protocol>>,
  ) {
    this.#wire = wire
    this.#options = options
    this.#handler = handler
    this.#context = context
    this.#protocols = protocols
    wire.setTimer(options.headerTimeoutMs)
  }

  get activeExchanges(): number {
    return this.#codec?.activeExchanges ?? 0
  }

  onBytes(bytes: Buffer, offset: number, end: number): void {
    if (this.#codec !== null) this.#codec.onBytes(bytes, offset, end)
    else if (this.#kept === null) this.#begin(bytes, offset, end)
    else {
      const joined = Buffer.concat([this.#kept, bytes.subarray(offset, end)])
      this.#begin(joined, 0, joined.length)
    }
  }

  onEnd(): void {
    if (this.#codec === null) this.#wire.destroy()
    else this.#codec.onEnd()
  }

  onDrain(): void {
    this.#codec?.onDrain()
  }

  onTimer(): void {
    if (this.#codec === null) this.#wire.destroy()
    else this.#codec.onTimer()
  }

  onClose(error: Error | null): void {
    this.#codec?.onClose(error)
  }

  drain(graceMs: number): void {
    this.#drainGraceMs = graceMs
    this.#codec?.drain(graceMs)
  }

  /** All that came, from the first byte on. */
  #begin(bytes: Buffer, offset: number, end: number): void {
    if (offset === end) return
    const name = recognise(bytes, offset, Math.min(end - offset, MOST_FIRST_BYTES))
    if (name === null) {
      this.#kept = Buffer.from(bytes.subarray(offset, end))
      return
    }
    this.#kept = null
    this.#wire.setTimer(0)
    this.#codec = this.#protocols[name].createServer(this.#wire, this.#options, this.#handler, this.#context)
    if (this.#drainGraceMs !== null) this.#codec.drain(this.#drainGraceMs)
    this.#codec.onBytes(bytes, offset, end)
  }
}
