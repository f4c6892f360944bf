/** What lib/protocols/mmtp/operations.ts brings: the operation of a request as a key of the route table. */
import { operationAt } from '../../lib/protocols/mmtp/operations.ts'

const ROUNDS = 2_000_000
const names = ['demo.order.create', 'bench.things.list', 'alipay.mobile.demo.echo', 'demo.order.query']
const routes = new Map(names.map((name, index) => [name, index]))
const bytes = Buffer.from(names.join(''), 'latin1')
const starts = names.map((_, index) => names.slice(0, index).join('').length)

function measure(label: string, read: (bytes: Buffer, start: number, end: number) => string): void {
  let sum = 0
  const begin = performance.now()
  for (let i = 0; i < ROUNDS; i++) {
    const start = starts[i & 3] as number
    sum += routes.get(read(bytes, start, start + (names[i & 3] as string).length)) as number
  }
  const ns = ((performance.now() - begin) * 1e6) / ROUNDS
  process.stdout.write(`${label.padEnd(24)} ${ns.toFixed(1).padStart(8)} ns (${sum})\n`)
}

for (let round = 0; round < 3; round++) {
  measure('decode and look up', (from, start, end) => from.latin1Slice(start, end))
  measure('known name and look up', operationAt)
}
