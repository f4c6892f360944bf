/** “Did you mean …” for names that come with a request. */

/** Names that are looked at: a message is not worth more. */
const MAX_CANDIDATES = 200
const MAX_LENGTH = 64

/** ` (did you mean "x"?)` with the candidate that is a slip of the pen away from `word`, `''` when there is none. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  if (word.length > MAX_LENGTH) return ''
  const wanted = word.toLowerCase()
  let best = ''
  let bestDistance = wanted.length <= 3 ? 2 : wanted.length <= 7 ? 3 : 4
  let left = MAX_CANDIDATES
  for (const candidate of candidates) {
    if (left-- === 0) break
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best === '' ? '' : ` (did you mean ${JSON.stringify(best)}?)`
}

/** Insertions, deletions and substitutions that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      row.push(Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + cost))
    }
    last = row
  }
  return last[b.length]
}
