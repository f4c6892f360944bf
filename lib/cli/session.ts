/** `meshgate session key`, `issue` and `inspect`: keys and tokens of the session filter for operators and tests. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseDuration } from '../filters/duration.ts'
import { newSessionId } from '../filters/session/json.ts'
import { parseKeyFile } from '../filters/session/keys.ts'
import { makeAttributes } from '../filters/session/payload.ts'
import { keyIdOf, openSession, sealSession } from '../filters/session/token.ts'
import { ExitCode } from './exit-codes.ts'
import type { Output } from './paint.ts'

/** Options of `meshgate session key`. */
export interface SessionKeyOptions {
  /** The key's id; the day when left out. */
  readonly id?: string
}

/** Options of `meshgate session issue`. */
export interface SessionIssueOptions {
  /** Key file. */
  readonly keys: string
  readonly realm: string
  readonly user: string
  /** Id of the session; a random one when left out. */
  readonly id?: string
  /** Pairs `name=value`. */
  readonly attribute: readonly string[]
  /** Such as `30m`. */
  readonly life: string
  /** Signs only. */
  readonly sign?: boolean
}

/** Options of `meshgate session inspect`. */
export interface SessionInspectOptions {
  readonly keys: string
  readonly realm: string
}

const DURATION = /^\d+(\.\d+)?(ms|s|m|h)$/

/** Prints a line for a key file. */
export function sessionKey(
  options: SessionKeyOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
  now: number = Date.now(),
): ExitCode {
  const id = options.id ?? new Date(now).toISOString().slice(0, 10)
  if (!/^[A-Za-z0-9._-]{1,16}$/.test(id)) {
    errors.write(
      'meshgate: the id of a key has 1 to 16 letters, digits, full stops, hyphens or underscores\n',
    )
    return ExitCode.Usage
  }
  output.write(`${id} ${randomBytes(32).toString('base64')}\n`)
  return ExitCode.Ok
}

/** Prints a token, made with the first key of the file. */
export async function sessionIssue(
  options: SessionIssueOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
  now: number = Date.now(),
): Promise<ExitCode> {
  if (!DURATION.test(options.life) || parseDuration(options.life) < 1000) {
    errors.write(`meshgate: "${options.life}" is no life of at least a second; write 30m\n`)
    return ExitCode.Usage
  }
  const attributes = makeAttributes()
  for (const pair of options.attribute) {
    const cut = pair.indexOf('=')
    if (cut < 1) {
      errors.write(`meshgate: attribute "${pair}" lacks a name; write name=value\n`)
      return ExitCode.Usage
    }
    attributes[pair.slice(0, cut)] = pair.slice(cut + 1)
  }
  const keys = await readKeys(options, errors)
  if (keys === null) return ExitCode.Failure
  const session = {
    id: options.id ?? newSessionId(),
    userId: options.user,
    loginAt: now,
    issuedAt: now,
    expiresAt: now + parseDuration(options.life),
    attributes,
  }
  output.write(`${sealSession(session, keys, options.realm, options.sign === true ? 'sign' : 'encrypt')}\n`)
  return ExitCode.Ok
}

/** Prints what a token says as JSON; why it is no good to `errors`, and ends with `Failure` then. */
export async function sessionInspect(
  token: string,
  options: SessionInspectOptions,
  output: Output = process.stdout,
  errors: Output = process.stderr,
  now: number = Date.now(),
): Promise<ExitCode> {
  const keys = await readKeys(options, errors)
  if (keys === null) return ExitCode.Failure
  const session = openSession(token, keys, options.realm)
  if (typeof session === 'string') {
    errors.write(`meshgate: ${explain(session, token, options)}\n`)
    return ExitCode.Failure
  }
  const { id, userId, loginAt, issuedAt, expiresAt, attributes } = session
  const shown = {
    realm: options.realm,
    key: keyIdOf(token),
    id,
    userId,
    loginAt: new Date(loginAt).toISOString(),
    issuedAt: new Date(issuedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    isExpired: expiresAt <= now,
    attributes: { ...attributes },
    bytes: token.length,
  }
  output.write(`${JSON.stringify(shown, null, 2)}\n`)
  return ExitCode.Ok
}

async function readKeys({ keys, realm }: { keys: string; realm: string }, errors: Output) {
  try {
    return parseKeyFile(await readFile(keys, 'utf8'), realm)
  } catch (error) {
    errors.write(`meshgate: ${keys}: ${(error as Error).message}\n`)
    return null
  }
}

function explain(
  fault: 'malformed' | 'forged' | 'unknown-key',
  token: string,
  { keys, realm }: SessionInspectOptions,
): string {
  switch (fault) {
    case 'malformed':
      return 'this is no token of a session'
    case 'unknown-key':
      return `the token names key ${JSON.stringify(keyIdOf(token))}, which is not in ${keys}`
    case 'forged':
      return `the token was changed, or not made for realm ${realm} with the key ${JSON.stringify(keyIdOf(token))} of ${keys}`
  }
}
