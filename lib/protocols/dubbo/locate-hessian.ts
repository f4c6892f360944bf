/** Finds the attachments in a hessian2 body: behind the arguments of a request or the value of a response. */
import { KIND_PLAIN } from '../../buffer/header-table.ts'
import { final } from '../hessian/dialect.ts'
import { DEFAULT_LIMITS, HessianError } from '../hessian/limits.ts'
import { HessianSkipper } from '../hessian/skipper.ts'
import { type AttachmentSink, KIND_ENCODED, KIND_OPAQUE, MapForm } from './attachment-map.ts'
import { countArguments } from './descriptor.ts'
import { asciiStart, HESSIAN_NULL, isHessianText, skipHessianText } from './hessian-text.ts'

const MAP_UNTYPED = 0x48
const MAP_TYPED = 0x4d
const MAP_END = 0x5a

/** What is only stepped over costs no memory but a place on the skipper's stack, and its reader has limits of its own. */
const SKIP_LIMITS = { ...DEFAULT_LIMITS, maxDepth: 1024, maxElements: Number.MAX_SAFE_INTEGER }

/** Shared: a body is looked through in one go. */
const skipper = new HessianSkipper(final, SKIP_LIMITS)

/**
 * Fills `into`. `values` values lie between `at` and the map; −1: as many as the descriptor at `descriptorAt` says. `end`
 * and `at` count from `into.base`. False when the body breaks a rule or a limit.
 */
export function locateHessian(
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
    skipper.reset()
    let next = base + at
    for (let i = 0; i < count; i++) next = skipper.skip(bytes, next, base + end)
    readMap(into, next, base + end)
    return true
  } catch (error) {
    if (error instanceof HessianError) return false
    throw error
  }
}

function argumentsOf(bytes: Buffer, at: number, end: number): number {
  const start = asciiStart(bytes, at, end)
  return start < 0 ? -1 : countArguments(bytes, start, end)
}

function readMap(into: AttachmentSink, at: number, end: number): void {
  const { bytes, base } = into
  into.mapAt = at - base
  into.mapEnd = into.mapAt
  into.form = MapForm.Missing
  if (at === end) return
  const code = bytes[at] as number
  if (code === HESSIAN_NULL) {
    into.form = MapForm.Null
    into.mapEnd++
    return
  }
  if (code === MAP_TYPED) at = skipType(bytes, at + 1, end)
  else if (code === MAP_UNTYPED) at++
  else throw new HessianError(`expected the map of attachments, found ${code.toString(16)}`, at)
  into.form = MapForm.Present
  into.entriesAt = at - base
  at = readEntries(into, at, end)
  into.entriesEnd = at - base
  into.mapEnd = into.entriesEnd + 1
}

/** A type's name, or its number in the table of names. */
function skipType(bytes: Buffer, at: number, end: number): number {
  return isHessianText(bytes[at] as number) ? skipHessianText(bytes, at, end) : skipper.skip(bytes, at, end)
}

/** Returns where the end marker lies. */
function readEntries(into: AttachmentSink, at: number, end: number): number {
  const { bytes, base } = into
  while (bytes[at] !== MAP_END || at >= end) {
    const keyAt = at
    if (at >= end) throw new HessianError('the attachments do not end', at)
    const hasTextKey = isHessianText(bytes[at] as number)
    const valueAt = hasTextKey ? skipHessianText(bytes, at, end) : skipper.skip(bytes, at, end)
    if (valueAt >= end) throw new HessianError('the attachments do not end', valueAt)
    const code = bytes[valueAt] as number
    at = isHessianText(code) ? skipHessianText(bytes, valueAt, end) : skipper.skip(bytes, valueAt, end)
    const keyStart = hasTextKey ? asciiStart(bytes, keyAt, valueAt) : -1
    if (keyStart < 0) {
      into.push(0, 0, valueAt - base, at - base, KIND_OPAQUE)
      continue
    }
    const textStart = isHessianText(code) ? asciiStart(bytes, valueAt, at) : -1
    if (textStart >= 0) {
      into.push(keyStart - base, valueAt - base, textStart - base, at - base, KIND_PLAIN)
    } else into.push(keyStart - base, valueAt - base, valueAt - base, at - base, kindOf(code))
  }
  return at
}

/** What has a text, and takes no place in the tables that references count, may be read and taken out. */
function kindOf(code: number): number {
  if (isHessianText(code)) return KIND_ENCODED
  switch (code) {
    case HESSIAN_NULL:
    case 0x46:
    case 0x49:
    case 0x4c:
    case 0x54:
    case 0x59:
      return KIND_ENCODED
    default:
      return code >= 0x80 || (code >= 0x38 && code < 0x40) ? KIND_ENCODED : KIND_OPAQUE
  }
}
