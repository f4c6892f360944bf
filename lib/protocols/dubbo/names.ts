/** Names that came before: a repeated interface or method is neither decoded nor hashed again. */
import '../../buffer/latin1.ts'

const SLOTS = 1024
const names: string[] = new Array(SLOTS).fill('')
/** The bytes of each name: comparing bytes with bytes takes half the time of comparing them with characters. */
const spellings: Uint8Array[] = new Array(SLOTS).fill(new Uint8Array(0))

/** The Latin-1 string in `start…end`. Names share a table of fixed size; one that lost its place is simply decoded again. */
export function nameAt(bytes: Buffer, start: number, end: number): string {
  if (start === end) return ''
  // The end and the middle of names tell more than their beginning, which tends to be a company's.
  const middle = bytes[(start + end) >> 1] as number
  const third = bytes[Math.max(start, end - 3)] as number
  const hash = (bytes[end - 1] as number) * 31 + third * 7 + middle * 131 + end - start
  const slot = hash & (SLOTS - 1)
  const spelling = spellings[slot] as Uint8Array
  if (spelling.length === end - start && isSame(bytes, start, spelling)) return names[slot] as string
  const name = bytes.latin1Slice(start, end)
  names[slot] = name
  spellings[slot] = Uint8Array.prototype.slice.call(bytes, start, end)
  return name
}

function isSame(bytes: Buffer, start: number, spelling: Uint8Array): boolean {
  for (let i = spelling.length - 1; i >= 0; i--) if (bytes[start + i] !== spelling[i]) return false
  return true
}
