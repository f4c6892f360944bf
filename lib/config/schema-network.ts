/** Schema of listeners and clusters. */
import {
  ADDRESS_HINT,
  address,
  count,
  derivedCount,
  derivedDuration,
  duration,
  name,
  PROTOCOLS,
  size,
} from './schema-parts.ts'

/** The limits of one message. `refusal` says what comes of a head that is too large. */
function messageLimits(refusal: string) {
  return {
    head: size(`Largest message head; a larger one is ${refusal}.`, '64KiB', 256),
    headers: count(`Most headers in one message; more are ${refusal}.`, 100, 1, 10_000),
    body: size('Largest body of `http1` and `mmtp`, streamed or gathered; 0 is no limit.', 0),
    frame: size(
      'Largest frame of `bolt` and `dubbo`, which arrives whole; a larger one closes its connection.',
      '16MiB',
      1024,
    ),
  } as const
}

/** One listener. */
export const listenerSchema = {
  type: 'object',
  description: 'Where meshgate accepts connections.',
  required: ['name', 'protocol', 'address'],
  additionalProperties: false,
  properties: {
    name: name('Label in logs and metrics; unique among listeners.'),
    protocol: {
      type: 'string',
      enum: [...PROTOCOLS, 'auto'],
      description: '`auto` recognises the protocol by the first bytes.',
    },
    address: address(
      '`host:port`, `[::1]:port`, `:port` (every interface) or `unix:/path`; port 0 takes any free port.',
    ),
    proxyProtocol: {
      type: 'string',
      enum: ['off', 'optional', 'required'],
      default: 'off',
      description:
        'PROXY protocol v1/v2 in front of each connection. `optional` trusts whoever sends it: only behind a load balancer.',
    },
    trusted: {
      type: 'boolean',
      default: false,
      description:
        'True behind the access layer: headers that only it may set are believed; at the edge they are stripped.',
    },
    forwarded: {
      type: 'string',
      enum: ['append', 'replace', 'off'],
      default: 'append',
      description: 'What happens to `Forwarded` and `X-Forwarded-*`.',
    },
    operationPath: {
      type: 'string',
      pattern: '^/[^?#\\s]*$',
      hint: 'write a path that starts with "/" and holds no query',
      default: '/mgw.htm',
      description: 'HTTP path on which an `Operation-Type` header makes a request an operation.',
    },
    boltGoAway: {
      type: 'boolean',
      default: false,
      description:
        'Whether a drain sends GoAway to `bolt` peers. Only meshes know it: a Java client breaks off the connection with its calls.',
    },
    maxConnections: count('Connections at once; further ones are closed at once.', 65_536, 1),
    maxStreams: derivedCount(
      'Requests at once on one multiplexed connection. An Mmtp peer is told; of an RPC client the connection is not read until one is over.',
      '`128`; `4096` for `bolt` and `dubbo`',
      1,
      65_536,
    ),
    limits: {
      type: 'object',
      description: 'What one message may cost.',
      default: {},
      additionalProperties: false,
      properties: {
        ...messageLimits('refused (HTTP 431)'),
        uri: size('Longest request target; a longer one is refused (HTTP 414).', '16KiB', 64),
      },
    },
    timeouts: {
      type: 'object',
      description: 'How long a peer may take; 0 is for ever.',
      default: {},
      additionalProperties: false,
      properties: {
        header: duration('From the first byte of a head to its last (HTTP 408).', '10s'),
        idle: derivedDuration(
          'Connection without a request.',
          '`60s`; `90s` for `bolt`, `180s` for `dubbo`, `240s` for `mmtp` and `auto`',
        ),
      },
    },
  },
} as const

const weight = {
  type: 'integer',
  minimum: 0,
  maximum: 1_000_000,
  default: 1,
  description: 'Share of the requests, relative to the others; 0 gets none.',
} as const

/** One endpoint of a cluster. */
export const endpointSchema = {
  anyOf: [
    { type: 'string', minLength: 1, hint: ADDRESS_HINT, description: 'an address' },
    {
      type: 'object',
      description: 'a mapping with `address` and `weight`',
      required: ['address'],
      additionalProperties: false,
      properties: { address: address('`host:port`, `[::1]:port` or `unix:/path`.'), weight },
    },
  ],
} as const

/** One cluster. */
export const clusterSchema = {
  type: 'object',
  description: 'A business process, or several that do the same.',
  required: ['name', 'protocol', 'endpoints'],
  additionalProperties: false,
  properties: {
    name: name('What routes call it; unique among clusters.'),
    protocol: { type: 'string', enum: [...PROTOCOLS], description: 'What its endpoints speak.' },
    endpoints: {
      type: 'array',
      minItems: 1,
      items: endpointSchema,
      description:
        'Addresses, or mappings `{ address, weight }`. A host name is resolved by DNS and may stand for several.',
    },
    balancer: {
      type: 'string',
      enum: ['round-robin', 'random', 'least-request', 'weighted', 'ring-hash'],
      default: 'round-robin',
      description: '`least-request` takes the better of two; `ring-hash` needs a `hashKey` on the route.',
    },
    timeouts: {
      type: 'object',
      description: 'How long an endpoint may take; 0 is for ever.',
      default: {},
      additionalProperties: false,
      properties: {
        connect: duration('Until a connection is open.', '1s'),
        idle: derivedDuration(
          'Connection without a request. Must be shorter than the business process’s own, or requests run into its close.',
          '`4s`; `200s` for `mmtp`, `10m` for `bolt` and `dubbo`, whose heartbeats keep it open',
        ),
      },
    },
    limits: {
      type: 'object',
      description: 'What the cluster and one answer may cost.',
      default: {},
      additionalProperties: false,
      properties: {
        connections: count('Connections to each endpoint.', 1024, 1),
        pending: count('Requests that wait for a connection; further ones are refused (HTTP 503).', 1024),
        queueTimeout: duration('How long a request waits for a connection.', '5s'),
        ...messageLimits('a malformed answer (HTTP 502)'),
      },
    },
    heartbeat: derivedDuration(
      'Connection without traffic after which a `bolt` or `dubbo` endpoint is sent a heartbeat; 0 is never.',
      '`15s` for `bolt`, `60s` for `dubbo`; the others have none',
    ),
    maxRequestsPerConnection: count('Requests after which a connection is replaced; 0 is never.', 0),
    maxStreams: count(
      'Requests at once on one multiplexed connection; the peer may allow fewer.',
      4096,
      1,
      65_536,
    ),
    connectionsPerEndpoint: count(
      'Connections that are kept to each endpoint of a multiplexed protocol.',
      1,
      1,
      1024,
    ),
    sharing: {
      type: 'string',
      enum: ['all', 'caller'],
      default: 'all',
      description:
        'Who shares a connection to an endpoint: everybody, or the requests of one connection to meshgate only; those that meshgate translates count as one.',
    },
    dns: {
      type: 'object',
      description: 'Host names of endpoints.',
      default: {},
      additionalProperties: false,
      properties: { refresh: duration('How often names are resolved again; 0 is never.', '30s') },
    },
  },
} as const
