/** The filters under examples/filters do what they say. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import t from 'tap'
import type { FilterDefinition } from '../../lib/core/filter.ts'
import { loadUserModule } from '../../lib/filters/user-module.ts'
import { testFilter } from '../../lib/testing.ts'

async function example(name: string): Promise<FilterDefinition> {
  const { definition, refused } = await loadUserModule(
    path.resolve(import.meta.dirname, '../../examples/filters', name),
  )
  if (definition === null) throw new Error(refused)
  return definition
}

t.test('tenant names the tenant of a known host and refuses others', async (t) => {
  const kit = testFilter(await example('tenant.ts'), { tenants: { 'a.test': 'blue' } })
  t.equal((await kit.run({ authority: 'a.test' })).forwarded?.headers['x-tenant'], 'blue')
  t.match(await kit.run({ authority: 'b.test' }), { status: 421, forwarded: null })
  t.equal(kit.counter('meshgate_user_unknown_tenant_total', { filter: 'filter' }), 1)
})

t.test('token-check asks once for each token and while the answer holds', async (t) => {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    response.writeHead(request.headers.authorization === 'good' ? 200 : 403).end('x')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const kit = testFilter(await example('token-check.ts'), { url, rememberMs: 1000 })
  const statusOf = async (authorization: string) => (await kit.run({ headers: { authorization } })).status
  t.equal((await kit.run()).status, 401)
  t.equal(asked, 0)
  t.strictSame([await statusOf('good'), await statusOf('good'), asked], [200, 200, 1])
  t.strictSame([await statusOf('bad'), asked], [401, 2])
  kit.clock.advance(1001)
  t.strictSame([await statusOf('good'), asked], [200, 3])
  const down = testFilter(await example('token-check.ts'), { url: 'http://127.0.0.1:1/' })
  t.equal((await down.run({ headers: { authorization: 'good' } })).status, 503)
  t.match(down.logs, [{ level: 'warn' }])
})
