/** What is known of the header names in use, so that one look-up serves whoever reads or adds a header. */
import { MAX_NAME_BYTES, STATIC_INDEX } from './constants.ts'

const NAME = /^[a-z0-9._-]+$/
const SLOTS = 512

/** A name and what a header block makes of it. */
export class HeaderName {
  readonly text: string
  /** Its static number, -1 when it is written out. */
  readonly index: number
  /** Whether a block can hold it. */
  readonly isValid: boolean
  /** The value that was added last, when it is short: filters tend to add the same one again. */
  value: string | null = null
  /** The whole entry with that value, once it came twice; null before. */
  entry: Buffer | null = null

  constructor(text: string) {
    this.text = text
    this.index = STATIC_INDEX.get(text) ?? -1
    this.isValid = text.length <= MAX_NAME_BYTES && NAME.test(text)
  }
}

const known: (HeaderName | null)[] = new Array(SLOTS).fill(null)

/** Names share a table of fixed size; one that lost its place is simply looked at again. */
export function headerName(text: string): HeaderName {
  const length = text.length
  const slot = (length * 73 + text.charCodeAt(0) * 31 + text.charCodeAt(length - 1)) & (SLOTS - 1)
  const found = known[slot] as HeaderName | null
  if (found !== null && found.text === text) return found
  const name = new HeaderName(text)
  known[slot] = name
  return name
}
