/** JVM descriptors of parameter lists, such as `[Ljava/lang/String;[IDZ`. */
import { MAX_ARGUMENTS } from './constants.ts'

const ARRAY = 0x5b
const OBJECT = 0x4c
const OBJECT_END = 0x3b
/** One character for each primitive, and `V`, which Java's own parser takes, too. */
const PRIMITIVES: ReadonlySet<number> = new Set([...'VZBCDFIJS'].map((letter) => letter.charCodeAt(0)))

/** How many parameters the ASCII descriptor in `at…end` has; −1 when it is none, or has more than a JVM allows. */
export function countArguments(bytes: Buffer, at: number, end: number): number {
  let count = 0
  while (at < end) {
    while (at < end && bytes[at] === ARRAY) at++
    if (at === end || ++count > MAX_ARGUMENTS) return -1
    const code = bytes[at++] as number
    if (PRIMITIVES.has(code)) continue
    if (code !== OBJECT) return -1
    while (at < end && bytes[at] !== OBJECT_END) at++
    if (at++ >= end) return -1
  }
  return count
}
