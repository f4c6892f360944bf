/** Operation names that came before: a repeated one is neither decoded nor hashed again (perf/micro/mmtp-operations.ts). */

const SLOTS = 1024

interface Name {
  readonly text: string
  /** What it looks like in a frame: bytes are compared with bytes in half the time. */
  readonly bytes: Buffer
}

const names: (Name | null)[] = new Array(SLOTS).fill(null)

/** The Latin-1 string in `start…end`. Names share a table of fixed size; one that lost its place is simply decoded again. */
export function operationAt(bytes: Buffer, start: number, end: number): string {
  // The end and the middle of names tell more than their beginning, which tends to be a company's.
  const middle = bytes[(start + end) >> 1] as number
  const hash = (bytes[end - 1] as number) * 31 + (bytes[end - 3] as number) * 7 + middle * 131 + end - start
  const slot = hash & (SLOTS - 1)
  const known = names[slot] as Name | null
  if (known !== null && spells(bytes, start, end, known.bytes)) return known.text
  const text = bytes.latin1Slice(start, end)
  names[slot] = { text, bytes: Buffer.from(text, 'latin1') }
  return text
}

function spells(bytes: Buffer, start: number, end: number, name: Buffer): boolean {
  const length = end - start
  if (name.length !== length) return false
  for (let i = 0; i < length; i++) if (bytes[start + i] !== name[i]) return false
  return true
}
