// Whatever a caller, a business process, the clock and the filters do, in whatever order: nothing is thrown, no contract
// is broken, and every exchange ends once, with nothing left over.
import fc from 'fast-check'
import t from 'tap'
import { type ErrorCode, GatewayError } from '../../lib/core/errors.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import type { Filter, HookResult } from '../../lib/core/filter.ts'
import { type Call, deferred, type FakeUpstream, Rig, settled } from './support.ts'

type Gate = ReturnType<typeof deferred<number | undefined>>

const HOOKS = ['go', 'go', 'go', 'reply', 'refuse', 'throw', 'wait', 'bad reply'] as const
const OPENS = ['stream', 'stream', 'reused', 'wait', 'none', 'fails in send'] as const
const EVENTS = [
  'body',
  'big body',
  'last body',
  'trailers',
  'gone',
  'broken',
  'down slow',
  'down drain',
  'ready',
  'connect failed',
  'informational',
  'response',
  'whole response',
  'switch protocols',
  'up body',
  'up big body',
  'up last body',
  'up trailers',
  'up slow',
  'up drain',
  'up failed',
  'up refused',
  'time',
  'long time',
  'settle',
  'settle with reply',
  'settle with error',
  'turn',
] as const

/** Plays one exchange against the script. */
class Player {
  readonly rig: Rig
  readonly call: Call
  readonly gates: Gate[] = []
  #hooks: readonly (typeof HOOKS)[number][]
  #opens: readonly (typeof OPENS)[number][]
  #requestEnded: boolean
  #waiting = false

  constructor(script: Script) {
    this.#hooks = [...script.hooks]
    this.#opens = [...script.opens]
    this.#requestEnded = script.bodyLength === null
    const filters = ['a', 'b'].map((name) => this.#filter(name, name === 'a' ? script.needsBody : 'none'))
    this.rig = new Rig({
      filters,
      route: { timeoutMs: script.timeoutMs, perTryTimeoutMs: 70 },
      gatherLimit: 50_000,
    })
    this.rig.open = (exchange) => this.#open(exchange)
    this.call = this.rig.request({ method: script.method }, script.bodyLength)
  }

  /** The stream that may still report. */
  get stream(): FakeUpstream | null {
    const stream = this.rig.streams.at(-1)
    const isAlive =
      stream !== undefined && (stream.phase === 'open' || stream.phase === 'body' || stream.phase === 'ended')
    return isAlive && !stream.isAnswered && this.call.exchange.upstream === stream ? stream : null
  }

  #filter(name: string, needsBody: Script['needsBody']): Filter {
    const hook = (exchange: Exchange): HookResult => {
      const [decision = 'go', ...rest] = this.#hooks
      this.#hooks = rest
      if (decision === 'reply') return exchange.reply(403, 'no')
      if (decision === 'bad reply') return exchange.reply(200, '', { 'Not-Lower': 'x' })
      if (decision === 'refuse') return exchange.refuse('RATE_LIMITED')
      if (decision === 'throw') throw new Error('a defect')
      if (decision === 'go') return undefined
      const gate = deferred<number | undefined>()
      this.gates.push(gate)
      return gate.promise as Promise<undefined>
    }
    const filter = { name, onRequest: hook, onRoute: hook, onResponse: hook }
    return needsBody === 'none' ? filter : { ...filter, needsBody }
  }

  #open(exchange: Exchange): FakeUpstream | GatewayError | null {
    const [decision = 'stream', ...rest] = this.#opens
    this.#opens = rest
    if (decision === 'none') return new GatewayError('NO_ENDPOINT')
    if (decision === 'wait') {
      this.#waiting = true
      return null
    }
    const stream = this.rig.stream()
    stream.isReused = decision === 'reused'
    if (decision === 'fails in send') {
      stream.onSend = () => {
        stream.phase = 'failed'
        this.rig.dispatcher.onUpstreamFailed(exchange, new GatewayError('UPSTREAM_REFUSED'))
      }
    }
    return stream
  }

  #fail(code: ErrorCode): void {
    if (this.stream !== null) this.call.upstreamFails(new GatewayError(code))
  }

  play(event: (typeof EVENTS)[number]): Promise<void> | undefined {
    const { call, rig } = this
    const { exchange, down } = call
    const isTunnel = exchange.response?.status === 101 && down.phase === 'body'
    const mayRequest = !call.isOver && (!this.#requestEnded || (isTunnel && !exchange.requestEnded))
    switch (event) {
      case 'body':
      case 'big body':
        if (mayRequest && !down.isPaused) call.body(event === 'body' ? 'abc' : Buffer.alloc(40_000, 'x'))
        return undefined
      case 'last body':
        if (mayRequest) {
          this.#requestEnded = true
          call.body('z', true)
        }
        return undefined
      case 'trailers':
        if (mayRequest && !isTunnel) {
          this.#requestEnded = true
          call.trailers()
        }
        return undefined
      case 'gone':
        call.fail(new GatewayError('DOWNSTREAM_GONE'))
        return undefined
      case 'broken':
        call.fail(new GatewayError('BAD_REQUEST'), true)
        return undefined
      case 'down slow':
        down.isWritable = false
        return undefined
      case 'down drain':
        call.drain()
        return undefined
      case 'ready':
        if (this.#waiting) {
          this.#waiting = false
          rig.dispatcher.onUpstreamReady(exchange, rig.stream())
        }
        return undefined
      case 'connect failed':
        if (this.#waiting && !rig.log.includes('abandon')) {
          this.#waiting = false
          rig.dispatcher.onUpstreamFailed(exchange, new GatewayError('UPSTREAM_CONNECT_FAILED'))
        }
        return undefined
      case 'time':
        rig.clock.advance(40)
        return undefined
      case 'long time':
        rig.clock.advance(400_000)
        return undefined
      case 'settle':
        this.gates.shift()?.resolve(undefined)
        return settled()
      case 'settle with reply':
        this.gates.shift()?.resolve(exchange.reply(418))
        return settled()
      case 'settle with error':
        this.gates.shift()?.reject(new Error('a defect'))
        return settled()
      case 'turn':
        return settled()
      default:
        if (this.stream !== null) this.#upstream(event, this.stream)
        return undefined
    }
  }

  #upstream(event: string, stream: FakeUpstream): void {
    const { call, rig } = this
    const { exchange } = call
    const hasHead = exchange.response !== null
    if (event === 'informational' && !hasHead)
      rig.dispatcher.onInformational(exchange, { status: 103 } as never)
    else if (event === 'response' && !hasHead) call.respond(200, false)
    else if (event === 'whole response' && !hasHead) call.respond(200, true)
    else if (event === 'switch protocols' && !hasHead && stream.phase === 'ended') {
      stream.phase = 'body'
      call.respond(101, false)
    } else if (event === 'up body' && hasHead) call.respondBody('abc')
    else if (event === 'up big body' && hasHead && !stream.isPaused)
      call.respondBody(Buffer.alloc(40_000, 'y'))
    else if (event === 'up last body' && hasHead) call.respondBody('z', true)
    else if (event === 'up trailers' && hasHead && exchange.response?.status !== 101) call.respondTrailers()
    else if (event === 'up slow') stream.isWritable = false
    else if (event === 'up drain') {
      stream.isWritable = true
      rig.dispatcher.onUpstreamDrain(exchange)
    } else if (event === 'up failed') this.#fail('UPSTREAM_RESET')
    else if (event === 'up refused') this.#fail('UPSTREAM_REFUSED')
  }

  /** The caller leaves at last, and whatever still waited comes in late. */
  async end(): Promise<void> {
    this.call.fail(new GatewayError('DOWNSTREAM_GONE'))
    if (this.#waiting) this.rig.dispatcher.onUpstreamReady(this.call.exchange, this.rig.stream())
    for (const gate of this.gates) gate.resolve(undefined)
    await settled()
    for (const event of ['body', 'last body', 'trailers', 'down drain', 'up drain', 'long time'] as const)
      this.play(event)
  }
}

interface Script {
  readonly method: 'GET' | 'POST'
  readonly bodyLength: number | null
  readonly needsBody: 'none' | 'request' | 'response' | 'both'
  readonly timeoutMs: number
  readonly hooks: readonly (typeof HOOKS)[number][]
  readonly opens: readonly (typeof OPENS)[number][]
  readonly events: readonly (typeof EVENTS)[number][]
}

const script: fc.Arbitrary<Script> = fc.record({
  method: fc.constantFrom('GET', 'POST'),
  bodyLength: fc.constantFrom(null, -1),
  needsBody: fc.constantFrom('none', 'none', 'request', 'response', 'both'),
  timeoutMs: fc.constantFrom(0, 100),
  hooks: fc.array(fc.constantFrom(...HOOKS), { maxLength: 10 }),
  opens: fc.array(fc.constantFrom(...OPENS), { maxLength: 3 }),
  events: fc.array(fc.constantFrom(...EVENTS), { maxLength: 25 }),
})

t.test('any order of events ends the exchange once, and leaves nothing behind', async (t) => {
  let states = 0
  await fc.assert(
    fc.asyncProperty(script, async (given) => {
      const player = new Player(given)
      for (const event of given.events) await player.play(event)
      await player.end()
      states += player.rig.log.length
      const faults = player.rig.faults()
      if (faults.length > 0) throw new Error(`${faults.join('; ')}\n${player.rig.log.join('\n')}`)
    }),
    { numRuns: Number(process.env.MESHGATE_FUZZ_RUNS ?? 5000) },
  )
  t.ok(states > 0)
})
