/** The admin port of a gateway: bound with the listeners, served a moment later. */
import type { AdminServer } from './admin/server.ts'
import type { InspectedGateway, Inspector } from './inspector.ts'
import { parseAddress } from './net/address.ts'
import { type HeldPort, holdPort } from './net/held-port.ts'

/** Loading the web framework stops the event loop for some 100 ms, which the first requests of a start need not wait for. */
const LOAD_AFTER_MS = 500

/** A bound admin port. Its server is loaded by the first connection, at the latest half a second after the start. */
export class AdminDoor {
  /** As configured. */
  readonly configured: string
  readonly #gateway: InspectedGateway
  #port: HeldPort | null = null
  #server: Promise<AdminServer | null> | null = null
  #inspector: Inspector | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(configured: string, gateway: InspectedGateway) {
    this.configured = configured
    this.#gateway = gateway
  }

  /** Where it listens; `''` before it is bound. */
  get address(): string {
    return this.#port?.address ?? ''
  }

  /** Binds. Rejects with a message that names the address and the remedy. */
  async open(): Promise<void> {
    try {
      this.#port = await holdPort(parseAddress(this.configured), () => this.#serve())
    } catch (error) {
      throw new Error(`the admin port ${(error as Error).message}`, { cause: error })
    }
    this.#timer = setTimeout(() => this.#serve(), LOAD_AFTER_MS)
    this.#timer.unref()
  }

  /** Stops listening and cuts off what is under way. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    await (await this.#server)?.close()
    this.#inspector?.close()
    this.#port?.close()
    this.#port = null
  }

  #serve(): void {
    this.#server ??= this.#load()
  }

  async #load(): Promise<AdminServer | null> {
    const { metrics, log } = this.#gateway
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    try {
      const { serveAdmin } = await import('./admin/server.ts')
      const { Inspector } = await import('./inspector.ts')
      const { registerGatewayMetrics } = await import('./telemetry/gateway-metrics.ts')
      this.#inspector = new Inspector(this.#gateway)
      registerGatewayMetrics(metrics, this.#inspector)
      this.#inspector.exportScopes()
      return await serveAdmin(this.#port as HeldPort, this.#inspector, log)
    } catch (error) {
      log.error({ err: error }, 'the admin port cannot be served')
      return null
    }
  }
}
