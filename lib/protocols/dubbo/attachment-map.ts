/** What finding the attachments in a body gives, for both serializations. */

/** A value that is no ASCII string: the position is that of its first byte, and it is decoded when it is read. */
export const KIND_ENCODED = 3
/** An entry whose key is no string, or whose value is an object, a list or a map: not visible, and always passed on. */
export const KIND_OPAQUE = 4

/** How the map is there. */
export const MapForm = { Present: 0, Null: 1, Missing: 2 } as const
export type MapForm = (typeof MapForm)[keyof typeof MapForm]

/** Takes the entries of a map as they are found. Positions count from `base`. */
export interface AttachmentSink {
  readonly bytes: Buffer
  readonly base: number
  form: MapForm
  /** Where the map's value begins and ends (for fastjson2 with the length in front). */
  mapAt: number
  mapEnd: number
  /** Where the entries begin and the end marker lies. */
  entriesAt: number
  entriesEnd: number
  push(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number, kind: number): void
}
