/**
 * Claim: a Bolt header of a single character is decoded six times as fast without a native call. Longer ones gain nothing
 * from a loop that finds them to be ASCII and then reads them as Latin-1.
 *
 *     node perf/micro/bolt-text.ts
 */
import '../../lib/buffer/latin1.ts'
import { measure } from './filter-measure.ts'

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] as number) >= 0x80) return false
  return true
}

for (const text of ['0', '0.1.2', 'c00002021795187693051100119753', 'x'.repeat(64), 'x'.repeat(128)]) {
  const bytes = Buffer.from(`  ${text}  `)
  const end = 2 + text.length
  const name = `${text.length} characters`
  measure(`${name}: utf8Slice`, () => bytes.utf8Slice(2, end))
  measure(`${name}: loop and latin1Slice`, () => isAscii(bytes, 2, end) && bytes.latin1Slice(2, end))
  if (text.length === 1) measure(`${name}: fromCharCode`, () => String.fromCharCode(bytes[2] as number))
}
