/** Names that came before: a repeated one is neither decoded nor taken apart again. */
import '../../buffer/latin1.ts'
import { isExactly } from './headers.ts'

const SLOTS = 1024

/** Things made from texts, found by the bytes of the text. Of fixed size; one that lost its place is simply made again. */
class NameCache<T> {
  readonly #texts: (string | null)[] = new Array(SLOTS).fill(null)
  readonly #values: (T | null)[] = new Array(SLOTS).fill(null)
  readonly #make: (text: string) => T

  constructor(make: (text: string) => T) {
    this.#make = make
  }

  at(bytes: Buffer, start: number, end: number): T {
    // The end and the middle of names tell more than their beginning, which tends to be a company's.
    const length = end - start
    const middle = bytes[(start + end) >> 1] as number
    const tail = length < 6 ? 0 : (bytes[end - 6] as number)
    const hash = (bytes[end - 1] as number) * 31 + tail * 7 + middle * 131 + length
    const slot = hash & (SLOTS - 1)
    const known = this.#texts[slot] as string | null
    if (known !== null && known.length === length && isExactly(bytes, start, known))
      return this.#values[slot] as T
    const text = bytes.utf8Slice(start, end)
    const value = this.#make(text)
    this.#texts[slot] = text
    this.#values[slot] = value
    return value
  }
}

/** The parts of a unique name. */
export interface ServiceName {
  readonly service: string
  readonly version: string
  readonly uniqueId: string
}

/** The version that SOFARPC gives to a service that names none. */
export const DEFAULT_VERSION = '1.0'

/** Nothing is known of the service. */
export const NO_SERVICE: ServiceName = { service: '', version: '', uniqueId: '' }

/** Takes `interface:version[:uniqueId]` apart. */
export function parseServiceName(text: string): ServiceName {
  const first = text.indexOf(':')
  if (first < 0) return { service: text, version: '', uniqueId: '' }
  const second = text.indexOf(':', first + 1)
  if (second < 0) return { service: text.slice(0, first), version: text.slice(first + 1), uniqueId: '' }
  return {
    service: text.slice(0, first),
    version: text.slice(first + 1, second),
    uniqueId: text.slice(second + 1),
  }
}

/** Joins the parts to the name that SOFARPC registers. */
export function uniqueName(service: string, version: string, uniqueId: string): string {
  const name = `${service}:${version === '' ? DEFAULT_VERSION : version}`
  return uniqueId === '' ? name : `${name}:${uniqueId}`
}

const services = new NameCache(parseServiceName)
const texts = new NameCache((text) => text)

/** The unique name in `start…end`. */
export function serviceNameAt(bytes: Buffer, start: number, end: number): ServiceName {
  return services.at(bytes, start, end)
}

/** The text in `start…end`: a method's name, an application. */
export function textAt(bytes: Buffer, start: number, end: number): string {
  return start === end ? '' : texts.at(bytes, start, end)
}
