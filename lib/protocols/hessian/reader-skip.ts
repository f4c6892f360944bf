/** Steps over values in the middle of reading a stream piece by piece. */
import { Kind } from './dialect.ts'
import type { HessianReader } from './reader.ts'

/** Steps over the next value; its containers and classes count for what follows. Recursive: the reader bounds the depth. */
export function skipValue(reader: HessianReader): void {
  switch (reader.peekKind()) {
    case Kind.String:
      reader.skipString()
      return
    case Kind.Object:
      reader.enterObject()
      while (reader.hasNext()) skipValue(reader)
      return
    case Kind.List:
      reader.enterList()
      while (reader.hasNext()) skipValue(reader)
      return
    case Kind.Map:
      reader.enterMap()
      while (reader.hasNext()) {
        skipValue(reader)
        skipValue(reader)
      }
      return
    case Kind.Binary:
      reader.readBinary()
      return
    case Kind.Date:
      reader.readDate()
      return
    case Kind.Ref:
      reader.readRefIndex()
      return
    default:
      reader.readNumber()
  }
}
