/** Chooses among weighted destinations. */
import { RuleError } from './pattern.ts'

/** One choice. Weights are relative: they need not add up to 100. */
export interface Weighted<T> {
  readonly weight: number
  readonly target: T
}

/** A cumulative table of weights. Immutable; choosing allocates nothing. */
export class WeightedChoice<T> {
  readonly #targets: readonly T[]
  /** Sum of the weights up to and with each target. */
  readonly #sums: readonly number[]
  readonly #total: number
  readonly #random: () => number

  /** `random` returns numbers in [0, 1). Throws `RuleError` when no weight is above 0 or one is not a number from 0 on. */
  constructor(choices: readonly Weighted<T>[], random: () => number = Math.random) {
    const targets: T[] = []
    const sums: number[] = []
    let total = 0
    for (let i = 0; i < choices.length; i++) {
      const { weight, target } = choices[i]!
      if (!Number.isFinite(weight) || weight < 0) {
        throw new RuleError([`${i}`, 'weight'], `${weight} is no weight; a number from 0 on is expected`)
      }
      if (weight === 0) continue
      total += weight
      targets.push(target)
      sums.push(total)
    }
    if (total === 0 || total === Infinity)
      throw new RuleError([], 'the weights do not add up to a number above 0')
    this.#targets = targets
    this.#sums = sums
    this.#total = total
    this.#random = random
  }

  /** A target by chance, each as often as its weight says. */
  pick(): T {
    return this.#targets.length === 1 ? this.#targets[0]! : this.at(this.#random())
  }

  /** The target at a fraction in [0, 1) of the table, so that a hash can choose; always the same for the same fraction. */
  at(fraction: number): T {
    const wanted = fraction * this.#total
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (wanted < this.#sums[middle]!) high = middle
      else low = middle + 1
    }
    return this.#targets[low]!
  }
}
