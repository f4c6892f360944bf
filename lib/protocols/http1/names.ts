/** The field names that this codec knows. */
/** A name with a meaning of its own; 0 is any other. */
export const Known = {
  None: 0,
  Host: 1,
  ContentLength: 2,
  TransferEncoding: 3,
  Connection: 4,
  /** Keep-Alive, Proxy-Connection, Proxy-Authorization, Proxy-Authenticate, HTTP2-Settings …: never cross. */
  Hop: 5,
  Te: 6,
  Upgrade: 7,
  Expect: 8,
  /** Forwarded, X-Forwarded-For, -Proto, -Host. */
  Forwarded: 9,
  OperationType: 10,
  /** What only the access layer may set. */
  Edge: 11,
} as const
export type Known = (typeof Known)[keyof typeof Known]

const KNOWN_NAMES: readonly (readonly [name: string, known: Known])[] = [
  ['host', Known.Host],
  ['content-length', Known.ContentLength],
  ['transfer-encoding', Known.TransferEncoding],
  ['connection', Known.Connection],
  ['keep-alive', Known.Hop],
  ['proxy-connection', Known.Hop],
  ['proxy-authorization', Known.Hop],
  ['proxy-authenticate', Known.Hop],
  ['proxy-authentication-info', Known.Hop],
  ['http2-settings', Known.Hop],
  ['te', Known.Te],
  ['upgrade', Known.Upgrade],
  ['expect', Known.Expect],
  ['forwarded', Known.Forwarded],
  ['x-forwarded-for', Known.Forwarded],
  ['x-forwarded-proto', Known.Forwarded],
  ['x-forwarded-host', Known.Forwarded],
  ['operation-type', Known.OperationType],
  ['uid', Known.Edge],
  ['client-ip', Known.Edge],
  ['target-app', Known.Edge],
  ['target-cell', Known.Edge],
  ['origin-zone', Known.Edge],
  ['caller-app', Known.Edge],
  ['caller-zone', Known.Edge],
  ['caller-ip', Known.Edge],
  ['principal', Known.Edge],
  ['attempt', Known.Edge],
]

// Names are told apart by length, first, middle and last letter: one load of a small table rules out nearly every other
// name, and one comparison settles the rest. A perfect hash for this list; the assertion below keeps it so.
const SLOTS = 1024
const slotName: Uint8Array[] = new Array(SLOTS).fill(new Uint8Array(0))
const slotKnown = new Uint8Array(SLOTS)

function slotOf(length: number, first: number, middle: number, last: number): number {
  return (length * 37 + (first & 31) * 7 + (middle & 31) * 61 + (last & 31) * 131) & (SLOTS - 1)
}

for (const [name, known] of KNOWN_NAMES) {
  const slot = slotOf(
    name.length,
    name.charCodeAt(0),
    name.charCodeAt(name.length >> 1),
    name.charCodeAt(name.length - 1),
  )
  if (slotKnown[slot] !== 0) throw new Error(`field name ${name} shares its slot`)
  slotName[slot] = Uint8Array.from(Buffer.from(name))
  slotKnown[slot] = known
}

/** What the name at `start…end`, which is a token, means to the codec. */
export function knownName(bytes: Buffer, start: number, end: number): Known {
  const length = end - start
  const slot = slotOf(length, bytes[start], bytes[start + (length >> 1)], bytes[end - 1])
  const known = slotKnown[slot] as Known
  if (known === 0) return 0
  const name = slotName[slot]
  if (name.length !== length) return 0
  // Bit 0x20 makes letters lower case and leaves the other bytes of a token as they are.
  for (let i = 0; i < length; i++) if ((bytes[start + i] | 0x20) !== name[i]) return 0
  return known
}

// Names that a message of ours never takes from a filter or another protocol: the encoder writes them itself.
const OWN_NAMES: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'proxy-authentication-info',
  'http2-settings',
  'upgrade',
  'te',
  'expect',
])

/** True for the lower-case names that do not cross a hop or that the encoder writes itself. */
export function isOwnName(name: string): boolean {
  return OWN_NAMES.has(name)
}

// Connection must not list fields that are meant for every recipient (RFC 9110 section 7.6.1). Whoever does so wants
// the gateway to strip what the business process relies on, so these stay; nginx strips nothing at all.
const PROTECTED_NAMES: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'authorization',
  'cookie',
  'set-cookie',
  'cache-control',
  'date',
  'origin',
  'location',
  'www-authenticate',
  'forwarded',
  'operation-type',
  'traceparent',
  'tracestate',
  'range',
])

/** True for the lower-case names that stay although Connection lists them. */
export function isProtectedName(name: string): boolean {
  return PROTECTED_NAMES.has(name) || name.startsWith('x-forwarded-') || name.startsWith('if-')
}

// A trailer section may not carry what frames, routes or authenticates the message (RFC 9110 section 6.5.1).
const NO_TRAILERS: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'cookie',
  'set-cookie',
  'content-type',
  'content-encoding',
  'content-range',
  'cache-control',
  'max-forwards',
  'range',
  'operation-type',
  'trailer',
])

/** True for the lower-case names that are dropped from a trailer section. */
export function isNoTrailer(name: string): boolean {
  return NO_TRAILERS.has(name) || OWN_NAMES.has(name) || isProtectedName(name)
}
