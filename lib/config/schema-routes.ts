/** Schema of routes: what they match and what they do. */
import { duration, name, text } from './schema-parts.ts'
import { callProperties } from './schema-types.ts'

const condition = {
  anyOf: [
    { type: 'string', description: 'an exact value' },
    {
      type: 'object',
      description: 'a mapping with one of `exact`, `prefix`, `regex`, `present`, `range`',
      minProperties: 1,
      maxProperties: 1,
      hint: 'give exactly one of exact, prefix, regex, present, range',
      additionalProperties: false,
      properties: {
        exact: { type: 'string', description: 'The value.' },
        prefix: text('What the value starts with.'),
        regex: { type: 'string', format: 'regex', description: 'Must match the whole value.' },
        present: { type: 'boolean', description: 'True: must be there; false: must not.' },
        range: {
          type: 'array',
          minItems: 2,
          maxItems: 2,
          items: { type: 'integer' },
          hint: 'write two integers, [from, to), such as [10, 20]',
          description: 'A decimal integer from the first up to, not including, the second.',
        },
      },
    },
  ],
} as const

function conditions(description: string) {
  return { type: 'object', additionalProperties: condition, description } as const
}

const method = {
  type: 'string',
  pattern: "^[\\p{L}\\p{N}!#$%&'*+.^_`|~-]+$",
  hint: 'write a method such as GET, or createOrder of a Java service',
  description: 'a method',
} as const

const host = {
  type: 'string',
  pattern: '^(\\*|(\\*\\.)?([A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*|\\[[0-9A-Fa-f:.]+\\])(:\\d{1,5})?)$',
  hint: 'write api.example.com, *.example.com or *',
  description: 'a host',
} as const

/** The conditions of a route. */
export const matchSchema = {
  type: 'object',
  description: 'Conditions that must all hold; `{}` matches everything.',
  additionalProperties: false,
  properties: {
    path: {
      type: 'string',
      pattern: '^([/~*])',
      hint: 'start it with "/" (exact, or a prefix when it also ends in "/") or "~" (regular expression)',
      description:
        '`/a/` (ends in a slash) is a prefix, `~regex` a regular expression over the whole path, anything else exact.',
    },
    method: {
      anyOf: [method, { type: 'array', items: method, minItems: 1, description: 'a list of methods' }],
      description: 'One method or several: of HTTP in upper case, with `service` Java’s.',
    },
    host: {
      anyOf: [host, { type: 'array', items: host, minItems: 1, description: 'a list of hosts' }],
      description:
        '`api.example.com`, `*.example.com` or `*`, one or several; a port counts only when given here.',
    },
    operation: {
      type: 'string',
      pattern: '^[^\\s.*]+(\\.[^\\s.*]+)*(\\.\\*)?$|^\\*$',
      hint: 'write a.b.c for one operation, a.b.* for all below a.b',
      description: '`a.b.c` exact, `a.b.*` everything below.',
    },
    service: {
      type: 'string',
      pattern: '^[^\\s:*]+(\\.\\*)?(:[^\\s:*]*){0,2}$|^\\*$',
      hint: 'write a.b.C for one interface, a.b.* for all below a.b, * for any',
      description:
        'Interface of an RPC: `a.b.C` exact, `a.b.*` everything below, `*` any; `a.b.C:1.0:id` names version and group too.',
    },
    version: text('Version of the RPC’s interface.'),
    group: text('Dubbo’s group or SOFARPC’s uniqueId.'),
    app: {
      anyOf: [
        text('an application'),
        {
          type: 'array',
          items: text('an application'),
          minItems: 1,
          description: 'a list of applications',
        },
      ],
      description: 'Application that an RPC comes from by its own claim, one or several.',
    },
    headers: conditions('Header (of an RPC: header pair or attachment) → exact value or condition.'),
    query: conditions('Query parameter → exact value or condition.'),
    cookies: conditions('Cookie → exact value or condition.'),
  },
} as const

/** A redirect. */
export const redirectSchema = {
  type: 'object',
  description: 'Answers with a `Location` in place of forwarding.',
  additionalProperties: false,
  properties: {
    status: { type: 'integer', enum: [301, 302, 303, 307, 308], default: 302, description: 'HTTP status.' },
    path: {
      type: 'string',
      pattern: '^/',
      hint: 'start it with "/"',
      description: 'Replaces the whole path.',
    },
    prefix: {
      type: 'string',
      pattern: '^/',
      hint: 'start it with "/"',
      description: 'Replaces the prefix that matched.',
    },
    host: text('Replaces host and port.'),
    scheme: { type: 'string', enum: ['http', 'https'], description: 'Replaces the scheme.' },
    stripQuery: { type: 'boolean', default: false, description: 'Leaves out the query.' },
  },
} as const

/** Where a route leads. */
export const targetSchema = {
  type: 'object',
  description: 'Exactly one of `cluster`, `clusters`, `redirect`.',
  additionalProperties: false,
  properties: {
    cluster: text('Name of the cluster.'),
    clusters: {
      type: 'array',
      minItems: 1,
      description: 'Several clusters, each with its share.',
      items: {
        type: 'object',
        description: 'a mapping with `cluster` and `weight`',
        required: ['cluster'],
        additionalProperties: false,
        properties: {
          cluster: text('Name of the cluster.'),
          weight: {
            type: 'integer',
            minimum: 0,
            maximum: 1_000_000,
            default: 1,
            description: 'Share of the requests, relative to the others.',
          },
        },
      },
    },
    redirect: redirectSchema,
    operation: text('Operation that a request becomes for an Mmtp cluster; its own when absent.'),
    method: {
      ...method,
      description:
        'Method for an HTTP cluster; for a `bolt` or `dubbo` cluster the Java method that operations call.',
    },
    ...callProperties,
    path: {
      type: 'string',
      pattern: '^/',
      hint: 'start it with "/"',
      description: 'Path that an operation becomes for an HTTP cluster; `/` and the operation when absent.',
    },
  },
} as const

/** One route. */
export const routeSchema = {
  type: 'object',
  description: 'Which requests go where.',
  required: ['match', 'to'],
  additionalProperties: false,
  properties: {
    name: name('Label in logs and metrics; made from the match when absent. Unique among routes.'),
    match: matchSchema,
    to: targetSchema,
    rewrite: {
      type: 'object',
      description:
        'Changes the request before it is forwarded: at most one of `path`, `prefix`, `regex` with `replace`.',
      additionalProperties: false,
      properties: {
        path: {
          type: 'string',
          pattern: '^/',
          hint: 'start it with "/"',
          description: 'Replaces the whole path.',
        },
        prefix: {
          type: 'string',
          pattern: '^/',
          hint: 'start it with "/"',
          description: 'Replaces the prefix that matched.',
        },
        regex: {
          type: 'string',
          format: 'regex',
          description: 'The part of the path that `replace` replaces.',
        },
        replace: { type: 'string', description: 'What comes in its place; `$1` … are the groups.' },
        host: text('Replaces the host (and port).'),
      },
    },
    timeout: duration('From the request to the head of the answer, all tries together; 0 is none.', '15s'),
    perTryTimeout: duration('The same for one try; 0 is none.', '0ms'),
    hashKey: text(
      'Field whose value picks the endpoint of a `ring-hash` cluster, such as `request.header.x-user`.',
    ),
    filters: {
      type: 'object',
      description: 'Filter name → options that replace those of the chain, `false` (off) or `true` (on).',
      additionalProperties: {
        anyOf: [
          { type: 'boolean', description: 'true or false' },
          { type: 'object', description: 'a mapping of options' },
        ],
      },
    },
  },
} as const
