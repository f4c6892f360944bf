/** Checks that a request was signed by the app it names, lately, and for the first time. */
import { hash, timingSafeEqual } from 'node:crypto'
import { resolve } from 'node:path'
import type { ErrorCode } from '../../core/errors.ts'
import type { Exchange, RefusalOptions } from '../../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices } from '../../core/filter.ts'
import type { Counter } from '../../core/services.ts'
import { Verdict } from '../../core/verdict.ts'
import { parseDuration } from '../duration.ts'
import { FollowedFile } from '../followed-file.ts'
import { keep, type Share } from '../kept.ts'
import {
  ALGORITHM_NAMES,
  type AlgorithmName,
  type CustomAlgorithm,
  loadAlgorithm,
  type SignedMessage,
} from './algorithms.ts'
import {
  checkAlgorithm,
  type KeyOptions,
  KeyRing,
  type KeyRules,
  parseKeyFile,
  type SignKey,
} from './keys.ts'
import { parseTimestamp, stringToSign, targetOf } from './message.ts'
import { Nonce, NonceCache } from './nonces.ts'
import { DEFAULT_MAX_NONCES, headerNames, type SignHeaders, type SignOptions, signSchema } from './options.ts'

export type { CustomAlgorithm, SignedMessage } from './algorithms.ts'

/** Why a request was let through or refused: the label `outcome` of `meshgate_sign_total`. */
const OUTCOMES = {
  ok: null,
  'no-signature': 'SIGN_MISSING',
  'no-timestamp': 'SIGN_NO_TIMESTAMP',
  'no-app': 'SIGN_PARAMETER_MISSING',
  expired: 'SIGN_EXPIRED',
  'no-key': 'SIGN_KEY_MISSING',
  wrong: 'SIGN_WRONG',
  replayed: 'SIGN_EXPIRED',
  full: 'OVERLOADED',
} as const satisfies Record<string, ErrorCode | null>
type Outcome = keyof typeof OUTCOMES

const MESSAGES: Partial<Record<Outcome, RefusalOptions>> = {
  'no-app': { message: 'the header that names the app is missing' },
  replayed: { message: 'the signature was used already' },
  full: { message: 'no more signatures can be remembered', retryAfterMs: 1000 },
}

/** The `sign` filter. It reads the whole body, as it came. */
export const sign: FilterDefinition<SignOptions> = {
  schema: signSchema,
  create: (options, services) => new SignFilter(options, services, null),
}

/** The `sign` filter with an algorithm that is handed over in place of the option `algorithm`. */
export function signWith(algorithm: CustomAlgorithm): FilterDefinition<SignOptions> {
  return { schema: signSchema, create: (options, services) => new SignFilter(options, services, algorithm) }
}

const NO_BODY = Buffer.alloc(0)

class SignFilter implements Filter {
  readonly name: string
  readonly needsBody = 'request'
  readonly #services: FilterServices
  readonly #custom: CustomAlgorithm | null
  readonly #httpNames: SignHeaders
  readonly #framedNames: SignHeaders
  readonly #windowMs: number
  readonly #isStrict: boolean
  readonly #fixedKeys: KeyRing
  readonly #fileKeys: Share<KeyFile> | null
  readonly #nonces: Share<NonceCache> | null
  readonly #counters: Record<Outcome, Counter>

  constructor(options: SignOptions, services: FilterServices, custom: CustomAlgorithm | null) {
    const { algorithm = 'hmac-sha256', keys = [], keysFile, window = '5m', strict = false } = options
    const { replay = true, maxNonces = DEFAULT_MAX_NONCES, legacy = false, encoding = 'base64' } = options
    if (keys.length === 0 && keysFile === undefined) throw new Error('give "keys", "keysFile" or both')
    this.name = services.name
    this.#services = services
    this.#custom = custom ?? customAlgorithm(algorithm, services)
    const rules: KeyRules = {
      algorithm: this.#custom === null ? (algorithm as AlgorithmName) : null,
      allowLegacy: legacy,
      encoding,
    }
    if (rules.algorithm !== null) checkAlgorithm(rules.algorithm, legacy)
    this.#fixedKeys = new KeyRing(keys, rules)
    const { http, framed } = headerNames(options.headers)
    this.#httpNames = http
    this.#framedNames = framed
    this.#windowMs = parseDuration(window)
    this.#isStrict = strict
    this.#counters = countersOf(services)
    this.#fileKeys = keysFile === undefined ? null : followKeys(keysFile, rules, services)
    this.#nonces = replay ? keepNonces(services, maxNonces, this.#windowMs) : null
  }

  onRoute(exchange: Exchange): Verdict {
    const outcome = this.#judge(exchange)
    this.#counters[outcome].value++
    const code = OUTCOMES[outcome]
    return code === null ? Verdict.Continue : exchange.refuse(code, MESSAGES[outcome] ?? null)
  }

  close(): void {
    this.#fileKeys?.release()
    this.#nonces?.release()
  }

  #judge(exchange: Exchange): Outcome {
    const { headers, protocol } = exchange.request
    const names = protocol === 'http1' ? this.#httpNames : this.#framedNames
    const signature = headers.get(names.sign) ?? ''
    if (signature === '') return 'no-signature'
    const ts = headers.get(names.ts) ?? ''
    if (ts === '') return 'no-timestamp'
    const appId = headers.get(names.appId) ?? ''
    if (appId === '') return 'no-app'
    const now = this.#services.clock.wallNow()
    const signedAt = parseTimestamp(ts)
    // Also true of NaN.
    if (!(Math.abs(now - signedAt) <= this.#windowMs)) return 'expired'
    const workspaceId = headers.get(names.workspaceId) ?? ''
    const fixed = this.#fixedKeys.find(appId, workspaceId)
    const fromFile = this.#fileKeys?.value.ring?.find(appId, workspaceId) ?? NO_KEYS
    if (fixed.length + fromFile.length === 0) return 'no-key'
    const did = headers.get(names.did) ?? ''
    const claim: Claim = { signature, ts, did, appId, workspaceId }
    const nonce = this.#check(exchange, claim, fixed, fromFile)
    if (nonce === null) return 'wrong'
    if (this.#nonces === null) return 'ok'
    switch (this.#nonces.value.admit(nonce, signedAt + this.#windowMs, now, this.#isStrict)) {
      case Nonce.New:
        return 'ok'
      case Nonce.Seen:
        return 'replayed'
      case Nonce.Full:
        return 'full'
    }
  }

  /** What names this one signed request, however its signature may be spelled; null when no key made the signature. */
  #check(
    exchange: Exchange,
    claim: Claim,
    fixed: readonly SignKey[],
    fromFile: readonly SignKey[],
  ): string | null {
    const target = targetOf(exchange.request)
    const text = stringToSign(target, claim.ts, claim.did, exchange.requestBody ?? NO_BODY)
    for (const key of fixed) {
      const nonce = this.#nonceBy(key, exchange, claim, target, text)
      if (nonce !== null) return nonce
    }
    for (const key of fromFile) {
      const nonce = this.#nonceBy(key, exchange, claim, target, text)
      if (nonce !== null) return nonce
    }
    return null
  }

  #nonceBy(
    { signer, secret }: SignKey,
    exchange: Exchange,
    claim: Claim,
    target: string,
    text: string,
  ): string | null {
    if (signer !== null) return ifSame(signer(text), claim.signature)
    const { signature, ...named } = claim
    const { requestBody, request } = exchange
    const message: SignedMessage = {
      ...named,
      text,
      target,
      body: requestBody ?? NO_BODY,
      headers: request.headers,
      secret: secret?.export() ?? NO_BODY,
    }
    const answer = (this.#custom as CustomAlgorithm)(message, signature)
    if (typeof answer === 'string') return ifSame(answer, signature)
    // Signatures of such algorithms may have several right spellings: what was signed counts.
    return answer === true ? hash('sha256', JSON.stringify([named.appId, text]), 'base64') : null
  }
}

/** What a request says of its signature. */
interface Claim {
  readonly signature: string
  readonly ts: string
  readonly did: string
  readonly appId: string
  readonly workspaceId: string
}

const NO_KEYS: readonly SignKey[] = []

const ROOM = 1024
const expectedBytes = Buffer.alloc(ROOM)
const givenBytes = Buffer.alloc(ROOM)
/** The beginnings of the two that were compared last: of one algorithm all signatures have one length. */
let expectedView = expectedBytes.subarray(0, 44)
let givenView = givenBytes.subarray(0, 44)

/**
 * The expected signature when the given one is the same, else null. It compares in a time that tells nothing of where they
 * differ. An empty or a very long one never matches.
 */
function ifSame(expected: string, given: string): string | null {
  const { length } = expected
  if (length === 0 || length > ROOM || given.length !== length) return null
  if (length !== expectedView.length) {
    expectedView = expectedBytes.subarray(0, length)
    givenView = givenBytes.subarray(0, length)
  }
  expectedBytes.write(expected, 0, 'latin1')
  givenBytes.write(given, 0, 'latin1')
  return timingSafeEqual(expectedView, givenView) ? expected : null
}

/** The keys of one file. */
class KeyFile {
  /** Null until the file could be read for the first time. */
  ring: KeyRing | null = null
  readonly #file: FollowedFile

  constructor(path: string, rules: KeyRules, services: FilterServices) {
    this.#file = new FollowedFile(path, services, (text) => {
      const keys: readonly KeyOptions[] = parseKeyFile(text)
      this.ring = new KeyRing(keys, rules)
    })
  }

  close(): void {
    this.#file.close()
  }
}

function followKeys(keysFile: string, rules: KeyRules, services: FilterServices): Share<KeyFile> {
  const path = services.resolvePath(keysFile)
  const key = `sign-keys ${JSON.stringify([path, rules])}`
  return keep(services.metrics, key, () => new KeyFile(path, rules, services))
}

/** Routes with options of their own share it, and it outlives a changed configuration: neither may let a signature in again. */
function keepNonces({ metrics, name }: FilterServices, max: number, windowMs: number): Share<NonceCache> {
  const help = 'Signatures that were forgotten while they were valid, for lack of room'
  const forgotten = metrics.counter('meshgate_sign_forgotten_total', help, { filter: name })
  const key = `sign-nonces ${JSON.stringify([name, max, windowMs])}`
  return keep(metrics, key, () => new NonceCache(max, forgotten))
}

function customAlgorithm(algorithm: string, services: FilterServices): CustomAlgorithm | null {
  if ((ALGORITHM_NAMES as readonly string[]).includes(algorithm)) return null
  if (!/^(\.{0,2}\/)/.test(algorithm)) {
    const names = ALGORITHM_NAMES.join(', ')
    throw new Error(
      `algorithm "${algorithm}" is unknown: give one of ${names}, or a path that begins with ./`,
    )
  }
  return loadAlgorithm(resolve(services.resolvePath(algorithm)))
}

function countersOf({ metrics, name }: FilterServices): Record<Outcome, Counter> {
  const make = (outcome: string): Counter =>
    metrics.counter('meshgate_sign_total', 'Requests by what a sign filter found', { filter: name, outcome })
  return Object.fromEntries(Object.keys(OUTCOMES).map((outcome) => [outcome, make(outcome)])) as Record<
    Outcome,
    Counter
  >
}
