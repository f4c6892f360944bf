import fc from 'fast-check'
import t from 'tap'
import { IdTable } from '../../lib/buffer/id-table.ts'

t.test('finds what is in, and nothing else, whatever the order of ids', (t) => {
  const step = fc.record({ verb: fc.constantFrom('add', 'delete', 'get'), id: fc.nat({ max: 60 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const table = new IdTable<{ readonly id: number }>()
      const model = new Map<number, { readonly id: number }>()
      for (const { verb, id } of steps) {
        if (verb === 'add' && !model.has(id)) {
          const item = { id }
          model.set(id, item)
          table.add(item)
        }
        if (verb === 'delete' && table.delete(id) !== model.delete(id)) return false
        if (table.get(id) !== model.get(id) || table.size !== model.size) return false
      }
      const found = table.values().sort((a, b) => a.id - b.id)
      return found.length === model.size && found.every((item) => model.get(item.id) === item)
    }),
    { numRuns: 500 },
  )
  t.end()
})

t.test('one that stays for long moves aside for those that come and go', (t) => {
  const table = new IdTable<{ readonly id: number }>()
  const old = { id: 1 }
  table.add(old)
  for (let id = 3; id < 10_000; id += 2) {
    table.add({ id })
    table.delete(id)
  }
  t.equal(table.get(1), old)
  t.equal(table.size, 1)
  t.equal(table.delete(1), true)
  t.equal(table.delete(1), false)
  t.end()
})
