/** Pattern of a duration in a filter's options: `250ms`, `3s`, `1m`, `2h`. */
export const DURATION_PATTERN = '^(0|[0-9]+(\\.[0-9]+)?(ms|s|m|h))$'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of a duration that the schema has checked. */
export function parseDuration(text: string): number {
  const match = /^([0-9.]+)(ms|s|m|h)?$/.exec(text)
  if (match === null) throw new Error(`"${text}" is no duration; write 250ms, 3s or 1m`)
  return Number(match[1]) * UNITS[match[2] ?? 'ms']
}
