/** Keeps the addresses of an endpoint's name up to date. */
import dns from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Logger, TimerEntry, Timers } from '../core/services.ts'
import type { Address } from '../net/address.ts'

/** Looks a name up; every address it has. Rejects when it has none. */
export type Lookup = (host: string) => Promise<string[]>

/** `getaddrinfo` with every address, as the machine orders them. */
export const systemLookup: Lookup = async (host) => {
  const found = await dns.lookup(host, { all: true, verbatim: true })
  return found.map((entry) => entry.address)
}

/** What a resolver needs. */
export interface ResolverServices {
  readonly timers: Timers
  readonly log: Logger
  readonly lookup: Lookup
}

/** A first look-up that failed is tried again this soon. */
const RETRY_MS = 1000

/** Resolves one name at once and every `refreshMs` from then on (never again when that is 0); addresses that answer no more are kept until others do. */
export class Resolver implements TimerEntry {
  timerPrevious: TimerEntry | null = null
  timerNext: TimerEntry | null = null
  timerAt = 0
  /** Sorted addresses; empty before the first success. */
  addresses: readonly Address[] = []
  readonly #address: Address & { readonly kind: 'tcp' }
  readonly #refreshMs: number
  readonly #services: ResolverServices
  readonly #onChange: () => void
  #isClosed = false

  constructor(
    address: Address & { readonly kind: 'tcp' },
    refreshMs: number,
    services: ResolverServices,
    onChange: () => void,
  ) {
    this.#address = address
    this.#refreshMs = refreshMs
    this.#services = services
    this.#onChange = onChange
  }

  /** Settles when the first look-up has succeeded or failed. */
  start(): Promise<void> {
    return this.#resolve()
  }

  close(): void {
    this.#isClosed = true
    this.#services.timers.cancel(this)
  }

  onTimer(): void {
    void this.#resolve()
  }

  async #resolve(): Promise<void> {
    const { host, port } = this.#address
    let delayMs = this.#refreshMs
    try {
      // One host per address: a name may give the same address twice.
      const found = [...new Set(await this.#services.lookup(host))].sort()
      if (this.#isClosed) return
      const isSame =
        found.length === this.addresses.length && found.every((ip, i) => ip === hostOf(this.addresses[i]))
      this.addresses = found.map((ip) => ({ kind: 'tcp', host: ip, port }))
      if (!isSame) this.#onChange()
    } catch (error) {
      if (this.#isClosed) return
      this.#services.log.warn({ host, err: error }, 'endpoint name does not resolve')
      delayMs = this.#refreshMs === 0 ? RETRY_MS : Math.min(RETRY_MS, this.#refreshMs)
    }
    if (delayMs > 0) this.#services.timers.schedule(this, delayMs)
  }
}

function hostOf(address: Address | undefined): string {
  return address?.kind === 'tcp' ? address.host : ''
}

/** Whether an address needs a resolver. `localhost` does not: it is 127.0.0.1 by definition here, which spares a family race on every dial. */
export function needsResolver(address: Address): address is Address & { readonly kind: 'tcp' } {
  return address.kind === 'tcp' && isIP(address.host) === 0 && address.host !== 'localhost'
}

/** `localhost` spelled out. */
export function literalAddress(address: Address): Address {
  return address.kind === 'tcp' && address.host === 'localhost' ? { ...address, host: '127.0.0.1' } : address
}
