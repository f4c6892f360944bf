import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import { startAdmin } from './call.ts'
import { endpoint, FakeGateway, MemoryLog, recentError, scope } from './fake-gateway.ts'

const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const skip = existsSync(chromiumPath)
  ? false
  : `there is no Chromium at ${chromiumPath}; install it, or name one in CHROMIUM`

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

t.test('the page in a real browser', { skip, timeout: 90_000 }, async (t) => {
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath: chromiumPath, args: FLAGS })
  t.teardown(() => browser.close())

  /** Opens the page on a gateway of its own. What the browser complains about fails the test. */
  async function open(t: Test, gateway = new FakeGateway()) {
    const server = await startAdmin('127.0.0.1:0', gateway, new MemoryLog())
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('console', (message) => complaints.push(message.text()))
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`)
      dialog.dismiss()
    })
    t.teardown(async () => {
      await page.close()
      await server.close()
    })
    await page.goto(`http://${server.address}/?refresh=0.1`)
    await page.waitForSelector('#page.live')
    const text = (selector: string) => page.locator(selector).innerText()
    const until = (selector: string, wanted: RegExp) =>
      page.locator(selector).filter({ hasText: wanted }).first().waitFor({ timeout: 10_000 })
    return { gateway, server, page, complaints, text, until }
  }

  await t.test('shows listeners, clusters, endpoints, routes, filters and the process', async (t) => {
    const gateway = new FakeGateway()
    gateway.clusterReports[0].endpoints = [
      endpoint('127.0.0.1:8080', { active: 5 }),
      endpoint('web.internal:80'),
    ]
    const { text, page, complaints } = await open(t, gateway)
    t.match(await text('header'), /meshgate\s*0\.1\.0\s*trade @ RZ01A\s*ready/)
    t.match(await text('#config'), /v3 · 2f1a9c44/)
    t.match(await text('#uptime'), '1 h 2 min')
    t.match(await text('#listeners'), /http\s+http1 0\.0\.0\.0:15001[\s\S]*1\.80 ms\s+12\.5 ms\s+48/)
    t.equal(await page.locator('#clusters tr').count(), 3)
    t.match(await text('#clusters'), /web\s[\s\S]*127\.0\.0\.1:8080[\s\S]*web\.internal:80/)
    t.match(await text('#routes'), /static\s+→ web/)
    t.match(await text('#filters'), /1\s+access-log\s+onEnd/)
    t.equal(await text('#memory'), '92.0 MiB')
    t.equal(await text('#loop'), '37 %')
    t.match(await text('#updated'), /^\d\d:\d\d:\d\d$/)
    t.equal(await page.locator('.banner:visible').count(), 0)
    t.same(complaints, [])
  })

  await t.test('turns counters into rates and follows them', async (t) => {
    const { gateway, text, until, page } = await open(t)
    t.equal(await text('#requests-rate'), '–', 'one reading is no rate')
    const listener = gateway.listenerReports[0]
    gateway.uptimeMs += 1000
    listener.requests += 1500
    await until('#requests-rate', /^1\.50k$/)
    gateway.uptimeMs += 1000
    listener.requests += 500
    listener.errors += 8
    listener.p99 = 2345
    listener.responses = { ...listener.responses, '5xx': 8 }
    await until('#requests-rate', /^1\.00k$/)
    t.equal(await text('#errors-rate'), '4')
    t.match(await page.locator('#errors-rate').getAttribute('class'), 'bad')
    t.equal(await text('#p99'), '2.35 s')
    t.match(await page.locator('#requests-line polyline').getAttribute('points'), /\d+,\d/)
    t.match(await page.title(), '1.00k/s · trade · meshgate')
  })

  await t.test(
    'keeps the element of a row when the order changes, and drops rows that are gone',
    async (t) => {
      const gateway = new FakeGateway()
      const [first] = gateway.routeReports
      gateway.routeReports = ['a', 'b', 'c'].map((name) => ({ ...first, name }))
      const { page, until } = await open(t, gateway)
      const row = await page.locator('#routes tr', { hasText: /^c/ }).elementHandle()
      gateway.routeReports = ['c', 'a', 'd'].map((name) => ({ ...first, name }))
      await until('#routes tr:last-child', /^d/)
      const names = await page.locator('#routes td.name').allInnerTexts()
      t.same(names, ['c', 'a', 'd'])
      t.ok(await row?.evaluate((element: any) => element.isConnected && element.rowIndex === 1))
    },
  )

  await t.test('says so when a configuration was refused, and stops when it is mended', async (t) => {
    const { gateway, text, until, page } = await open(t)
    gateway.configReport.refused = ['meshgate.yaml:12:7: unknown key "endpoint", did you mean "endpoints"?']
    await until('#banners .bad', /configuration was refused; version 3 serves on/)
    t.match(await text('#banners'), 'did you mean "endpoints"')
    t.match(await page.title(), /^\(!\)/)
    gateway.configReport.refused = null
    gateway.configReport.version = 4
    await until('#config', /v4/)
    t.equal(await page.locator('#banners p').count(), 0)
  })

  await t.test('says so when endpoints are down, a module was refused, or the gateway drains', async (t) => {
    const { gateway, text, until } = await open(t)
    gateway.clusterReports = [
      {
        ...gateway.clusterReports[0],
        name: 'half',
        endpoints: [endpoint('a:1'), endpoint('b:1', { isUsable: false })],
      },
      { ...gateway.clusterReports[0], name: 'down', endpoints: [endpoint('c:1', { isUsable: false })] },
    ]
    gateway.filterReports[0].refused = 'tenant.ts:14:9: unexpected token'
    gateway.phase = 'draining'
    await until('#phase', /draining/)
    const banners = await text('#banners')
    t.match(banners, 'Cluster half: 1 of 2 endpoints unusable (b:1).')
    t.match(banners, 'Cluster down has no usable endpoint')
    t.match(banners, 'tenant.ts:14:9')
    t.match(banners, 'The gateway is draining')
    t.ok(banners.startsWith('Cluster down'), 'the worst first')
  })

  await t.test('says so when the connection is lost, and when it is back', async (t) => {
    const { gateway, server, until, page } = await open(t)
    await server.close()
    await until('#lost', /Connection lost.*does not answer/)
    await until('#connection', /connection lost/)
    t.equal(await page.locator('#page').getAttribute('class'), 'stale')
    t.match(await page.title(), 'connection lost')
    const again = await startAdmin(server.address, gateway, new MemoryLog())
    t.teardown(() => again.close())
    await until('#connection', /live/)
    t.equal(await page.locator('#lost').isVisible(), false)
  })

  await t.test('an answer that is no success is shown as such', async (t) => {
    const { gateway, until } = await open(t)
    gateway.listeners = () => {
      throw new Error('broken')
    }
    await until('#lost', /the admin port answered 500/)
  })

  await t.test('text from outside stays text', async (t) => {
    const gateway = new FakeGateway()
    const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script>"\'&amp;'
    gateway.routeReports = [{ name: hostile, match: hostile, to: hostile, ...scope(5) }]
    gateway.errorReports = [
      recentError(hostile, hostile, { route: hostile, peer: hostile, traceId: hostile }),
    ]
    gateway.configReport.refused = [hostile]
    gateway.clusterReports[0].endpoints = [endpoint(hostile, { isUsable: false, resolved: [hostile] })]
    gateway.listenerReports[0].name = hostile
    gateway.filterReports[0] = {
      ...gateway.filterReports[0],
      name: hostile,
      module: hostile,
      refused: hostile,
    }
    const { page, text, complaints } = await open(t, gateway)
    t.equal(await page.locator('img, script + script, main script').count(), 0)
    t.equal(await page.locator('#routes td.name').innerText(), hostile)
    t.match(await text('#errors td.message'), hostile)
    t.match(await text('#banners'), hostile)
    t.same(complaints, [], 'nothing ran and nothing was even blocked')
  })

  await t.test('a script that got in nevertheless would not run', async (t) => {
    const { page, complaints } = await open(t)
    const ran = await page.evaluate(() => {
      const { document } = globalThis as any
      const script = document.createElement('script')
      try {
        script.textContent = 'globalThis.wasHere = true'
        document.body.append(script)
      } catch {}
      return (globalThis as any).wasHere === true
    })
    t.equal(ran, false)
    t.ok(complaints.some((complaint) => /Content Security Policy|TrustedScript/i.test(complaint)))
  })
})
