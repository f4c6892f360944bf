/** Recognises the protocol of a new connection by its first byte. */
import type {
  DownstreamHandler,
  Protocol,
  ServerCodec,
  ServerCodecOptions,
  ServerContext,
  Wire,
} from '../core/codec.ts'
import type { ProtocolName } from '../core/message.ts'

/** The accepting half of a protocol. */
export type ServerProtocol = Pick<Protocol, 'createServer'> & { readonly name: string }

/** No HTTP method, no space and no other protocol begins with it (docs/protocols/mmtp.md). */
const MMTP_MAGIC = 0xcd

/** Makes the protocol `auto`, which becomes one of `protocols` with the first byte; anything that is not Mmtp is left to HTTP/1 to refuse. */
export function createDetector(protocols: Readonly<Record<ProtocolName, Protocol>>): ServerProtocol {
  return {
    name: 'auto',
    createServer: (wire, options, handler, context) =>
      new Detector(wire, options, handler, context, protocols),
  }
}

/** Waits for the first byte, then passes every call to the codec that it stands for. */
class Detector implements ServerCodec {
  readonly #wire: Wire
  readonly #options: ServerCodecOptions
  readonly #handler: DownstreamHandler
  readonly #context: ServerContext
  readonly #protocols: Readonly<Record<ProtocolName, Protocol>>
  #codec: ServerCodec | null = null
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
    this.#codec ??= this.#choose(bytes[offset] as number)
    this.#codec.onBytes(bytes, offset, end)
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

  #choose(firstByte: number): ServerCodec {
    const protocol = firstByte === MMTP_MAGIC ? this.#protocols.mmtp : this.#protocols.http1
    this.#wire.setTimer(0)
    const codec = protocol.createServer(this.#wire, this.#options, this.#handler, this.#context)
    if (this.#drainGraceMs !== null) codec.drain(this.#drainGraceMs)
    return codec
  }
}
