/** `meshgate mmtp call`: one call or many over one connection. */
import { parseDuration } from '../config/units.ts'
import { connectMmtp, type MmtpCaller, type MmtpResult } from '../mmtp.ts'
import { ExitCode } from './exit-codes.ts'
import { type Output, paintFor } from './paint.ts'

const SUCCESS = 1000
const DEFAULT_TIMEOUT_MS = 10_000

/** What the command line gave. */
export interface CallOptions {
  /** The body, JSON text. */
  readonly data?: string
  /** Pairs `name: value` or `name=value`. */
  readonly header?: readonly string[]
  /** Time for each call, such as `3s`; `deadline` is another name for it. */
  readonly timeout?: string
  readonly deadline?: string
  /** How many calls; one unless given. */
  readonly repeat?: number
  /** How many of them at once. */
  readonly concurrency?: number
  /** Print the headers of the answer too. */
  readonly verbose?: boolean
  /** Print one JSON object in place of text. */
  readonly json?: boolean
}

/** The checked form of {@link CallOptions}. */
interface Plan {
  readonly body: string
  readonly headers: Record<string, string>
  readonly timeoutMs: number
  readonly repeat: number
  readonly concurrency: number
}

/** Where the command prints. */
export interface CallOutput {
  readonly out: Output
  readonly err: Output
}

const STANDARD: CallOutput = { out: process.stdout, err: process.stderr }

/**
 * Calls `operation` and prints what came. Returns the exit code: 0 when every answer had status 1000, 1 when one had
 * another or none came, 64 when the options make no sense.
 */
export async function mmtpCall(
  address: string,
  operation: string,
  options: CallOptions,
  output: CallOutput = STANDARD,
): Promise<number> {
  let plan: Plan
  try {
    plan = planOf(options)
  } catch (error) {
    output.err.write(`${(error as Error).message}\n`)
    return ExitCode.Usage
  }
  let caller: MmtpCaller
  try {
    caller = await connectMmtp(address, { connectTimeoutMs: plan.timeoutMs })
  } catch (error) {
    output.err.write(`${(error as Error).message}\n`)
    return error instanceof Error && error.name === 'GatewayError' ? ExitCode.Failure : ExitCode.Usage
  }
  try {
    if (plan.repeat === 1) return await callOnce(caller, operation, plan, options, output)
    return await callMany(caller, operation, plan, options, output)
  } finally {
    await caller.close()
  }
}

function planOf(options: CallOptions): Plan {
  const data = options.data ?? ''
  if (data !== '') {
    try {
      JSON.parse(data)
    } catch (error) {
      throw new Error(`--data is not JSON: ${(error as Error).message}`)
    }
  }
  const duration = options.timeout ?? options.deadline
  const timeoutMs = duration === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(duration)
  if (timeoutMs === null || timeoutMs <= 0)
    throw new Error(`${duration} is no duration: write 250ms, 3s or 1m`)
  return {
    body: data,
    headers: headersOf(options.header ?? []),
    timeoutMs,
    repeat: atLeastOne('--repeat', options.repeat),
    concurrency: atLeastOne('--concurrency', options.concurrency),
  }
}

function atLeastOne(name: string, value: number | undefined): number {
  const count = value ?? 1
  if (!Number.isInteger(count) || count < 1) throw new Error(`${name} must be a whole number from 1 on`)
  return count
}

function headersOf(pairs: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const pair of pairs) {
    const found = /^\s*([A-Za-z0-9._-]{1,64})\s*[:=]\s*(.*)$/s.exec(pair)
    if (found === null) throw new Error(`header ${JSON.stringify(pair)} must be name=value or "name: value"`)
    headers[(found[1] as string).toLowerCase()] = found[2] as string
  }
  return headers
}

function call(caller: MmtpCaller, operation: string, plan: Plan): Promise<MmtpResult> {
  return caller.call(operation, plan.body, { headers: plan.headers, timeoutMs: plan.timeoutMs })
}

async function callOnce(
  caller: MmtpCaller,
  operation: string,
  plan: Plan,
  options: CallOptions,
  output: CallOutput,
): Promise<number> {
  const startMs = performance.now()
  let result: MmtpResult
  try {
    result = await call(caller, operation, plan)
  } catch (error) {
    output.err.write(`${(error as Error).message}\n`)
    return ExitCode.Failure
  }
  const tookMs = performance.now() - startMs
  if (options.json === true) output.out.write(`${JSON.stringify(asJson(result, tookMs))}\n`)
  else printResult(result, tookMs, options.verbose === true, output.out)
  return result.status === SUCCESS ? ExitCode.Ok : ExitCode.Failure
}

const ORIGINS = ['unknown', 'business', 'sidecar', 'access layer', 'central gateway']

function printResult(result: MmtpResult, tookMs: number, isVerbose: boolean, out: Output): void {
  const paint = paintFor(out)
  const { status, costMs, retryAfterMs, headers, body } = result
  const origin = ORIGINS[result.origin] ?? `${result.origin}`
  const colour = status === SUCCESS ? paint.green : paint.red
  const retry = retryAfterMs > 0 ? `, retry after ${retryAfterMs} ms` : ''
  out.write(
    `${colour(paint.bold(`${status}`))} ${paint.dim(`from ${origin}, ${tookMs.toFixed(1)} ms (cost ${costMs} ms)${retry}`)}\n`,
  )
  for (const name in headers) {
    if (isVerbose || name.startsWith('result-')) out.write(`${paint.dim(`${name}:`)} ${headers[name]}\n`)
  }
  if (body.length > 0) out.write(`${textOf(body, out.isTTY === true)}\n`)
}

/** The body as it came, indented on a terminal when it is JSON. */
function textOf(body: Buffer, isTerminal: boolean): string {
  const text = body.toString()
  if (!isTerminal) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

function asJson(result: MmtpResult, tookMs: number): object {
  const text = result.body.toString()
  let body: unknown = text
  try {
    body = JSON.parse(text)
  } catch {
    // Not JSON: stays text.
  }
  const { status, origin, headers, costMs, retryAfterMs } = result
  return { status, origin, headers, body, costMs, retryAfterMs, tookMs: Number(tookMs.toFixed(3)) }
}

/** What many calls came to. Times in milliseconds. */
interface Summary {
  count: number
  ok: number
  /** Answers other than 1000 by status, failures by their code. */
  errors: Record<string, number>
  min: number
  p50: number
  p99: number
  max: number
  /** Calls per second. */
  rate: number
}

async function callMany(
  caller: MmtpCaller,
  operation: string,
  plan: Plan,
  options: CallOptions,
  output: CallOutput,
): Promise<number> {
  const times: number[] = []
  const errors: Record<string, number> = {}
  let started = 0
  let ok = 0
  const worker = async (): Promise<void> => {
    while (started < plan.repeat) {
      started++
      const startMs = performance.now()
      let outcome: string
      try {
        outcome = `${(await call(caller, operation, plan)).status}`
      } catch (error) {
        outcome = (error as { code?: string }).code ?? 'ERROR'
      }
      times.push(performance.now() - startMs)
      if (outcome === `${SUCCESS}`) ok++
      else errors[outcome] = (errors[outcome] ?? 0) + 1
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: Math.min(plan.concurrency, plan.repeat) }, worker))
  const seconds = (performance.now() - startMs) / 1000
  const summary = summaryOf(times, ok, errors, seconds)
  if (options.json === true) output.out.write(`${JSON.stringify(summary)}\n`)
  else printSummary(summary, output.out)
  return ok === plan.repeat ? ExitCode.Ok : ExitCode.Failure
}

function summaryOf(times: number[], ok: number, errors: Record<string, number>, seconds: number): Summary {
  times.sort((a, b) => a - b)
  const at = (part: number): number =>
    Number((times[Math.min(times.length - 1, Math.floor(times.length * part))] as number).toFixed(3))
  return {
    count: times.length,
    ok,
    errors,
    min: at(0),
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    rate: Math.round(times.length / seconds),
  }
}

function printSummary(summary: Summary, out: Output): void {
  const { count, ok, errors, min, p50, p99, max, rate } = summary
  out.write(`calls  ${count}, ok ${ok}, ${rate}/s\n`)
  for (const name in errors) out.write(`  ${name}  ${errors[name]}\n`)
  out.write(`ms     min ${min}  p50 ${p50}  p99 ${p99}  max ${max}\n`)
}
