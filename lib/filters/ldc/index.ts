/** Sends each request to the zone that owns its user's data, and refuses what must not be served here. */
import type { Exchange } from '../../core/exchange.ts'
import type { Filter, FilterDefinition, FilterServices } from '../../core/filter.ts'
import type { Counter } from '../../core/services.ts'
import { Verdict } from '../../core/verdict.ts'
import {
  type Decision,
  makeDecision,
  makeZoneRequest,
  Outcome,
  type ZoneEngine,
  type ZoneRequest,
} from './engine.ts'
import { ShardExtractor, Source } from './extract.ts'
import {
  consumeMarks,
  hopsOf,
  isLoadTest,
  namesFor,
  stripMarks,
  tagOf,
  targetOf,
  versionOf,
  writeForward,
  writeUser,
} from './marks.ts'
import { RulesStore } from './rules-store.ts'
import { DEFAULT_POLL_MS, ldcSchema } from './schema.ts'
import { showShard, UNSHARDED } from './shards.ts'
import type { Cell } from './topology.ts'

/** Result code that says: not processed, may be sent again elsewhere. */
const NOT_PROCESSED = 1002
const MISDIRECTED = 421

interface Options {
  readonly rules: string | Readonly<Record<string, unknown>>
  readonly lastGood?: string
  readonly pollMs?: number
  readonly observe?: boolean
}

/** The `ldc` filter. It acts once the route is known; routes may switch it off. */
export const ldc: FilterDefinition<Options> = {
  schema: ldcSchema,
  create: (options, services) => new ZoneRouting(options, services),
}

/** Labels of the outcomes, in their order. */
const OUTCOME_NAMES = ['local', 'elsewhere', 'frozen', 'wrong_zone', 'no_cell', 'no_shadow'] as const

class ZoneRouting implements Filter {
  readonly name: string
  readonly #services: FilterServices
  readonly #store: RulesStore
  readonly #isObserving: boolean
  readonly #hint: ReturnType<typeof hintSlot>
  readonly #outcomes: readonly Counter[]
  readonly #conflicts: Counter
  readonly #withdraw: readonly (() => void)[]
  // Written anew by each exchange; a hook runs to its end before the next one begins.
  readonly #request = makeZoneRequest()
  readonly #decision = makeDecision()
  #engine: ZoneEngine | null = null
  #extractor: ShardExtractor | null = null
  /** The rules' version as headers bear it. */
  #version = ''
  #isStale = false

  constructor(options: Options, services: FilterServices) {
    const { metrics, name, node, log, clock, timers } = services
    this.name = name
    this.#services = services
    this.#isObserving = options.observe ?? false
    this.#hint = hintSlot(services)
    this.#outcomes = OUTCOME_NAMES.map((outcome) =>
      metrics.counter('meshgate_ldc_decisions_total', 'Requests by what the zone rules said', {
        filter: name,
        outcome,
      }),
    )
    this.#conflicts = metrics.counter(
      'meshgate_ldc_rule_conflicts_total',
      'Forwarded requests for which our zone rules and the sender’s name different zones',
      { filter: name },
    )
    const refused = metrics.counter(
      'meshgate_ldc_rules_refused_total',
      'Zone rules that were refused or unreadable',
      {
        filter: name,
      },
    )
    const onStale = (isStale: boolean): void => {
      if (isStale) refused.value++
      this.#isStale = isStale
    }
    this.#store = new RulesStore(placeOf(options, services), { log, clock, timers, onStale })
    this.#withdraw = [
      metrics.gauge(
        'meshgate_ldc_rules_version',
        'Version of the zone rules that serve',
        { filter: name },
        () => {
          return this.#store.engine?.document.version ?? 0
        },
      ),
      metrics.gauge(
        'meshgate_ldc_rules_stale',
        '1 while newer zone rules are refused or unreadable',
        { filter: name },
        () => Number(this.#isStale),
      ),
    ]
    if (node.cell === '')
      log.debug({ filter: name }, 'the configuration has no node.cell; the zone rules must say it')
  }

  onRoute(exchange: Exchange): Verdict {
    const { engine } = this.#store
    if (engine === null) return exchange.refuse('NO_ENDPOINT', { message: 'there are no zone rules' })
    if (engine !== this.#engine) this.#adopt(engine)
    const source = this.#read(exchange, engine)
    const decision = this.#decision
    engine.decide(this.#request, this.#services.clock.wallNow(), decision)
    this.#outcomes[decision.outcome].value++
    if (decision.isConflict) this.#conflicts.value++
    if (this.#isObserving) return this.#observe(exchange)
    return this.#act(exchange, engine, source)
  }

  onResponse(exchange: Exchange): void {
    const hint = exchange.get(this.#hint)
    if (hint === undefined || exchange.response === null) return
    exchange.response.headers.set(namesFor(exchange.request.protocol).hint, hint)
  }

  close(): void {
    this.#store.close()
    for (const withdraw of this.#withdraw) withdraw()
  }

  /** Looks at the file now. For tests and for those who know that it changed. */
  refresh(): Promise<void> {
    return this.#store.refresh()
  }

  #adopt(engine: ZoneEngine): void {
    this.#engine = engine
    this.#extractor = new ShardExtractor(engine.document)
    this.#version = String(engine.document.version)
  }

  /** Fills in what the engine has to know. Returns where the shard came from. */
  #read(exchange: Exchange, engine: ZoneEngine): Source {
    const { request, listener } = exchange
    const { trusted } = listener
    const extractor = this.#extractor as ShardExtractor
    const zoneRequest = this.#request
    zoneRequest.shard = extractor.find(exchange)
    zoneRequest.isHint = extractor.source === Source.Hint
    zoneRequest.userId = exchange.userId
    zoneRequest.mayWrite = !request.isIdempotent
    zoneRequest.op = engine.usesOps ? opOf(exchange) : ''
    zoneRequest.app = engine.usesApps ? this.#appOf(exchange) : ''
    zoneRequest.tag = trusted && engine.usesTags ? tagOf(request) : ''
    zoneRequest.isPressure = trusted && isLoadTest(request)
    zoneRequest.override = trusted ? overrideOf(exchange, engine) : ''
    zoneRequest.targetCell = trusted ? targetOf(request) : ''
    const isForwarded = zoneRequest.targetCell !== ''
    zoneRequest.version = isForwarded ? versionOf(request) : 0
    const { maxHops } = engine.document.crossZone
    // Marks that a peer at the edge makes up are taken away before they are counted.
    zoneRequest.hops = trusted ? hopsOf(request, maxHops) : maxHops
    return extractor.source
  }

  #appOf({ request, listener }: Exchange): string {
    const named = listener.trusted ? request.headers.get('target-app') : null
    return named ?? this.#services.node.app
  }

  #act(exchange: Exchange, engine: ZoneEngine, source: Source): Verdict {
    const { outcome, cell } = this.#decision
    const { trusted } = exchange.listener
    switch (outcome) {
      case Outcome.Local:
        this.#clean(exchange, engine, trusted)
        if (!trusted && source === Source.User) writeUser(exchange, this.#request.shard, true)
        this.#noteHint(exchange, engine, source, engine.topology.own)
        this.#aimAtShadow(exchange, engine)
        return Verdict.Continue
      case Outcome.Elsewhere:
        this.#noteHint(exchange, engine, source, cell as Cell)
        if (engine.document.crossZone.mode === 'redirect') return redirect(exchange, cell as Cell)
        if (this.#request.hops === 0) return misdirected(exchange, cell as Cell)
        this.#clean(exchange, engine, trusted)
        this.#forward(exchange, cell as Cell, engine, source)
        return Verdict.Continue
      case Outcome.Frozen:
        return exchange.refuse('RATE_LIMITED', {
          retryAfterMs: engine.document.frozenRetryAfterMs,
          message: 'the data of this user is being moved',
        })
      case Outcome.WrongZone:
        return misdirected(exchange, cell as Cell)
      case Outcome.NoCell:
        return exchange.refuse('NO_ENDPOINT', { message: 'no cell is in service for this user' })
      case Outcome.NoShadow:
        return exchange.refuse('NO_ENDPOINT', { message: 'load-test traffic has nowhere to go' })
    }
  }

  #clean({ request }: Exchange, engine: ZoneEngine, trusted: boolean): void {
    if (!trusted) stripMarks(request)
    else if (this.#request.targetCell !== '') consumeMarks(request)
    const { overrideHeader } = engine.document
    if (overrideHeader !== '' && request.headers.has(overrideHeader)) request.headers.remove(overrideHeader)
  }

  #forward(exchange: Exchange, cell: Cell, engine: ZoneEngine, source: Source): void {
    const { request } = exchange
    const { shard, hops } = this.#request
    // A hint goes on as the hint it is; written as a shard it would pass for the truth.
    if (source !== Source.Hint) writeUser(exchange, shard, source === Source.User)
    const origin = engine.topology.own.zone.name
    writeForward(request, { version: this.#version, origin, target: cell.name, hops })
    aimAt(exchange, cell.clusters[request.protocol])
  }

  #aimAtShadow(exchange: Exchange, engine: ZoneEngine): void {
    const { cluster } = engine.document.pressure
    if (this.#request.isPressure && cluster !== '') aimAt(exchange, cluster)
  }

  /** Remembers what the answer shall tell a caller that knew no shard, or only by a hint, and another one than is right. */
  #noteHint(exchange: Exchange, engine: ZoneEngine, source: Source, cell: Cell): void {
    const extractor = this.#extractor as ShardExtractor
    const { shard } = this.#request
    if (shard === UNSHARDED || !extractor.hasHints) return
    if (source !== Source.Hint && (source !== Source.User || extractor.hintOf(exchange) === shard)) return
    exchange.set(this.#hint, `${showShard(shard, engine.document.shards)}/${cell.zone.name}`)
  }

  #observe(exchange: Exchange): Verdict {
    const { log } = this.#services
    if (this.#decision.outcome !== Outcome.Local && log.isLevelEnabled('info')) {
      log.info(
        observation(exchange, this.#request, this.#decision),
        'the zone rules would not have this served here',
      )
    }
    return Verdict.Continue
  }
}

function hintSlot(services: FilterServices) {
  return services.slot<string>('hint')
}

function placeOf(options: Options, services: FilterServices): ConstructorParameters<typeof RulesStore>[0] {
  const { rules, lastGood, pollMs = DEFAULT_POLL_MS } = options
  const file = typeof rules === 'string' ? services.resolvePath(rules) : null
  const usual = file === null ? null : `${file}.last-good`
  return {
    file,
    inline: file === null ? rules : null,
    lastGoodFile: lastGood === undefined ? usual : services.resolvePath(lastGood),
    pollMs,
    cell: services.node.cell,
  }
}

/** The name that rules give a request by. */
function opOf({ request }: Exchange): string {
  if (request.operation !== '') return request.operation
  return request.service === '' ? request.path : `${request.service}.${request.method}`
}

/** The cell that a permitted peer names, `''` for none. */
function overrideOf({ request, listener }: Exchange, { document }: ZoneEngine): string {
  const { overrideHeader, overrideListeners } = document
  if (overrideHeader === '') return ''
  if (overrideListeners.length > 0 && !overrideListeners.includes(listener.name)) return ''
  return request.headers.get(overrideHeader) ?? ''
}

/** The caller shall ask another cell itself. */
function redirect(exchange: Exchange, cell: Cell): Verdict {
  const { request } = exchange
  if (cell.location === '' || request.protocol !== 'http1' || !request.path.startsWith('/'))
    return misdirected(exchange, cell)
  const query = request.query === '' ? '' : `?${request.query}`
  return exchange.reply(
    307,
    '',
    { location: cell.location + request.path + query, [namesFor('http1').target]: cell.name },
    NOT_PROCESSED,
  )
}

/** The caller asked the wrong cell, and is told which one is right. */
function misdirected(exchange: Exchange, cell: Cell): Verdict {
  return exchange.reply(
    MISDIRECTED,
    '',
    { [namesFor(exchange.request.protocol).target]: cell.name },
    NOT_PROCESSED,
  )
}

function aimAt(exchange: Exchange, cluster: string): void {
  exchange.clusterOverride = cluster
}

function observation(exchange: Exchange, { shard }: ZoneRequest, { outcome, cell, rule }: Decision): object {
  return {
    traceId: exchange.traceId,
    shard,
    outcome: OUTCOME_NAMES[outcome],
    cell: cell?.name ?? '',
    rule: rule?.id ?? '',
  }
}
