/** What lib/buffer/id-table.ts brings over a `Map`: ids that rise while 64 of them are open, as on a busy multiplexed connection. */
import { IdTable } from '../../lib/buffer/id-table.ts'

const ROUNDS = 4_000_000
const OPEN = 64

interface Stream {
  readonly id: number
  /** Ballast, so that what a dead copy of the table keeps alive weighs something. */
  readonly state: number[]
}

interface Table {
  add(stream: Stream): void
  get(id: number): Stream | undefined
  delete(id: number): unknown
}

class MapTable implements Table {
  readonly #map = new Map<number, Stream>()

  add(stream: Stream): void {
    this.#map.set(stream.id, stream)
  }

  get(id: number): Stream | undefined {
    return this.#map.get(id)
  }

  delete(id: number): unknown {
    return this.#map.delete(id)
  }
}

function measure(label: string, table: Table): void {
  let sum = 0
  const begin = performance.now()
  for (let i = 0; i < ROUNDS; i++) {
    table.add({ id: 2 * i + 1, state: new Array(40).fill(i) })
    if (i < OPEN) continue
    const oldest = 2 * (i - OPEN) + 1
    sum += (table.get(oldest) as Stream).state.length
    table.delete(oldest)
  }
  const ns = ((performance.now() - begin) * 1e6) / ROUNDS
  process.stdout.write(`${label.padEnd(10)} ${ns.toFixed(1).padStart(8)} ns a stream (${sum})\n`)
}

for (let round = 0; round < 3; round++) {
  measure('Map', new MapTable())
  measure('IdTable', new IdTable<Stream>())
}
