/** Writes header blocks: the ranges that came, and headers of other protocols. */
import { FIELD_STRIDE, KIND_REMOVED } from '../../buffer/header-table.ts'
import type { Headers } from '../../core/message.ts'
import { ENTRY_OVERHEAD, MAX_BLOCK_BYTES, MAX_BLOCK_ENTRIES, MAX_VALUE_BYTES } from './constants.ts'
import { ENTRY_BYTES, UTF8_BYTES, writeName, writeValue } from './entry.ts'
import { headerName } from './header-names.ts'
import type { MmtpHeaders } from './headers.ts'

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

/** Writes the block at `at`: entries that were not removed. Returns its end. */
export function writeBlock(headers: MmtpHeaders, buffer: Buffer, at: number): number {
  const { bytes, base, fields, count, blockStart, blockEnd } = headers
  if (headers.removed === 0) return at + bytes.copy(buffer, at, base + blockStart, base + blockEnd)
  // Runs of entries between those that were removed. An entry reaches from the end of the one before it to the end of its value.
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

/** Copies everything in front of the block, and the block, to `at`: in one range when no entry was removed. Returns the end. */
export function copyHead(headers: MmtpHeaders, buffer: Buffer, at: number): number {
  const { bytes, base, blockStart, blockEnd } = headers
  if (headers.removed === 0) return at + bytes.copy(buffer, at, base, base + blockEnd)
  bytes.copy(buffer, at, base, base + blockStart)
  return writeBlock(headers, buffer, at + blockStart)
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
  for (let i = 0; i < names.length; i++) {
    at = writeName(buffer, at, headerName(names[i] as string), false)
    at = writeValue(buffer, at, values[i] as string)
  }
  names.length = 0
  values.length = 0
  return at
}

function visit(name: string, value: string): void {
  if (NOT_FORWARDED.has(name) || hopNames.includes(name) || names.includes(name)) return
  if (!headerName(name).isValid) return
  names.push(name)
  values.push((source as Headers).get(name) ?? value)
}
