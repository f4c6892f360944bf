/** Schema of Java calls: what a route says about a method, and descriptions of types. */
import { text } from './schema-parts.ts'

/** How Java values look in JSON. */
export const jsonSchema = {
  type: 'object',
  description: 'How the Java values of a call look in JSON.',
  additionalProperties: false,
  properties: {
    longs: {
      type: 'string',
      enum: ['string', 'number'],
      default: 'string',
      description: '64-bit integers beyond 2^53: as texts, or as numbers that lose digits.',
    },
    dates: {
      type: 'string',
      enum: ['iso', 'epoch'],
      default: 'iso',
      description: 'Dates as ISO 8601 texts or as milliseconds since 1970.',
    },
    exceptions: {
      type: 'string',
      enum: ['hidden', 'message', 'class-and-message'],
      default: 'hidden',
      description: 'What a caller is told about an exception of the service; the log has it in full.',
    },
    classes: {
      type: 'boolean',
      default: false,
      description: 'Keeps the `class` entry of objects.',
    },
  },
} as const

const javaType = text(
  'A Java type: `int`, `com.example.Order`, `java.util.List<com.example.Item>`, `byte[]`.',
)

/** The keys of a route’s `to` that are about RPC. */
export const callProperties = {
  service: {
    type: 'string',
    pattern: '^[^\\s:*]+(:[^\\s:*]*){0,2}$',
    hint: 'write com.example.OrderService, or com.example.OrderService:1.0 with its version',
    description:
      'Interface for a `bolt` or `dubbo` cluster, `:version` and `:uniqueId` may follow. For an RPC it replaces the caller’s; with `method` any other request becomes a call of it.',
  },
  version: text('Version of that interface; the RPC’s own, or none, when absent.'),
  group: text('Dubbo’s group or SOFARPC’s uniqueId; the RPC’s own, or none, when absent.'),
  parameters: {
    type: 'array',
    items: javaType,
    description: 'Types of the method’s parameters, by which JSON is read; none when absent.',
  },
  parameterNames: {
    type: 'array',
    items: text('A name.'),
    minItems: 1,
    description: 'Names of the parameters, so that a body may be an object in place of a list of arguments.',
  },
  json: jsonSchema,
} as const

/** One described type. */
export const typeSchema = {
  type: 'object',
  description: 'A class with `fields`, or an enum.',
  additionalProperties: false,
  properties: {
    fields: {
      type: 'object',
      additionalProperties: javaType,
      description: 'Field → Java type.',
    },
    extends: text('Superclass, described here too; its fields come with it.'),
    enum: {
      type: 'array',
      items: text('A constant.'),
      minItems: 1,
      description: 'The constants of an enum.',
    },
  },
} as const

/** The top-level key `types`. */
export const typesSchema = {
  type: 'object',
  default: {},
  additionalProperties: typeSchema,
  description:
    'Java classes by full name, for the `parameters` of calls. What is not described is passed as it comes, by generic invocation.',
} as const
