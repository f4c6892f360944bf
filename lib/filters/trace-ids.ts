/** Makes and checks trace ids: W3C Trace Context and SOFATracer. */
import { randomFillSync, randomInt } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import type { Headers } from '../core/message.ts'
import type { Clock } from '../core/services.ts'

const HEX = Buffer.from('0123456789abcdef')
const TRACEPARENT_LENGTH = 55
const DIGITS_IN_TRACEPARENT = 48
const POOLED = 256

/** Ids that are cut out of one string. Whoever keeps one keeps all of that alive, so it is short. */
const CUT_TOGETHER = 16

/** Makes ids as strings, and shows the bytes of the newest one. */
export interface MadeIds {
  next(): string
  /** Spells the id that was made last, from `position` on, until the next one is made. */
  readonly bytes: Buffer
  readonly position: number
}

/** Adds what `ids` made last. That spares the search for old values, where the caller knows that there are none. */
export function addMade(headers: Headers, name: string, id: string, ids: MadeIds): void {
  if (headers.addMade === undefined) headers.add(name, id)
  else headers.addMade(name, id, ids.bytes, ids.position)
}

/**
 * Makes `traceparent` values: random digits are written into a buffer of 256 ready-made headers, 16 of them become one flat
 * string, and each value is cut out of that. A string for each takes four times as long; joining parts as well, because whoever
 * writes a joined string flattens it first (perf/micro/filters.ts).
 */
export class TraceParentPool implements MadeIds {
  readonly #random = Buffer.alloc((POOLED * DIGITS_IN_TRACEPARENT) / 2)
  readonly #bytes: Buffer
  position = 0
  #position: number
  #text = ''
  #cut = 0

  /** `flags` are two hex digits: `01` is sampled. */
  constructor(flags: '00' | '01') {
    const template = `00-${'0'.repeat(32)}-${'0'.repeat(16)}-${flags}`
    this.#bytes = Buffer.from(template.repeat(POOLED), 'latin1')
    this.#position = this.#bytes.length
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  /** The next value; {@link traceIdOf} and {@link spanIdOf} give its parts. */
  next(): string {
    if (this.#cut === this.#text.length) this.#nextText()
    const start = this.#cut
    this.#cut = start + TRACEPARENT_LENGTH
    this.position = this.#position - this.#text.length + start
    return this.#text.substring(start, this.#cut)
  }

  #nextText(): void {
    if (this.#position === this.#bytes.length) this.#refill()
    const start = this.#position
    this.#position = start + CUT_TOGETHER * TRACEPARENT_LENGTH
    this.#text = this.#bytes.toString('latin1', start, this.#position)
    this.#cut = 0
  }

  #refill(): void {
    const random = randomFillSync(this.#random)
    const bytes = this.#bytes
    let from = 0
    for (let record = 0; record < bytes.length; record += TRACEPARENT_LENGTH) {
      from = writeDigits(bytes, record + 3, 32, random, from)
      from = writeDigits(bytes, record + 36, 16, random, from)
    }
    this.#position = 0
  }
}

function writeDigits(bytes: Buffer, offset: number, count: number, random: Buffer, from: number): number {
  for (let i = 0; i < count; i += 2) {
    const byte = random[from++]
    bytes[offset + i] = HEX[byte >> 4]
    bytes[offset + i + 1] = HEX[byte & 15]
  }
  return from
}

/** The trace id within a `traceparent` of version 00. */
export function traceIdOf(traceparent: string): string {
  return traceparent.substring(3, 35)
}

/** The parent's span id within a `traceparent` of version 00. */
export function spanIdOf(traceparent: string): string {
  return traceparent.substring(36, 52)
}

/** The parts of a valid `traceparent`. */
export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  /** The header as it is passed on: of a version above 00 only what 00 knows is kept. */
  readonly header: string
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)

/** Reads a `traceparent` as strictly as Trace Context section 3.2 asks; null when it is malformed. */
export function parseTraceParent(header: string): TraceParent | null {
  const match = TRACEPARENT.exec(header)
  if (match === null) return null
  const [, version, traceId, spanId, flagDigits, rest] = match
  if (version === 'ff' || traceId === NO_TRACE || spanId === NO_SPAN) return null
  if (version === '00') return rest === undefined ? { traceId, spanId, header } : null
  const sampled = Number.parseInt(flagDigits, 16) & 1
  return { traceId, spanId, header: `00-${traceId}-${spanId}-0${sampled}` }
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const IN_TRACE_ID = `0123456789${LETTERS}${LETTERS.toUpperCase()}_-`
const MAX_SOFA_ID = 64

/** Holds 1 for each byte that may stand in a SOFATracer id. */
export const TRACE_ID_BYTES = tableOf(IN_TRACE_ID)
/** As {@link TRACE_ID_BYTES} for rpcIds. */
export const RPC_ID_BYTES = tableOf(`${IN_TRACE_ID}.`)

function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(256)
  for (const byte of Buffer.from(characters, 'latin1')) table[byte] = 1
  return table
}

/** True for what a SOFATracer id may hold; its inner form is nobody's business. */
export function isSofaTraceId(text: string): boolean {
  return isMadeOf(text, TRACE_ID_BYTES)
}

/** True for an rpcId such as `0.1.1`. */
export function isSofaRpcId(text: string): boolean {
  return isMadeOf(text, RPC_ID_BYTES)
}

function isMadeOf(text: string, table: Uint8Array): boolean {
  const { length } = text
  if (length === 0 || length > MAX_SOFA_ID) return false
  for (let i = 0; i < length; i++) if (table[text.charCodeAt(i)] !== 1) return false
  return true
}

const FIRST_COUNT = 1000
const LAST_COUNT = 9000

const COUNT_DIGITS = 4

/** Counts the ids of all makers, so that no two of them make the same. */
let count = randomInt(FIRST_COUNT, LAST_COUNT)

/** Makes SOFATracer ids: IPv4 as 8 hex digits, milliseconds, a counter from 1000 to 9000, the process id. */
export class SofaTraceIds implements MadeIds {
  position = 0
  readonly #clock: Clock
  /** What stands before the time, and behind the counter. */
  readonly #front: string
  readonly #back: string
  #lastMs = 0
  /** {@link CUT_TOGETHER} ids of the last millisecond, one behind the other. */
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0
  #countAt = 0
  #text = ''
  #cut = 0

  /** `address` is the node's IPv4 address. `before` and `after` are ASCII that stands around each id. */
  constructor(
    clock: Clock,
    address: string = ownAddress(),
    pid: number = process.pid,
    before = '',
    after = '',
  ) {
    this.#clock = clock
    this.#front = before + hexAddress(address)
    this.#back = pid + after
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  /** The next id. The first of a millisecond is made alone, as it may be the only one; the others together. */
  next(): string {
    const now = Math.floor(this.#clock.wallNow())
    if (now !== this.#lastMs) {
      this.#beginMillisecond(now)
      this.#text = ''
      this.#cut = 0
      this.position = 0
      return this.#write(1)
    }
    if (this.#cut === this.#text.length) {
      this.#text = this.#write(CUT_TOGETHER)
      this.#cut = 0
    }
    const start = this.#cut
    this.#cut = start + this.#length
    this.position = start
    return this.#text.substring(start, this.#cut)
  }

  /** Counts up in the first `ids` places and gives them as one string. */
  #write(ids: number): string {
    for (let record = 0; record < ids * this.#length; record += this.#length) {
      count = count >= LAST_COUNT ? FIRST_COUNT : count + 1
      let rest = count
      for (let at = record + this.#countAt + COUNT_DIGITS - 1; at >= record + this.#countAt; at--) {
        this.#bytes[at] = 0x30 + (rest % 10)
        rest = (rest / 10) | 0
      }
    }
    return this.#bytes.toString('latin1', 0, ids * this.#length)
  }

  #beginMillisecond(now: number): void {
    this.#lastMs = now
    const prefix = this.#front + now
    const id = `${prefix}0000${this.#back}`
    this.#bytes = Buffer.from(id.repeat(CUT_TOGETHER), 'latin1')
    this.#length = id.length
    this.#countAt = prefix.length
  }
}

/** The first IPv4 address that other machines can reach, 127.0.0.1 when there is none. */
function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find(({ family, internal }) => family === 'IPv4' && !internal)
    if (found !== undefined) return found.address
  }
  return '127.0.0.1'
}

function hexAddress(address: string): string {
  return address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('')
}
