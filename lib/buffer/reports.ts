/** What streams have to tell once the running call is over. */

/** Somebody with something to tell. */
export interface Reporter {
  report(): void
}

/** Has `report` called behind the running call, in the order of asking: whoever is told may not be told in the middle of its own call. One per connection. */
export class Reports {
  #waiting: Reporter[] = []
  readonly #run = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    for (const reporter of waiting) reporter.report()
  }

  later(reporter: Reporter): void {
    if (this.#waiting.length === 0) queueMicrotask(this.#run)
    this.#waiting.push(reporter)
  }
}
