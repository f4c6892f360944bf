/** Methods: the known ones are found without making a string. */

const KNOWN = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY']

// First and last letter and length tell the known ones apart.
const slots: (string | null)[] = new Array(64).fill(null)
function slotOf(length: number, first: number, last: number): number {
  return (length + first * 3 + last * 3) & 63
}
for (const method of KNOWN) {
  const slot = slotOf(method.length, method.charCodeAt(0), method.charCodeAt(method.length - 1))
  if (slots[slot] !== null) throw new Error(`methods ${method} and ${slots[slot]} share a slot`)
  slots[slot] = method
}

/** The method at `start…end`. */
export function methodAt(bytes: Buffer, start: number, end: number): string {
  const length = end - start
  const known = slots[slotOf(length, bytes[start], bytes[end - 1])]
  if (known === null || known.length !== length) return bytes.latin1Slice(start, end)
  for (let i = 0; i < length; i++) {
    if (bytes[start + i] !== known.charCodeAt(i)) return bytes.latin1Slice(start, end)
  }
  return known
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE', 'QUERY'])

/** True for methods that may be repeated (RFC 9110 section 9.2.2). */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}
