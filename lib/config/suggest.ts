/** “Did you mean …”: finds the nearest of a few names. */

/** The candidate nearest to `word`, or null when none is near enough to be a slip of the pen. */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const wanted = word.toLowerCase()
  const allowed = wanted.length <= 3 ? 1 : wanted.length <= 7 ? 2 : 3
  let best: string | null = null
  let bestDistance = allowed + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** A hint for a word that is not among `candidates`: the nearest one, else the first few of them. */
export function suggest(word: string, candidates: readonly string[], what: string): string {
  const near = nearest(word, candidates)
  if (near !== null) return `did you mean ${JSON.stringify(near)}?`
  if (candidates.length === 0) return `there is no ${what} at all`
  const shown = candidates.slice(0, 12).join(', ')
  return candidates.length > 12 ? `${what}: ${shown}, …` : `${what}: ${shown}`
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let value = Math.min(
        (last[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (last[j - 1] as number) + cost,
      )
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) value = Math.min(value, (beforeLast[j - 2] as number) + 1)
      row.push(value)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] as number
}
