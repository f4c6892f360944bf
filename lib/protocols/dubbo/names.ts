/** Names that came before: a repeated interface or method is neither decoded nor hashed again. */
import '../../buffer/latin1.ts'

const SLOTS = 1024
const names: (string | null)[] = new Array(SLOTS).fill(null)

/** The Latin-1 string in `start…end`. Names share a table of fixed size; one that lost its place is simply decoded again. */
export function nameAt(bytes: Buffer, start: number, end: number): string {
  if (start === end) return ''
  // The end and the middle of names tell more than their beginning, which tends to be a company's.
  const middle = bytes[(start + end) >> 1] as number
  const third = bytes[Math.max(start, end - 3)] as number
  const hash = (bytes[end - 1] as number) * 31 + third * 7 + middle * 131 + end - start
  const slot = hash & (SLOTS - 1)
  const known = names[slot] as string | null
  if (known !== null && known.length === end - start && spells(bytes, start, known)) return known
  const name = bytes.latin1Slice(start, end)
  names[slot] = name
  return name
}

function spells(bytes: Buffer, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name.charCodeAt(i)) return false
  return true
}
