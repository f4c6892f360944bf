/** A body that came in pieces, on its way to be one. Rare: frames arrive whole, and so do most bodies that filters hold. */
export class Pieces {
  length = 0
  #pieces: Buffer[] = []

  /** Keeps a copy of a range. */
  push(bytes: Buffer, offset: number, end: number): void {
    if (end === offset) return
    const piece = Buffer.allocUnsafeSlow(end - offset)
    bytes.copy(piece, 0, offset, end)
    this.#pieces.push(piece)
    this.length += piece.length
  }

  /** Everything as one Buffer of the caller's own. */
  take(): Buffer {
    const pieces = this.#pieces
    this.#pieces = []
    this.length = 0
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  }
}
