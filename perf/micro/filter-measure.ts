/** Times one operation and prints nanoseconds an operation: the best of several rounds, so that a busy machine spoils little. */
export function measure(label: string, operation: () => unknown, count = 1_000_000, rounds = 7): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < count; i++) sink = operation()
    best = Math.min(best, Number(process.hrtime.bigint() - start) / count)
  }
  console.log(`${label.padEnd(58)} ${best.toFixed(1).padStart(8)} ns`)
  return best
}

/** Keeps results alive, so that no work is optimised away. */
export let sink: unknown = null
