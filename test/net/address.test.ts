import t from 'tap'
import { type Address, formatAddress, formatHostPort, parseAddress } from '../../lib/net/address.ts'

t.test('every form of an address is read, and written as it was', (t) => {
  const forms: [string, Address][] = [
    ['127.0.0.1:80', { kind: 'tcp', host: '127.0.0.1', port: 80 }],
    ['[::1]:8080', { kind: 'tcp', host: '::1', port: 8080 }],
    ['order.prod.svc:12200', { kind: 'tcp', host: 'order.prod.svc', port: 12200 }],
    [':0', { kind: 'tcp', host: '', port: 0 }],
    [':65535', { kind: 'tcp', host: '', port: 65535 }],
    ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
    ['unix:relative.sock', { kind: 'unix', path: 'relative.sock' }],
  ]
  for (const [text, address] of forms) {
    t.same(parseAddress(text), address, text)
    t.equal(formatAddress(address), text)
  }
  t.equal(formatHostPort('::', 1), '[::]:1')
  t.end()
})

t.test('what is no address is refused with the forms that are', (t) => {
  for (const text of [
    '',
    'host',
    '80',
    'a:b',
    '::1:80',
    'a b:80',
    'http://a:80',
    'a:80/x',
    'a:-1',
    'a:123456',
  ]) {
    t.throws(() => parseAddress(text), /is no address: use host:port, \[ipv6\]:port or unix:\/path/, text)
  }
  t.throws(() => parseAddress('a:65536'), /port 65536 is above 65535/)
  t.throws(() => parseAddress('unix:'), /needs a path/)
  t.end()
})
