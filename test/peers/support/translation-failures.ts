/** Calls in JSON of the service of test/peers/java that fail, and with what. */
import { ITEM, ORDER, PACKAGE, type TranslationCase } from './translation-cases.ts'

/** A call that fails: its result code and what its memo says. */
export interface FailingCase extends TranslationCase {
  readonly service?: string
  readonly status: number
  readonly memo: RegExp
  readonly timeout?: string
}

/** Refusals of meshgate, and errors of the server. */
export const FAILURES: readonly FailingCase[] = [
  { name: 'no body', method: 'anInt', parameters: ['int'], body: '', status: 3001, memo: /argument/ },
  { name: 'no JSON', method: 'anInt', parameters: ['int'], body: '[1', status: 3002, memo: /not JSON/ },
  {
    name: 'too many arguments',
    method: 'anInt',
    parameters: ['int'],
    body: '[1, 2]',
    status: 3002,
    memo: /expected an array of 1 argument/,
  },
  {
    name: 'no whole number',
    method: 'anInt',
    parameters: ['int'],
    body: '["x"]',
    status: 3002,
    memo: /^\$\[0\]: expected .*, got "x"/,
  },
  {
    name: 'an int too large',
    method: 'anInt',
    parameters: ['int'],
    body: '[2147483648]',
    status: 3002,
    memo: /^\$\[0\]: expected/,
  },
  {
    name: 'null for a primitive',
    method: 'anInt',
    parameters: ['int'],
    body: '[null]',
    status: 3002,
    memo: /^\$\[0\]: /,
  },
  {
    name: 'a wrong field deep inside',
    method: 'order',
    parameters: [`${PACKAGE}.Order`],
    body: JSON.stringify([{ ...ORDER, items: [ITEM, { ...ITEM, count: 'many' }] }]),
    status: 3002,
    memo: /^\$\[0\]\.items\[1\]\.count: expected .*, got "many"/,
  },
  {
    name: 'an unknown field',
    method: 'item',
    parameters: [`${PACKAGE}.Item`],
    body: JSON.stringify([{ ...ITEM, skew: 1 }]),
    status: 3002,
    memo: /^\$\[0\]\.skew: /,
  },
  {
    name: 'an unknown constant',
    method: 'color',
    parameters: [`${PACKAGE}.Color`],
    body: '["GREN"]',
    status: 3002,
    memo: /RED, GREEN, BLUE.*"GREN"/,
  },
  {
    name: 'unknown service',
    service: `${PACKAGE}.Nowhere`,
    method: 'text',
    parameters: ['String'],
    body: '["x"]',
    status: 6000,
    memo: /./,
  },
  {
    name: 'unknown method',
    method: 'missing',
    parameters: ['String'],
    body: '["x"]',
    status: 6001,
    memo: /./,
  },
  {
    name: 'own exception, hidden',
    method: 'fail',
    parameters: ['String'],
    body: '["own"]',
    status: 6666,
    memo: /^(?!.*(own failure|PeerException))/,
  },
  {
    name: 'own exception, its message',
    method: 'fail',
    parameters: ['String'],
    json: { exceptions: 'message' },
    body: '["own"]',
    status: 6666,
    memo: /^(?!.*PeerException).*own failure 中文/,
  },
  {
    name: 'own exception, class and message',
    method: 'fail',
    parameters: ['String'],
    json: { exceptions: 'class-and-message' },
    body: '["own"]',
    status: 6666,
    memo: /com\.example\.peers\.PeerException.*own failure 中文/,
  },
  {
    name: 'runtime exception',
    method: 'fail',
    parameters: ['String'],
    json: { exceptions: 'class-and-message' },
    body: '["runtime"]',
    status: 6666,
    memo: /java\.lang\.IllegalArgumentException.*runtime failure/,
  },
  {
    name: 'a cycle',
    method: 'circle',
    parameters: [],
    body: '[]',
    status: 6004,
    memo: /no JSON form/,
  },
  {
    name: 'timeout',
    method: 'slow',
    parameters: ['long'],
    body: '[1500]',
    status: 4001,
    memo: /./,
    timeout: '200ms',
  },
]
