import t from 'tap'
import { GatewayError } from '../../lib/core/errors.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import {
  compileField,
  compileTemplate,
  FIELD_NAMES,
  readCookie,
  readQuery,
  renderTemplate,
} from '../../lib/filters/fields.ts'
import { TestResponseHead } from '../../lib/testing-messages.ts'
import { ManualClock } from '../../lib/testing-services.ts'
import { filterServices, makeExchange } from './support.ts'

const clock = new ManualClock()
const context = filterServices('x', { clock })

function read(name: string, exchange: Exchange): string | null {
  return compileField(name, context)(exchange)
}

function fullExchange(): Exchange {
  const exchange = makeExchange({
    method: 'PUT',
    path: '/a/b?c=d&e=f%20g',
    authority: 'shop.example',
    headers: { 'X-Tenant': 'blue', cookie: 'a=1; zone_op="07"' },
    body: 'hello',
    clientIp: '198.51.100.7',
  })
  exchange.response = new TestResponseHead(201, 'http', { 'x-served-by': 'b7' }, Buffer.from('ok'))
  exchange.responseMs = exchange.startMs + 12
  exchange.endMs = exchange.startMs + 15.4
  exchange.responseBytes = 2
  exchange.endpoint = '127.0.0.1:9000'
  exchange.attempts = 2
  exchange.traceId = 'abc'
  exchange.rpcId = '0.1'
  exchange.spanId = 'def'
  return exchange
}

t.test('reads every field of a finished exchange', async (t) => {
  const exchange = fullExchange()
  const expected: Record<string, string | null> = {
    method: 'PUT',
    path: '/a/b',
    query: 'c=d&e=f%20g',
    target: '/a/b?c=d&e=f%20g',
    authority: 'shop.example',
    operation: null,
    'request.service': null,
    'request.version': null,
    'request.group': null,
    'request.app': null,
    protocol: 'http1',
    status: '201',
    result_code: null,
    flags: null,
    error: null,
    error_detail: null,
    duration_ms: '15',
    upstream_ms: '12',
    bytes_in: '5',
    bytes_out: '2',
    time: '2026-01-01T00:00:00.000Z',
    start_time: '2026-01-01T00:00:00.000Z',
    route: null,
    cluster: null,
    endpoint: '127.0.0.1:9000',
    attempts: '2',
    listener: 'test',
    trace_id: 'abc',
    rpc_id: '0.1',
    span_id: 'def',
    'client.ip': '198.51.100.7',
    'client.port': '40000',
    'node.app': 'test',
    'node.cell': 'RZ01A',
    'node.label.stage': 'grey',
    'node.label.none': null,
    'request.header.X-Tenant': 'blue',
    'request.header.none': null,
    'response.header.x-served-by': 'b7',
    'cookie.zone_op': '07',
    'query.e': 'f g',
  }
  for (const [name, value] of Object.entries(expected)) t.equal(read(name, exchange), value, name)
  const covered = FIELD_NAMES.filter((name) => !Object.keys(expected).some((key) => key.startsWith(name)))
  t.strictSame(covered, [], 'no field goes untested')
})

t.test('every field survives an exchange that is cut short', async (t) => {
  const exchange = makeExchange({ protocol: 'mmtp', operation: 'demo.echo' })
  for (const name of FIELD_NAMES) {
    t.doesNotThrow(() => read(name.endsWith('.') ? `${name}x` : name, exchange), name)
  }
  t.equal(read('target', exchange), 'demo.echo')
  t.equal(read('status', exchange), null)
})

t.test('shows the flag of an error, of a refusal, or the one that a filter set', async (t) => {
  const exchange = makeExchange()
  exchange.flag = 'DI'
  t.equal(read('flags', exchange), 'DI')
  exchange.refuse('RATE_LIMITED')
  t.equal(read('flags', exchange), 'RL')
  t.equal(read('error', exchange), 'RATE_LIMITED')
  exchange.error = new GatewayError('NO_ROUTE', 'GET /x')
  t.equal(read('flags', exchange), 'NR')
  t.equal(read('error', exchange), 'NO_ROUTE')
  t.equal(read('error_detail', exchange), 'GET /x')
})

t.test('reads the result code from Mmtp’s status and from the header over HTTP', async (t) => {
  const exchange = makeExchange()
  exchange.response = new TestResponseHead(1002, 'result', {}, Buffer.alloc(0))
  t.equal(read('result_code', exchange), '1002')
  exchange.response = new TestResponseHead(200, 'http', { 'result-status': '1001' }, Buffer.alloc(0))
  t.equal(read('result_code', exchange), '1001')
})

t.test('refuses a name that does not exist and names the nearest', async (t) => {
  const fails = (name: string, pattern: RegExp) => t.throws(() => compileField(name, context), pattern)
  fails('durationms', /did you mean "duration_ms"/)
  fails('client_ip', /did you mean "client.ip"/)
  fails('requst.header.x-a', /did you mean "request.header.x-a"/)
  fails('request.header.', /lacks a name/)
  fails('constructor', /docs\/filters.md lists the fields/)
  fails('', /no field/)
})

t.test('fills templates in', async (t) => {
  const render = (text: string) =>
    renderTemplate(compileTemplate(text, context), fullExchange(), (value) => value ?? '-')
  t.equal(render('plain'), 'plain')
  t.equal(render('${method} ${ path } [${operation}]'), 'PUT /a/b [-]')
  t.equal(render('${method}${method}'), 'PUTPUT')
  t.equal(render('cost $${method} $5 ${status}'), 'cost ${method} $5 201')
  t.equal(compileTemplate('plain', context).constant, 'plain')
  t.equal(compileTemplate('${method}', context).isSingleField, true)
  t.equal(compileTemplate('${method} ', context).isSingleField, false)
  t.throws(() => compileTemplate('a ${method', context), /lacks its closing brace/)
  t.throws(() => compileTemplate('${metod}', context), /did you mean "method"/)
})

t.test('reads cookies and query parameters', async (t) => {
  t.equal(readCookie(null, 'a'), null)
  t.equal(readCookie('a=1; b=2', 'b'), '2')
  t.equal(readCookie('ab=1; b', 'b'), null)
  t.equal(readCookie('a=x=y', 'a'), 'x=y')
  t.equal(readQuery('', 'a'), null)
  t.equal(readQuery('a&b=1', 'a'), '')
  t.equal(readQuery('x%61=1+2', 'xa'), '1 2')
  t.equal(readQuery('a=%zz', 'a'), '%zz')
  t.equal(readQuery('aa=1&a=2&a=3', 'a'), '2')
})
