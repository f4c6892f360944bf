/** Shards: how ranges of them are written, and how a user id gives one. */

/** No shard: the request belongs to no user, or nothing tells whose it is. */
export const UNSHARDED = -1

/** Reads `00-49`, `07` or several, joined by commas. Returns the shards in order, or what is wrong. */
export function parseShards(text: string, count: number): number[] | string {
  const found = new Set<number>()
  for (const part of text.split(',')) {
    const range = /^\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?$/.exec(part)
    if (range === null) return `"${part.trim()}" is no range; write "00-49" or "07"`
    const first = Number(range[1])
    const last = range[2] === undefined ? first : Number(range[2])
    if (first > last) return `"${part.trim()}" goes backwards; write "${range[2]}-${range[1]}"`
    if (last >= count) return `"${part.trim()}" goes beyond ${showShard(count - 1, count)}, the last shard`
    for (let shard = first; shard <= last; shard++) found.add(shard)
  }
  return [...found].sort((a, b) => a - b)
}

/** Writes shards, which must be in order, as ranges: `00-09,42`. */
export function showShards(shards: readonly number[], count: number): string {
  const parts: string[] = []
  for (let i = 0; i < shards.length; i++) {
    const first = shards[i]
    while (i + 1 < shards.length && shards[i + 1] === shards[i] + 1) i++
    const end = shards[i] === first ? '' : `-${showShard(shards[i], count)}`
    parts.push(showShard(first, count) + end)
  }
  return parts.join(',')
}

/** `00` … `99`: shards are written into headers for each request. */
const TWO_DIGITS = Array.from({ length: 100 }, (_, shard) => String(shard).padStart(2, '0'))

/** One shard with leading zeros, as many digits as the last of `count` has, at least two. */
export function showShard(shard: number, count: number): string {
  if (count <= TWO_DIGITS.length) return TWO_DIGITS[shard]
  return String(shard).padStart(Math.max(2, String(count - 1).length), '0')
}

/**
 * The number that the digits `start…end` of a user id make; both may count from the end, as in `slice`. `UNSHARDED` when the id is shorter
 * than that, has anything but digits in it, or gives no shard.
 */
export function shardOfUser(id: string, start: number, end: number, count: number): number {
  const { length } = id
  const from = start < 0 ? length + start : start
  const to = end <= 0 ? length + end : end
  if (from < 0 || to > length || from >= to) return UNSHARDED
  let shard = 0
  for (let i = 0; i < length; i++) {
    const digit = id.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return UNSHARDED
    if (i >= from && i < to) shard = shard * 10 + digit
  }
  return shard < count ? shard : UNSHARDED
}

const MAX_SHARD_DIGITS = 4

/** The shard that a text names; `UNSHARDED` when it names none. */
export function shardOfText(text: string, count: number): number {
  const { length } = text
  if (length === 0 || length > MAX_SHARD_DIGITS) return UNSHARDED
  let shard = 0
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return UNSHARDED
    shard = shard * 10 + digit
  }
  return shard < count ? shard : UNSHARDED
}

/** A number that always is the same for the same text, 0 … 2^30 - 1 (FNV-1a over its UTF-16 units). */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mix(hash)
}

/** Spreads the bits of a number over 30, as many as V8 keeps without a box. */
export function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) & 0x3fffffff
}

/** Whether a pattern of a rule covers an operation: the same text, or the beginning of it before a final `*`. */
export function coversOp(pattern: string, op: string): boolean {
  return pattern.endsWith('*') ? op.startsWith(pattern.slice(0, -1)) : op === pattern
}
