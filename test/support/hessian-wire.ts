/** Bytes and values for tests of Hessian: captured bodies, a copy through both ends, and short ways to read and write. */
import { readdirSync, readFileSync } from 'node:fs'
import { type Dialect, draft, final, Kind } from '../../lib/protocols/hessian/dialect.ts'
import { DEFAULT_LIMITS, type HessianLimits } from '../../lib/protocols/hessian/limits.ts'
import { HessianReader } from '../../lib/protocols/hessian/reader.ts'
import { HessianSkipper } from '../../lib/protocols/hessian/skipper.ts'
import type { HessianValue } from '../../lib/protocols/hessian/values.ts'
import { HessianWriter } from '../../lib/protocols/hessian/writer.ts'

export const DIALECTS: readonly Dialect[] = [draft, final]

export interface CapturedBody {
  readonly name: string
  readonly dialect: Dialect
  readonly body: Buffer
}

/** Serialization id of Hessian in Dubbo's flag byte. */
const DUBBO_HESSIAN = 2

/** Every Hessian body of the captured Bolt and Dubbo frames, save those that were broken on purpose. */
export function capturedBodies(): CapturedBody[] {
  return [...frames('bolt', draft, boltBody), ...frames('dubbo', final, dubboBody)]
}

function frames(folder: string, dialect: Dialect, bodyOf: (frame: Buffer) => Buffer | null): CapturedBody[] {
  const root = new URL(`../vectors/${folder}/`, import.meta.url)
  const bodies: CapturedBody[] = []
  for (const file of readdirSync(root).sort()) {
    if (!file.endsWith('.bin') || /garbage\.req|len-negative/.test(file)) continue
    const body = bodyOf(readFileSync(new URL(file, root)))
    if (body !== null && body.length > 0) bodies.push({ name: `${folder}/${file}`, dialect, body })
  }
  return bodies
}

/** The content of a Bolt frame of either version: behind class name and headers. */
function boltBody(frame: Buffer): Buffer {
  const isSecond = frame[0] === 2
  const isRequest = frame[isSecond ? 2 : 1] !== 0
  const head = (isRequest ? 22 : 20) + (isSecond ? 2 : 0)
  const start = head + frame.readUInt16BE(head - 8) + frame.readUInt16BE(head - 6)
  return frame.subarray(start, start + frame.readUInt32BE(head - 4))
}

function dubboBody(frame: Buffer): Buffer | null {
  if ((frame[2] & 0x1f) !== DUBBO_HESSIAN) return null
  return frame.subarray(16, 16 + frame.readInt32BE(12))
}

/** Bytes from hex with spaces and "quoted" ASCII between. */
export function hex(text: string): Buffer {
  return Buffer.concat(
    text
      .split(/"([^"]*)"/)
      .map((part, i) =>
        i % 2 === 1 ? Buffer.from(part, 'latin1') : Buffer.from(part.replace(/\s/g, ''), 'hex'),
      ),
  )
}

/** All values of a stream; the skipper must step over the same ones. */
export function readAll(
  dialect: Dialect,
  bytes: Buffer,
  limits: HessianLimits = DEFAULT_LIMITS,
): HessianValue[] {
  const reader = new HessianReader(dialect, limits)
  reader.reset(bytes, 0, bytes.length)
  const skipper = new HessianSkipper(dialect, limits)
  const values: HessianValue[] = []
  for (let at = 0; !reader.isAtEnd; ) {
    values.push(reader.readValue())
    at = skipper.skip(bytes, at, bytes.length)
    if (at !== reader.position) throw new Error(`read up to ${reader.position}, stepped up to ${at}`)
  }
  return values
}

export function readOne(dialect: Dialect, bytes: Buffer, limits?: HessianLimits): HessianValue {
  const values = readAll(dialect, bytes, limits)
  if (values.length !== 1) throw new Error(`${values.length} values instead of one`)
  return values[0]!
}

/** What `write` makes of a fresh writer. */
export function written(dialect: Dialect, write: (writer: HessianWriter) => void): Buffer {
  const writer = new HessianWriter(dialect)
  write(writer)
  return Buffer.from(writer.bytes())
}

/** Steps over every value of a stream. */
export function skipAll(dialect: Dialect, bytes: Buffer, limits: HessianLimits = DEFAULT_LIMITS): void {
  const skipper = new HessianSkipper(dialect, limits)
  for (let at = 0; at < bytes.length; ) at = skipper.skip(bytes, at, bytes.length)
}

/** Reads a stream piece by piece and writes each piece again, in the same kind of value. */
export function copyStream(dialect: Dialect, bytes: Buffer): Buffer {
  const reader = new HessianReader(dialect)
  reader.reset(bytes, 0, bytes.length)
  return written(dialect, (writer) => {
    while (!reader.isAtEnd) copyValue(reader, writer)
  })
}

function copyValue(reader: HessianReader, writer: HessianWriter): void {
  switch (reader.peekKind()) {
    case Kind.Object:
      writer.beginObjectOf(reader.enterObject())
      while (reader.hasNext()) copyValue(reader, writer)
      return
    case Kind.Map:
      writer.beginMap(reader.enterMap())
      while (reader.hasNext()) {
        copyValue(reader, writer)
        copyValue(reader, writer)
      }
      writer.endMap()
      return
    case Kind.List:
      writer.beginList(reader.enterList(), reader.listLength)
      while (reader.hasNext()) copyValue(reader, writer)
      writer.endList()
      return
    default:
      copyScalar(reader, writer)
  }
}

function copyScalar(reader: HessianReader, writer: HessianWriter): void {
  switch (reader.peekKind()) {
    case Kind.Null:
      reader.readNull()
      writer.writeNull()
      return
    case Kind.Boolean:
      writer.writeBoolean(reader.readBoolean())
      return
    case Kind.Int:
      writer.writeInt(reader.readInt())
      return
    case Kind.Long:
      writer.writeLong(reader.readLong())
      return
    case Kind.Double:
      writer.writeDouble(reader.readDouble())
      return
    case Kind.Date:
      writer.writeDate(reader.readDate().ms)
      return
    case Kind.String:
      writer.writeString(reader.readString())
      return
    case Kind.Binary: {
      const bytes = reader.readBinary()
      writer.writeBinary(bytes, 0, bytes.length)
      return
    }
    default:
      writer.writeRef(reader.readRefIndex())
  }
}
