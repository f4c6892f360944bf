/** The candidate that `word` was probably meant to be, null when none is near. */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = distanceBetween(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean "x"?`, or a list when nothing is near, or nothing when there are too many to list. */
export function suggestion(word: string, candidates: readonly string[]): string {
  const near = suggest(word, candidates)
  if (near !== null) return `; did you mean "${near}"?`
  return candidates.length > 0 && candidates.length <= 12 ? `; known: ${candidates.join(', ')}` : ''
}

const MIN_PREFIX = 3

/** A word that was cut short or carried on too long is as near as one slip. */
function distanceBetween(word: string, candidate: string): number {
  const isPart = candidate.startsWith(word) || word.startsWith(candidate)
  if (isPart && Math.min(word.length, candidate.length) >= MIN_PREFIX && word !== candidate) return 1
  return editDistance(word, candidate)
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      current[j] = Math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) current[j] = Math.min(current[j], beforePrevious[j - 2] + 1)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length]
}
