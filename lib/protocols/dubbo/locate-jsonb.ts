/** Finds the attachments in a fastjson2 body by hopping over lengths. */
import { KIND_PLAIN } from '../../buffer/header-table.ts'
import { type AttachmentSink, KIND_ENCODED, KIND_OPAQUE, MapForm } from './attachment-map.ts'
import { countArguments } from './descriptor.ts'
import {
  isJsonbText,
  Jsonb,
  JsonbError,
  jsonbAsciiStart,
  jsonbEntries,
  jsonbFieldEnd,
  skipJsonb,
} from './jsonb.ts'

const LENGTH_BYTES = 4

/** As `locateHessian`. */
export function locateJsonb(
  into: AttachmentSink,
  end: number,
  descriptorAt: number,
  at: number,
  values: number,
): boolean {
  const { bytes, base } = into
  try {
    const count = values >= 0 ? values : argumentsOf(bytes, base + descriptorAt, base + at)
    if (count < 0) return false
    let next = base + at
    for (let i = 0; i < count; i++) next = jsonbFieldEnd(bytes, next, base + end)
    readMap(into, next, base + end)
    return true
  } catch (error) {
    if (error instanceof JsonbError) return false
    throw error
  }
}

function argumentsOf(bytes: Buffer, at: number, end: number): number {
  const start = jsonbAsciiStart(bytes, at + LENGTH_BYTES, end)
  return start < 0 ? -1 : countArguments(bytes, start, end)
}

function readMap(into: AttachmentSink, at: number, bodyEnd: number): void {
  const { bytes, base } = into
  into.mapAt = at - base
  into.mapEnd = into.mapAt
  into.form = MapForm.Missing
  if (at === bodyEnd) return
  const end = jsonbFieldEnd(bytes, at, bodyEnd)
  into.mapEnd = end - base
  if (bytes[at + LENGTH_BYTES] === Jsonb.Null) {
    into.form = MapForm.Null
    return
  }
  const entriesAt = jsonbEntries(bytes, at + LENGTH_BYTES, end)
  if (entriesAt < 0) throw new JsonbError('the attachments are no object')
  into.form = MapForm.Present
  into.entriesAt = entriesAt - base
  const entriesEnd = readEntries(into, entriesAt, end)
  if (entriesEnd + 1 !== end) throw new JsonbError('bytes follow the attachments')
  into.entriesEnd = entriesEnd - base
}

/** Returns where the end marker lies. */
function readEntries(into: AttachmentSink, at: number, end: number): number {
  const { bytes, base } = into
  while (at < end && bytes[at] !== Jsonb.ObjectEnd) {
    const keyAt = at
    const valueAt = skipJsonb(bytes, keyAt, end)
    at = skipJsonb(bytes, valueAt, end)
    const keyStart = isJsonbText(bytes[keyAt] as number) ? jsonbAsciiStart(bytes, keyAt, valueAt) : -1
    if (keyStart < 0) {
      into.push(0, 0, valueAt - base, at - base, KIND_OPAQUE)
      continue
    }
    const code = bytes[valueAt] as number
    const textStart = isJsonbText(code) ? jsonbAsciiStart(bytes, valueAt, at) : -1
    if (textStart >= 0) {
      into.push(keyStart - base, valueAt - base, textStart - base, at - base, KIND_PLAIN)
    } else into.push(keyStart - base, valueAt - base, valueAt - base, at - base, kindOf(code))
  }
  if (at >= end) throw new JsonbError('the attachments do not end')
  return at
}

/** Objects, lists and names may be referred to from elsewhere: they stay. */
function kindOf(code: number): number {
  return code < Jsonb.Symbol || code >= Jsonb.Null ? KIND_ENCODED : KIND_OPAQUE
}
