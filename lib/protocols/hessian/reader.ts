import { Kind } from './dialect.ts'
import { KeyCache } from './key-cache.ts'
import { HessianError } from './limits.ts'
import { HessianTokens } from './tokens.ts'
import { HessianList, HessianMap, HessianObject, type HessianValue } from './values.ts'

type Container = HessianObject | HessianMap | HessianList

/**
 * Reads one stream: as values (`readValue`), or piece by piece for whoever turns it into something else.
 *
 *     reader.reset(bytes, 0, bytes.length)
 *     if (reader.peekKind() === Kind.List) {
 *       reader.enterList()
 *       while (reader.hasNext()) sum += reader.readInt()
 *     }
 *
 * Piece by piece: `peekKind` says what comes; `enterObject`, `enterMap` and `enterList` step into a container, and
 * `hasNext` asks there, before every value of a list or an object and before every key of a map, whether another
 * follows; its false has already stepped out of the container. Scalars are read with the methods of `HessianCursor`, a
 * reference with `readRefIndex`. `readValue` reads a whole value at any such place.
 *
 * Everything from one `reset` to the next is one stream with one set of tables and limits. Every method throws a
 * HessianError for input that is broken or goes past a limit; after that the reader is good for nothing but `reset`.
 */
export class HessianReader extends HessianTokens {
  /** Containers by index, as far as they were read as values or assigned. */
  readonly #containers: Container[] = []
  /** Keys of maps by their bytes; outlives a reset. */
  readonly #keys = new KeyCache()

  /** Begins a new stream in the bytes between `offset` and `end`. Binary values that are read are views of them. */
  override reset(bytes: Buffer, offset: number, end: number): void {
    super.reset(bytes, offset, end)
    if (this.#containers.length > 0) this.#containers.length = 0
  }

  /** Makes references to a container that was entered, rather than read, give `value`. */
  assign(slot: number, value: Container): void {
    this.#containers[slot] = value
  }

  /** Reads a whole value. What is read between `enterX` and its last `hasNext` may refer to values read before. */
  readValue(): HessianValue {
    // Most values are short strings, and most others small ints.
    const lead = this.lead()
    if (lead < 0x20) return this.readString()
    if (lead >= 0x80 && lead <= 0xbf) {
      this.position++
      return lead - 0x90
    }
    switch (this.peekKind()) {
      case Kind.Null:
        this.position++
        return null
      case Kind.Boolean:
        return this.readBoolean()
      case Kind.String:
        return this.readString()
      case Kind.Object:
        return this.#readObject()
      case Kind.Map:
        return this.#readMap()
      case Kind.List:
        return this.#readList()
      case Kind.Date:
        return this.readDate()
      case Kind.Binary:
        return this.readBinary()
      case Kind.Ref:
        return this.#readRef()
      default:
        return this.readNumber()
    }
  }

  #readObject(): HessianObject {
    const definition = this.enterObject()
    const values: HessianValue[] = []
    const object = new HessianObject(definition, values)
    this.#containers[this.slots - 1] = object
    while (this.hasNext()) values.push(this.readValue())
    return object
  }

  #readMap(): HessianMap {
    const entries = new Map<HessianValue, HessianValue>()
    const map = new HessianMap(this.enterMap(), entries)
    this.#containers[this.slots - 1] = map
    while (this.hasNext()) {
      const key = this.lead() < 0x20 ? this.#readKey() : this.readValue()
      entries.set(key, this.readValue())
    }
    return map
  }

  /** A key that is a short string. */
  #readKey(): string {
    const at = this.position
    const known = this.#keys.find(this.bytes, at, this.end)
    if (known !== null) {
      this.position = at + 1 + known.length
      return known
    }
    const key = this.readString()
    this.#keys.add(this.bytes, at, this.position, key)
    return key
  }

  #readList(): HessianList {
    const items: HessianValue[] = []
    const list = new HessianList(this.enterList(), items)
    this.#containers[this.slots - 1] = list
    while (this.hasNext()) items.push(this.readValue())
    return list
  }

  #readRef(): Container {
    const at = this.position
    const index = this.readRefIndex()
    const value: Container | undefined = this.#containers[index]
    if (value === undefined)
      throw new HessianError(`a reference to container ${index}, which is no part of a value`, at)
    return value
  }
}
