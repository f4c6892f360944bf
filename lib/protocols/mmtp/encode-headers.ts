/** Writes header blocks: the ranges that came, entries that were added, and headers of other protocols. */
import { FIELD_STRIDE, KIND_REMOVED } from '../../buffer/header-table.ts'
import type { Headers } from '../../core/message.ts'
import {
  ENTRY_OVERHEAD,
  MAX_BLOCK_BYTES,
  MAX_BLOCK_ENTRIES,
  MAX_NAME_BYTES,
  MAX_VALUE_BYTES,
  STATIC_INDEX,
} from './constants.ts'
import type { MmtpHeaders } from './headers.ts'

/** Bytes of an entry beside its name and value, at most. */
const ENTRY_BYTES = 4
/** UTF-8 bytes of one UTF-16 unit, at most. */
const UTF8_BYTES = 3
const NAME = /^[a-z0-9._-]+$/

/** HTTP headers that end at this hop, or that a frame says in other ways. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'content-length',
  'content-encoding',
  'expect',
  'host',
  'http2-settings',
  'operation-type',
  'http-status',
])

/** Bytes that {@link writeBlock} may need. */
export function blockLimit(headers: MmtpHeaders): number {
  let limit = headers.blockEnd - headers.blockStart
  const added = headers.added
  if (added === null) return limit
  for (let i = 0; i < added.length; i += 2) {
    limit += ENTRY_BYTES + (added[i] as string).length + UTF8_BYTES * (added[i + 1] as string).length
  }
  return limit
}

/** Writes the block at `at`: entries that were not removed as they came, then those that were added. Returns its end. */
export function writeBlock(headers: MmtpHeaders, buffer: Buffer, at: number): number {
  return writeAdded(headers, buffer, writeKept(headers, buffer, at))
}

/** Copies everything in front of the block, and the block with its changes, to `at`: in one range when no entry was removed. Returns the end. */
export function copyHead(headers: MmtpHeaders, buffer: Buffer, at: number): number {
  const { bytes, base, blockStart, blockEnd } = headers
  if (headers.removed === 0) {
    bytes.copy(buffer, at, base, base + blockEnd)
    return writeAdded(headers, buffer, at + blockEnd)
  }
  bytes.copy(buffer, at, base, base + blockStart)
  return writeBlock(headers, buffer, at + blockStart)
}

/** Writes the entries that were added. Returns the end. */
function writeAdded(headers: MmtpHeaders, buffer: Buffer, at: number): number {
  const { added, secrets } = headers
  if (added === null) return at
  for (let i = 0; i < added.length; i += 2) {
    const name = added[i] as string
    at = writeEntry(buffer, at, name, added[i + 1] as string, secrets !== null && secrets.includes(name))
  }
  return at
}

/** Copies the runs of entries between those that were removed. An entry reaches from the end of the one before it to the end of its value. */
function writeKept(headers: MmtpHeaders, buffer: Buffer, at: number): number {
  const { bytes, base, fields, count, blockStart, blockEnd } = headers
  if (headers.removed === 0) return at + bytes.copy(buffer, at, base + blockStart, base + blockEnd)
  let runStart = blockStart
  let entryStart = blockStart
  for (let i = 0; i < count; i++) {
    const entryEnd = fields[i * FIELD_STRIDE + 3] as number
    if (fields[i * FIELD_STRIDE + 4] === KIND_REMOVED) {
      if (entryStart > runStart) at += bytes.copy(buffer, at, base + runStart, base + entryStart)
      runStart = entryEnd
    }
    entryStart = entryEnd
  }
  if (entryStart > runStart) at += bytes.copy(buffer, at, base + runStart, base + entryStart)
  return at
}

/** Writes one entry: a static name by its number, unless a secret needs the literal form that bears the mark. Returns its end. */
export function writeEntry(
  buffer: Buffer,
  at: number,
  name: string,
  value: string,
  isSecret: boolean,
): number {
  const index = isSecret ? undefined : STATIC_INDEX.get(name)
  if (index !== undefined) buffer[at++] = 0x40 | index
  else {
    buffer[at++] = isSecret ? 0x01 : 0x7f
    buffer[at++] = name.length
    at += buffer.latin1Write(name, at)
  }
  const length = value.length
  if (length < 0x80) {
    let i = 0
    for (; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit >= 0x80) break
      buffer[at + 1 + i] = unit
    }
    if (i === length) {
      buffer[at] = length
      return at + 1 + length
    }
  }
  const byteLength = Buffer.byteLength(value)
  if (byteLength < 0x80) buffer[at++] = byteLength
  else {
    buffer[at++] = 0x80 | (byteLength >> 8)
    buffer[at++] = byteLength
  }
  return at + buffer.utf8Write(value, at)
}

/** Headers of another protocol on their way into a block. Filled and emptied within one call. */
const names: string[] = []
const values: string[] = []
let source: Headers | null = null
let hopNames: readonly string[] = []

/**
 * Collects headers of another protocol for {@link writeCollected}: hop-by-hop ones and names that a block cannot
 * hold are left out, repeated ones joined. Returns the bytes they may need, -1 when they are beyond the limits.
 */
export function collect(headers: Headers): number {
  names.length = 0
  values.length = 0
  source = headers
  const connection = headers.get('connection')
  hopNames = connection === null ? [] : connection.toLowerCase().split(/[\s,]+/)
  headers.forEach(visit)
  source = null
  if (names.length > MAX_BLOCK_ENTRIES) return -1
  let charged = 0
  let limit = 0
  for (let i = 0; i < names.length; i++) {
    const size = (names[i] as string).length + (values[i] as string).length
    charged += size + ENTRY_OVERHEAD
    limit += ENTRY_BYTES + size * UTF8_BYTES
    if (Buffer.byteLength(values[i] as string) > MAX_VALUE_BYTES) return -1
  }
  return charged > MAX_BLOCK_BYTES ? -1 : limit
}

/** Adds one entry to what {@link collect} gathered. Returns the bytes it may need. */
export function collectOne(name: string, value: string): number {
  names.push(name)
  values.push(value)
  return ENTRY_BYTES + name.length + UTF8_BYTES * value.length
}

/** Writes what was collected. Returns the end. */
export function writeCollected(buffer: Buffer, at: number): number {
  for (let i = 0; i < names.length; i++)
    at = writeEntry(buffer, at, names[i] as string, values[i] as string, false)
  names.length = 0
  values.length = 0
  return at
}

function visit(name: string, value: string): void {
  if (NOT_FORWARDED.has(name) || hopNames.includes(name) || names.includes(name)) return
  if (name.length > MAX_NAME_BYTES || !NAME.test(name)) return
  names.push(name)
  values.push((source as Headers).get(name) ?? value)
}
