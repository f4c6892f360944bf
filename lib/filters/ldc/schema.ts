/** Schema of the options of `ldc`: what the configuration needs before the filter itself is loaded. */

/** How often the file of the rules is looked at, in milliseconds. */
export const DEFAULT_POLL_MS = 500

/** Options of `ldc`. */
export const ldcSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['rules'],
  properties: {
    rules: {
      anyOf: [{ type: 'string', minLength: 1 }, { type: 'object' }],
      description: 'File of the zone rules (YAML or JSON), which is followed; or the rules themselves',
    },
    lastGood: {
      type: 'string',
      minLength: 1,
      description:
        'File for the last rules that were accepted; the file of the rules with `.last-good` behind it when left out',
    },
    pollMs: {
      type: 'integer',
      minimum: 50,
      maximum: 60_000,
      default: DEFAULT_POLL_MS,
      description: 'How often the file is looked at, in milliseconds',
    },
    observe: {
      type: 'boolean',
      default: false,
      description: 'Decides, counts and logs, but refuses, redirects and changes nothing',
    },
  },
} as const
