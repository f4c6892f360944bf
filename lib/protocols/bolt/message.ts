/** What requests and responses have in common: the fixed part as numbers, and the header block. */
import { Proto } from './constants.ts'
import { fixedLength, type Hop, idOf, readI32, readU16 } from './frame.ts'
import { BoltHeaders, isExactly } from './headers.ts'

/** A message that came. Its class name, header block and content lie behind the fixed part in this order. */
export abstract class BoltMessage implements Hop {
  readonly headers = new BoltHeaders()
  readonly proto: number
  readonly crcVersion: number
  readonly switchByte: number
  readonly id: number
  /** Serializer of the content. */
  readonly serializer: number
  readonly commandVersion: number
  readonly fixedLength: number
  readonly classLength: number
  /** Bytes of the content. */
  readonly bodyLength: number

  /** `at` is the first byte of the frame, whose fixed part is sound. */
  constructor(bytes: Buffer, at: number, isResponse: boolean) {
    const proto = bytes[at] as number
    const isV1 = proto === Proto.V1
    const fixed = fixedLength(proto, isResponse)
    const lengths = at + fixed - 8
    this.proto = proto
    this.crcVersion = isV1 ? 0 : (bytes[at + 1] as number)
    this.switchByte = isV1 ? 0 : (bytes[at + 11] as number)
    this.id = idOf(bytes, at)
    this.serializer = bytes[isV1 ? at + 9 : at + 10] as number
    this.commandVersion = bytes[isV1 ? at + 4 : at + 5] as number
    this.fixedLength = fixed
    this.classLength = readU16(bytes, lengths)
    this.bodyLength = readI32(bytes, lengths + 4)
  }

  /** Reads the header block of the frame at `at`; false when it is malformed. */
  readHeaders(bytes: Buffer, at: number): boolean {
    const start = this.fixedLength + this.classLength
    const length = readU16(bytes, at + this.fixedLength - 6)
    return this.headers.read(bytes, at, start, start + length)
  }

  /** Whether the class name is `name`; only while the frame's bytes are there. */
  isOfClass(name: string): boolean {
    const { bytes, base } = this.headers
    return this.classLength === name.length && isExactly(bytes, base + this.fixedLength, name)
  }

  /** Where the content began, counted from the first byte of the frame. */
  get contentOffset(): number {
    return this.headers.blockEnd
  }

  retain(): void {
    this.headers.retain(this.headers.blockEnd)
  }

  release(): void {
    this.headers.release()
  }
}
