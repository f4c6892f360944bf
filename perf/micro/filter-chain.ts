/**
 * Claim: calling hooks out of parallel arrays with `.call(filter, …)` costs no more than bound functions, and
 * less than `filters[i].onRequest(…)`, whose property load sees a different shape for each filter.
 *
 *     node perf/micro/filter-chain.ts
 */
import { measure } from './filter-measure.ts'

interface Thing {
  count: number
}
type Hook = (this: unknown, thing: Thing) => number | undefined
interface Hooked {
  onRequest: Hook
}

/** Five filters of five shapes, as in a real chain: literals with different fields, and classes. */
function makeFilters(): Hooked[] {
  class A {
    a = 1
    onRequest(thing: Thing): number | undefined {
      thing.count += this.a
      return undefined
    }
  }
  class B {
    b = 2
    c = 3
    onRequest(thing: Thing): number | undefined {
      thing.count += this.c
      return 0
    }
  }
  const d = 4
  return [
    new A(),
    new B(),
    {
      name: 'd',
      onRequest(thing: Thing) {
        thing.count += d
      },
    } as unknown as Hooked,
    {
      x: 5,
      y: 6,
      onRequest(this: { y: number }, thing: Thing) {
        thing.count += this.y
        return 0
      },
    } as unknown as Hooked,
    {
      name: 'e',
      place: 'last',
      onRequest(thing: Thing) {
        thing.count++
      },
    } as unknown as Hooked,
  ]
}

const filters = makeFilters()
const hooks = filters.map((filter) => filter.onRequest)
const bound = filters.map((filter) => filter.onRequest.bind(filter))

function runMethods(thing: Thing): number {
  for (let i = 0; i < filters.length; i++) {
    const verdict = filters[i].onRequest(thing)
    if (verdict !== undefined && verdict !== 0) return verdict
  }
  return 0
}

function runCalls(thing: Thing): number {
  for (let i = 0; i < hooks.length; i++) {
    const verdict = hooks[i].call(filters[i], thing)
    if (verdict !== undefined && verdict !== 0) return verdict
  }
  return 0
}

function runCallsGuarded(thing: Thing): number {
  let i = 0
  try {
    for (; i < hooks.length; i++) {
      const verdict = hooks[i].call(filters[i], thing)
      if (verdict !== undefined && verdict !== 0) return verdict
    }
    return 0
  } catch (error) {
    throw new Error(`hook ${i}`, { cause: error })
  }
}

function runBound(thing: Thing): number {
  for (let i = 0; i < bound.length; i++) {
    const verdict = bound[i](thing)
    if (verdict !== undefined && verdict !== 0) return verdict
  }
  return 0
}

const thing: Thing = { count: 0 }
measure('five hooks as methods', () => runMethods(thing))
measure('five hooks with .call', () => runCalls(thing))
measure('five hooks with .call in one try', () => runCallsGuarded(thing))
measure('five bound hooks', () => runBound(thing))
