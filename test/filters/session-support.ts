/** What the tests of `session` share: keys, sessions and tokens made up. */
import { createHmac } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type KeyRing, makeKeyRing } from '../../lib/filters/session/keys.ts'
import { makeAttributes, type Session } from '../../lib/filters/session/payload.ts'
import { ManualClock } from '../../lib/testing.ts'

/** Where a test's clock begins. */
export const START = new ManualClock().wallNow()

/** A secret that is easy to look for in logs. */
export function secret(letter: string): string {
  return Buffer.alloc(32, letter).toString('base64')
}

/** Keys as a configuration gives them. */
export function keyTexts(...letters: string[]) {
  return letters.map((letter) => ({ id: `key-${letter}`, secret: secret(letter) }))
}

/** A ring of keys, the first of which makes tokens. */
export function ring(realm: string, ...letters: string[]): KeyRing {
  return makeKeyRing(keyTexts(...letters), realm)
}

/** A session that began now and lasts for half an hour. */
export function makeSession(changes: Partial<Session> = {}): Session {
  return {
    id: 'c2Vzc2lvbi1pZC0xMjM0NTY',
    userId: '2088000000000687',
    loginAt: START,
    issuedAt: START,
    expiresAt: START + 1_800_000,
    attributes: attributes({ nick: '小明', device: 'd-0123456789abcdef', region: 'cn-hangzhou' }),
    ...changes,
  }
}

/** Attributes as sessions hold them. */
export function attributes(from: Record<string, string>): Record<string, string> {
  return Object.assign(makeAttributes(), from)
}

/** About 7 KB in a cookie, as sessions were before: much in it that does not compress. */
export function legacySession(changes: Record<string, unknown> = {}, bulk = 7800): string {
  let state = 12_345
  let noise = ''
  while (noise.length < bulk) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    noise += state.toString(36)
  }
  const json = {
    sessionId: 'legacy-0001',
    userId: '2088000000000687',
    loginTime: START,
    expireTime: START + 1_800_000,
    user: { nickName: '小明', mobile: '138****0000' },
    permissions: Array.from({ length: 60 }, (_, index) => `permission.of.module.${index}`),
    context: noise,
    ...changes,
  }
  return gzipSync(JSON.stringify(json)).toString('base64')
}

/** A legacy session with its HMAC. */
export function signLegacy(body: string, letter: string): string {
  const mac = createHmac('sha256', Buffer.alloc(32, letter)).update(body).digest('base64url')
  return `${body}.${mac}`
}
