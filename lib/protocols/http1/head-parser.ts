/**
 * Reads the head of a message in one pass over its bytes. It can stop after any byte and go on where it stopped, so
 * a head that drips in is never read twice; whatever it found is kept as positions that count from the head's start.
 */
import { HeaderTable } from '../../buffer/header-table.ts'
import { acquireBlock } from '../../buffer/pools.ts'
import type { Slab } from '../../buffer/slab-pool.ts'
import { COLON, CR, endOfValue, LF, SPACE, TAB, TOKEN } from './chars.ts'
import { checkConnectionOptions, readKnownField } from './fields.ts'
import { HeadKind, type HeadLimits, HeadState, Parsed, ParserState } from './head-state.ts'
import { knownName } from './names.ts'
import { parseRequestLine } from './request-line.ts'
import { parseStatusLine } from './status-line.ts'

const FIRST_BLOCK_BYTES = 1024
const MAX_SPARE_PARSERS = 64
const spareParsers: HeadParser[] = []

/** Reads one head. Take one with {@link HeadParser.acquire} and give it back when its head is read. */
export class HeadParser extends HeadState {
  #block: Slab | null = null
  /** Bytes of an incomplete head in the block. */
  kept = 0
  /** What the last {@link HeadParser.read} came to. */
  outcome: Parsed = Parsed.More

  /** A parser at the start of a head. */
  static acquire(kind: HeadKind, limits: HeadLimits): HeadParser {
    const parser = spareParsers.pop() ?? new HeadParser()
    parser.kind = kind
    parser.state = kind === HeadKind.Trailers ? ParserState.Line : ParserState.Start
    parser.maxHeadBytes = limits.maxHeadBytes
    parser.maxHeaders = limits.maxHeaders
    parser.maxUriBytes = limits.maxUriBytes
    return parser
  }

  /** Reads on in bytes of which position 0 is at `base`. */
  #parse(bytes: Buffer, base: number, end: number): Parsed {
    if (this.position === 0) this.table.open(bytes, base)
    if (this.state < ParserState.Line) {
      const isResponse = this.kind === HeadKind.Response
      const outcome = isResponse
        ? parseStatusLine(this, bytes, base, end)
        : parseRequestLine(this, bytes, base, end)
      if (outcome !== Parsed.Done) return this.#checkSize(outcome, end - base)
    }
    const outcome = parseFields(this, bytes, base, end)
    if (outcome !== Parsed.Done) return this.#checkSize(outcome, end - base)
    if (this.headLength > this.maxHeadBytes)
      return this.fail('HEAD_TOO_LARGE', 'the head is longer than the limit')
    return checkConnectionOptions(this, bytes, base)
  }

  /**
   * Reads on in the bytes of a read, and keeps those of a head that is not complete. Returns where the head ended in
   * these bytes, or `end`; what came of it is in `outcome`.
   */
  read(bytes: Buffer, offset: number, end: number): number {
    if (this.kept > 0) return this.#feed(bytes, offset, end)
    this.outcome = this.#parse(bytes, offset, end)
    if (this.outcome === Parsed.Done) return offset + this.headLength
    if (this.outcome === Parsed.More) this.#append(bytes, offset, end)
    return end
  }

  /** Goes on with a kept head. */
  #feed(bytes: Buffer, offset: number, end: number): number {
    while (offset < end) {
      const before = this.kept
      // In pieces, so that a large body right behind the head is not copied along.
      const pieceEnd = Math.min(end, offset + FIRST_BLOCK_BYTES)
      this.#append(bytes, offset, pieceEnd)
      const block = this.#block as Slab
      this.outcome = this.#parse(block.bytes, 0, this.kept)
      if (this.outcome === Parsed.Done) {
        this.table.adopt(block)
        this.#block = null
        return offset + this.headLength - before
      }
      if (this.outcome === Parsed.Failed) return pieceEnd
      offset = pieceEnd
    }
    return end
  }

  /** The table goes to the message that the head belongs to, and the parser back to the spare ones. */
  handOver(): HeaderTable {
    const table = this.table
    this.table = new HeaderTable()
    this.#recycle()
    return table
  }

  /** Drops what was read and gives the parser back. */
  abandon(): void {
    this.table.release()
    this.#recycle()
  }

  #recycle(): void {
    this.#block?.release()
    this.#block = null
    this.kept = 0
    this.position = 0
    this.flags = 0
    this.start = 0
    this.queryStart = -1
    this.minor = 1
    this.contentLength = -1
    this.lengthIndex = -1
    this.hostIndex = -1
    this.hostStart = 0
    this.hostEnd = 0
    this.outcome = Parsed.More
    if (spareParsers.length < MAX_SPARE_PARSERS) spareParsers.push(this)
  }

  #checkSize(outcome: Parsed, length: number): Parsed {
    if (outcome === Parsed.More && length > this.maxHeadBytes) {
      return this.fail('HEAD_TOO_LARGE', 'the head is longer than the limit')
    }
    return outcome
  }

  #append(bytes: Buffer, offset: number, end: number): void {
    const length = this.kept + end - offset
    let block = this.#block
    if (block === null || block.bytes.length < length) {
      const larger = acquireBlock(length)
      if (block !== null) {
        block.bytes.copy(larger.bytes, 0, 0, this.kept)
        block.release()
      }
      this.#block = block = larger
    }
    bytes.copy(block.bytes, this.kept, offset, end)
    this.kept = length
  }
}

/** Reads field lines up to and with the empty line (section 5). */
function parseFields(parser: HeadState, bytes: Buffer, base: number, end: number): Parsed {
  let state = parser.state
  let i = base + parser.position
  let nameStart = base + parser.nameStart
  let nameEnd = base + parser.nameEnd
  let valueStart = base + parser.valueStart
  for (;;) {
    if (state === ParserState.Line) {
      if (i >= end) break
      if (bytes[i] === CR) {
        i++
        state = ParserState.HeadEnd
      } else {
        nameStart = i
        state = ParserState.Name
      }
    }
    if (state === ParserState.Name) {
      while (i < end && TOKEN[bytes[i]] === 1) i++
      if (i >= end) break
      if (bytes[i] !== COLON || i === nameStart) return failName(parser, bytes[i], i === nameStart)
      nameEnd = i++
      state = ParserState.Space
    }
    if (state === ParserState.Space) {
      while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++
      if (i >= end) break
      valueStart = i
      state = ParserState.Value
    }
    if (state === ParserState.Value) {
      i = endOfValue(bytes, i, end)
      if (i >= end) break
      if (bytes[i] !== CR) return failValue(parser, bytes[i])
      i++
      state = ParserState.ValueEnd
    }
    if (i >= end) break
    if (bytes[i] !== LF) return parser.fail('BAD_REQUEST', 'CR without LF among the header fields')
    i++
    if (state === ParserState.HeadEnd) {
      parser.headLength = i - base
      return Parsed.Done
    }
    if (!addField(parser, bytes, base, nameStart, nameEnd, valueStart, i - 2)) return Parsed.Failed
    state = ParserState.Line
  }
  parser.state = state
  parser.position = i - base
  parser.nameStart = nameStart - base
  parser.nameEnd = nameEnd - base
  parser.valueStart = valueStart - base
  return Parsed.More
}

/** Enters one field into the table; false when it is refused. Positions are absolute. */
function addField(
  parser: HeadState,
  bytes: Buffer,
  base: number,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): boolean {
  while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--
  const table = parser.table
  if (table.count >= parser.maxHeaders) {
    parser.fail('HEAD_TOO_LARGE', `more than ${parser.maxHeaders} header fields`)
    return false
  }
  const known = knownName(bytes, nameStart, nameEnd)
  const kind = known === 0 ? 0 : readKnownField(parser, known, bytes, base, valueStart, valueEnd)
  if (kind < 0) return false
  table.push(nameStart - base, nameEnd - base, valueStart - base, valueEnd - base, kind)
  return true
}

function failName(parser: HeadState, byte: number, isEmpty: boolean): Parsed {
  if (byte === SPACE || byte === TAB) {
    const what = isEmpty ? 'a folded or indented header line' : 'white space in or behind a header name'
    return parser.fail('BAD_REQUEST', what)
  }
  if (byte === LF) return parser.fail('BAD_REQUEST', 'LF without CR among the header fields')
  return parser.fail(
    'BAD_REQUEST',
    isEmpty ? 'a header line without a name' : 'a forbidden byte in a header name',
  )
}

function failValue(parser: HeadState, byte: number): Parsed {
  const what = byte === LF ? 'LF without CR among the header fields' : 'a control byte in a header value'
  return parser.fail('BAD_REQUEST', what)
}
