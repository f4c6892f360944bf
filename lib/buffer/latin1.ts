/**
 * Node's fast string cutters. They have been on every Buffer since Node 0.x, measure about half of
 * `toString(encoding, start, end)` for short ranges, and are missing from the published types.
 */
declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string
    utf8Slice(start: number, end: number): string
    /** Returns the bytes written. */
    latin1Write(text: string, offset: number, length?: number): number
    /** Returns the bytes written. */
    utf8Write(text: string, offset: number, length?: number): number
  }
}

export {}
