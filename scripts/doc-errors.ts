// docs/errors.md, from the error table and the protocols' status tables.
import { ERROR_CODES, ERRORS, type ErrorCode } from '../lib/core/errors.ts'
import { status as boltStatus } from '../lib/protocols/bolt/status.ts'
import { status as dubboStatus } from '../lib/protocols/dubbo/status.ts'
import { status as httpStatus } from '../lib/protocols/http1/status.ts'
import { status as mmtpStatus } from '../lib/protocols/mmtp/status.ts'

const INTRODUCTION = `# Errors

<!-- Generated from lib/core/errors.ts and the protocols' status.ts by \`npm run docs\`. Change those, not this page. -->

Every failure that meshgate itself reports has one of these codes. A code is public and permanent: it is in logs, in
metrics and on the admin port, and callers may rely on it. Each protocol answers it with a status of its own.

- **Side** says who caused it: the caller (\`downstream\`), the business process (\`upstream\`) or meshgate (\`gateway\`).
- **Retry** says whether the request may go again: \`never\`, \`unsent\` (nothing of it was processed, so any request may)
  or \`idempotent\` (it may have run, so only a request that is safe to repeat may).
- **Flag** is the response flag in the access log.
- **HTTP** is the status of a plain request, **Mmtp** the result code of an operation, **Bolt** and **Dubbo** the status of an RPC.
`

const FLAGS: readonly (readonly [flag: string, meaning: string])[] = [
  ['-', 'nothing went wrong in meshgate'],
  ['DC', 'the caller went away'],
  ['DPE', 'the caller broke the protocol or a limit'],
  ['DR', 'meshgate was draining'],
  ['DT', 'the request did not arrive in time'],
  ['FE', 'a filter failed'],
  ['FI', 'a fault was injected'],
  ['IE', 'internal error'],
  ['LO', 'no hops were left'],
  ['NR', 'no route matched'],
  ['OM', 'meshgate had no room'],
  ['RL', 'a rate limit was reached'],
  ['UAEX', 'a check of the request refused it: signature, session, authorisation, access'],
  ['UC', 'the business process closed the connection'],
  ['UF', 'the business process could not be reached'],
  ['UH', 'the cluster had no usable endpoint'],
  ['UO', 'the cluster was at its limit'],
  ['UPE', 'the business process sent a malformed answer'],
  ['UR', 'the business process refused the request unprocessed'],
  ['UT', 'the business process did not answer in time'],
]

/** The text of docs/errors.md. Throws when a flag of the table has no meaning here. */
export function renderErrorsPage(): string {
  const known = new Set(FLAGS.map(([flag]) => flag))
  const unknown = ERROR_CODES.filter((code) => !known.has(ERRORS[code].flag))
  if (unknown.length > 0)
    throw new Error(`FLAGS of scripts/doc-errors.ts lacks the flags of ${unknown.join(', ')}`)
  const rows = ERROR_CODES.map(renderRow).join('\n')
  const flags = FLAGS.map(([flag, meaning]) => `| \`${flag}\` | ${meaning} |`).join('\n')
  return `${INTRODUCTION}
| Code | Meaning | Side | Retry | Flag | HTTP | Mmtp | Bolt | Dubbo |
|---|---|---|---|---|---|---|---|---|
${rows}

## Flags

| Flag | Meaning |
|---|---|
${flags}
`
}

function renderRow(code: ErrorCode): string {
  const { message, side, retry, flag } = ERRORS[code]
  return `| \`${code}\` | ${message} | ${side} | ${retry} | \`${flag}\` | ${httpStatus[code]} | ${mmtpStatus[code]} | ${boltStatus[code]} | ${dubboStatus[code]} |`
}
