import { readFileSync } from 'node:fs'
import t from 'tap'
import { poolUsage } from '../../../lib/buffer/pools.ts'
import { poisonReleasedSlabs } from '../../../lib/buffer/slab-pool.ts'
import type { Exchange } from '../../../lib/core/exchange.ts'
import { type DubboFrame, feed, frame, parseFrames, Relay, vectors } from '../../support/dubbo-wire.ts'

poisonReleasedSlabs(true)

const frames = vectors()
/** Names of pairs whose request is a call that is passed on. */
const calls = [...frames.keys()]
  .filter((name) => name.endsWith('.req'))
  .map((name) => name.slice(0, -4))
  .filter(
    (name) => !['heartbeat', 'event-from-server', 'err-heartbeat-empty', 'err-len-negative'].includes(name),
  )
const malformed = new Set(['err-body-garbage'])

function bytesOf(name: string): Buffer {
  const bytes = frames.get(name)
  if (bytes === undefined) throw new Error(`no vector ${name}`)
  return bytes
}

function parsed(name: string): DubboFrame {
  return parseFrames(bytesOf(name))[0]
}

type Cut = (codec: Relay['server'] | Relay['client'], bytes: Buffer) => void

/** One request through both codecs and its captured answer back, in pieces that `cut` makes. Returns what is wrong. */
function relayPair(name: string, cut: Cut): string[] {
  const relay = new Relay()
  const request = parsed(`${name}.req`)
  const wrong: string[] = []
  const check = (isRight: boolean, what: string): void => {
    if (!isRight) wrong.push(`${name}: ${what}`)
  }
  cut(relay.server, bytesOf(`${name}.req`))
  const [sent, ...more] = parseFrames(relay.up.take())
  check(more.length === 0, 'more than one frame')
  check(sent.body.equals(request.body), 'body')
  check(sent.flag === request.flag, 'flag')
  check(sent.id === '0000000000000001', 'id')
  if (frames.has(`${name}.resp`)) {
    const response = parsed(`${name}.resp`)
    cut(relay.client, frame(response.flag, response.status, sent.id, response.body))
    check(relay.down.take().equals(bytesOf(`${name}.resp`)), 'the answer is not as it was')
    check(relay.server.activeExchanges === 0 && relay.client.activeStreams === 0, 'still active')
  }
  relay.finishAll()
  relay.server.onClose(null)
  relay.client.onClose(null)
  check(relay.protocolErrors.length === 0, 'protocol errors')
  check(poolUsage().leased === 0, 'leases are left')
  return wrong
}

t.test('captured calls and answers go through unchanged, whatever reads cut them into', (t) => {
  for (const name of calls) {
    if (malformed.has(name)) continue
    t.same(relayPair(name, feed), [])
    const byteByByte = relayPair(name, (codec, bytes) => {
      for (const byte of bytes.subarray(0, 2_000)) feed(codec, Buffer.from([byte]))
      if (bytes.length > 2_000) feed(codec, bytes.subarray(2_000))
    })
    t.same(byteByByte, [])
  }
  t.end()
})

t.test('short frames are the same at every split point', (t) => {
  for (const name of ['echo', 'headers', 'fastjson2-headers', 'publish', 'oneway']) {
    const { length } = bytesOf(`${name}.req`)
    const wrong: string[] = []
    for (let at = 1; at < length; at++) {
      const found = relayPair(name, (codec, bytes) => {
        feed(codec, bytes.subarray(0, Math.min(at, bytes.length - 1)))
        feed(codec, bytes.subarray(Math.min(at, bytes.length - 1)))
      })
      wrong.push(...found)
    }
    t.same(wrong, [], name)
  }
  t.end()
})

t.test('many frames in one read are answered each under its own id', (t) => {
  const relay = new Relay()
  const names = calls.filter(
    (name) => frames.has(`${name}.resp`) && !name.startsWith('err-') && name !== 'echo-64k',
  )
  const sent = relay.request(Buffer.concat(names.map((name) => bytesOf(`${name}.req`))))
  t.equal(sent.length, names.length)
  t.equal(new Set(sent.map(({ id }) => id)).size, names.length)
  const answers = names.map((name, index) => {
    const { flag, status, body } = parsed(`${name}.resp`)
    return frame(flag, status, sent[index].id, body)
  })
  feed(relay.client, Buffer.concat(answers.reverse()))
  const expected = Buffer.concat(names.map((name) => bytesOf(`${name}.resp`)).reverse())
  t.ok(relay.down.take().equals(expected), 'in the order in which the provider answered')
  t.equal(poolUsage().leased, 0)
  t.end()
})

/** Methods by name of the sample, as index.md has them. */
function methods(): Map<string, string> {
  const text = readFileSync(new URL('../../vectors/dubbo/index.md', import.meta.url), 'utf8')
  const result = new Map<string, string>()
  for (const line of text.split('\n')) {
    const name = /^\| (\S+) \|/.exec(line)?.[1]
    const method = /B\); (\S+?)\(/.exec(line)?.[1]
    if (name !== undefined && method !== undefined && name !== 'err-len-negative') result.set(name, method)
  }
  return result
}

t.test('names are what index.md says', (t) => {
  const table = methods()
  t.ok(table.size > 20, `${table.size} rows`)
  for (const [name, method] of table) {
    const relay = new Relay()
    let exchange: Exchange | null = null
    relay.hook = (one) => {
      exchange = one
      const { request } = one
      t.equal(request.method, method, name)
      const service =
        name === 'no-service' || name === 'err-path-only-front'
          ? /^com\.example\.gateway\.(Nowhere|OrdexService)$/
          : /^com\.example\.gateway\.OrderService$/
      t.match(request.service, service, name)
      t.equal(request.version, '', `${name}: 0.0.0 stands for none`)
      t.equal(request.group, '')
      t.equal(request.app, 'order-client', name)
      t.match(request.headers.get('path') ?? '', /^com\.example\.gateway\./, name)
      t.equal(request.headers.get('PATH'), request.headers.get('path'))
      t.match(request.headers.get('timeout') ?? '', /^\d+$/, name)
      t.equal(request.budgetMs, Number(request.headers.get('timeout')), name)
    }
    relay.request(bytesOf(`${name}.req`))
    t.ok(exchange, name)
    relay.finishAll()
  }
  t.end()
})

t.test('the fastjson2 and hessian2 samples have the same attachments', (t) => {
  for (const name of ['headers', 'fastjson2-headers']) {
    const relay = new Relay()
    const seen: Record<string, string> = {}
    relay.hook = ({ request }) => {
      t.equal(request.method, 'headers')
      request.headers.forEach((key, value) => {
        seen[key] = value
      })
    }
    relay.request(bytesOf(`${name}.req`))
    t.match(seen, {
      path: 'com.example.gateway.OrderService',
      'remote.application': 'order-client',
      interface: 'com.example.gateway.OrderService',
      version: '0.0.0',
      tenant: 't1',
      route: 'canary',
      traceparent: /^00-0af7651916cd43dd8448eb211c80319c-/,
    })
    relay.finishAll()
  }
  t.end()
})

t.test('answers tell their kind: exceptions with status 20 are failures', (t) => {
  const failures = ['fail', 'fail-strange', 'generic-fail', 'no-service', 'err-busy', 'err-method']
  for (const name of calls) {
    if (!frames.has(`${name}.resp`) || malformed.has(name)) continue
    const relay = new Relay()
    relay.responseHook = (_exchange, response) => {
      const isFailure = failures.includes(name) || (name.startsWith('err-') && response.status !== 20)
      t.equal(response.isFailure, isFailure, name)
      t.equal(response.status, bytesOf(`${name}.resp`)[3])
      if (response.status === 20) t.equal(response.headers.get('dubbo'), '2.0.2', `${name}: attachments`)
      else t.equal(response.headers.get('dubbo'), null)
    }
    const [sent] = relay.request(bytesOf(`${name}.req`))
    const { flag, status, body } = parsed(`${name}.resp`)
    relay.answer(frame(flag, status, sent.id, body))
  }
  t.end()
})

t.test('heartbeats and events are what was captured', (t) => {
  const relay = new Relay()
  feed(relay.server, bytesOf('heartbeat.req'))
  t.ok(relay.down.take().equals(bytesOf('heartbeat.resp')), 'answered like Java')
  feed(relay.client, bytesOf('heartbeat.req'))
  t.ok(relay.up.take().equals(bytesOf('heartbeat.resp')), 'in the other direction, too')
  feed(relay.server, bytesOf('err-heartbeat-empty.req'))
  const [answer] = relay.sent()
  t.equal(answer.status, 40, 'an empty event')
  t.equal(answer.flag, 0x02)
  t.equal(relay.client.isReusable, true)
  feed(relay.client, bytesOf('event-from-server.req'))
  t.equal(relay.client.isReusable, false, 'READONLY')
  t.ok(relay.up.isClosed, 'nothing runs')
  t.equal(relay.seen.length, 0)
  t.end()
})

t.test('a negative length closes the connection, garbage in a body only costs its request', (t) => {
  const relay = new Relay()
  feed(relay.server, bytesOf('err-body-garbage.req'))
  const [answer] = relay.sent()
  t.match(answer, { status: 40, flag: 0x02, id: 'a605676dae25d8f9' })
  t.equal(relay.protocolErrors[0].status, 40)
  t.notOk(relay.down.isClosed)
  t.equal(relay.request(bytesOf('echo.req')).length, 1, 'the connection lives')
  feed(relay.server, bytesOf('err-len-negative.req'))
  t.ok(relay.down.isClosed)
  t.equal(relay.last().gone?.code, 'DOWNSTREAM_GONE')
  t.equal(poolUsage().leased, 0)
  t.end()
})
