/**
 * The schema of the configuration: the one definition that gives the loader its checks and defaults, the types of
 * `config.ts`, the published JSON Schema and `docs/configuration.md`.
 *
 * It is plain JSON Schema, not built by calls, because building it with a library costs more than half of the time
 * that a start may take. Beside the standard keywords it uses `unit` (a duration or size that the loader turns
 * into a number), `hint` (what would be right) and `defaultNote` (a default that depends on something else).
 */
import { clusterSchema, listenerSchema } from './schema-network.ts'
import { address, duration, name, size } from './schema-parts.ts'
import { routeSchema } from './schema-routes.ts'
import { typesSchema } from './schema-types.ts'

/** One filter of the chain. Its options are checked against the filter's own schema. */
export const filterSchema = {
  anyOf: [
    { type: 'string', minLength: 1, description: 'the name of a filter' },
    {
      type: 'object',
      description: 'a mapping with `use`',
      required: ['use'],
      properties: {
        use: {
          type: 'string',
          minLength: 1,
          description: 'A built-in filter, or the path of a module (`./tenant.ts`) relative to this file.',
        },
        name: name(
          'What routes and logs call it, when one filter is used twice; the filter’s own name when absent.',
        ),
        enabled: {
          type: 'boolean',
          default: true,
          description: 'False leaves it out, except on routes that switch it on.',
        },
      },
    },
  ],
} as const

/** The whole file. */
export const configSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'meshgate configuration',
  type: 'object',
  required: ['listeners'],
  additionalProperties: false,
  properties: {
    $schema: { type: 'string', description: 'For editors; ignored.' },
    node: {
      type: 'object',
      description: 'Who this gateway is.',
      default: {},
      additionalProperties: false,
      properties: {
        app: { type: 'string', default: 'meshgate', description: 'Application that it stands in front of.' },
        cell: { type: 'string', default: '', description: 'Cell (unit of deployment) that it runs in.' },
        labels: {
          type: 'object',
          default: {},
          additionalProperties: { type: 'string', description: 'a text' },
          description: 'Free labels for filters.',
        },
      },
    },
    admin: {
      type: 'object',
      description: 'The admin port; none when this is left out.',
      required: ['address'],
      additionalProperties: false,
      properties: {
        address: address('Where it listens; it has no login, so keep it on loopback or a Unix socket.'),
      },
    },
    log: {
      type: 'object',
      description: 'The process’s own log on standard error; requests are logged by the filter `access-log`.',
      default: {},
      additionalProperties: false,
      properties: {
        level: {
          type: 'string',
          enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
          default: 'info',
          description: 'Least severity that is written; the admin port can change it.',
        },
      },
    },
    drain: {
      type: 'object',
      description: 'How the process ends after SIGTERM.',
      default: {},
      additionalProperties: false,
      properties: {
        grace: duration('How long running requests may take to finish.', '30s'),
        delay: duration(
          'How long it goes on accepting, not ready, so that load balancers notice first.',
          '0ms',
        ),
      },
    },
    gather: {
      type: 'object',
      description: 'For filters that need whole bodies.',
      default: {},
      additionalProperties: false,
      properties: { limit: size('Largest body that is gathered (HTTP 413).', '4MiB') },
    },
    listeners: {
      type: 'array',
      minItems: 1,
      items: listenerSchema,
      description: 'Where connections are accepted.',
    },
    clusters: { type: 'array', default: [], items: clusterSchema, description: 'Where requests can go.' },
    filters: { type: 'array', default: [], items: filterSchema, description: 'The chain, in this order.' },
    routes: {
      type: 'array',
      default: [],
      items: routeSchema,
      description: 'Which requests go where; the most specific match wins, whatever the order.',
    },
    types: typesSchema,
  },
} as const
