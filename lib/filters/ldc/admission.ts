/** Whether a new document may take the place of the one that serves. */
import { expiredRules } from './check.ts'
import { diffDocuments, type LdcDiff, movedShards } from './diff.ts'
import type { LdcDocument, LdcProblem } from './document.ts'
import { parseDocument } from './parse.ts'

/**
 * - `accepted`: it serves from now on;
 * - `same`: the version is the one that serves, nothing happens;
 * - `refused`: the old one goes on serving.
 */
export type Admission =
  | { readonly kind: 'accepted'; readonly document: LdcDocument; readonly diff: LdcDiff | null }
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly problems: readonly LdcProblem[] }

/**
 * Judges a value that a parser gave. `current` is null at the start: then there is nothing to compare with, and a rule that is over already
 * is left out without complaint, because a pod that starts late is no mistake.
 */
export function admit(value: unknown, cell: string, current: LdcDocument | null, nowMs: number): Admission {
  const { document, problems } = parseDocument(value, cell)
  if (document === null) return { kind: 'refused', problems }
  if (current === null) return { kind: 'accepted', document, diff: null }
  if (document.version === current.version) return { kind: 'same' }
  const found = [...versionProblems(document, current), ...newlyExpired(document, current, nowMs)]
  if (found.length === 0) found.push(...guardProblems(document, current, nowMs))
  if (found.length > 0) return { kind: 'refused', problems: found }
  return { kind: 'accepted', document, diff: diffDocuments(current, document, nowMs) }
}

function versionProblems({ version }: LdcDocument, current: LdcDocument): LdcProblem[] {
  if (version > current.version) return []
  return [
    { path: 'version', message: `is ${version}, and ${current.version} serves; a change needs a higher one` },
  ]
}

/** A rule that the serving document has too may be left in when it is over. */
function newlyExpired(document: LdcDocument, current: LdcDocument, nowMs: number): LdcProblem[] {
  const known = new Set(
    [...current.rules, ...(current.pressure.rules ?? [])].map(({ id, untilMs }) => `${id} ${untilMs}`),
  )
  const isKnown = ({ id, untilMs }: { id: string; untilMs: number }): boolean => known.has(`${id} ${untilMs}`)
  return expiredRules(
    {
      ...document,
      rules: document.rules.map((rule) =>
        isKnown(rule) ? { ...rule, untilMs: Number.POSITIVE_INFINITY } : rule,
      ),
      pressure: {
        ...document.pressure,
        rules:
          document.pressure.rules?.map((rule) =>
            isKnown(rule) ? { ...rule, untilMs: Number.POSITIVE_INFINITY } : rule,
          ) ?? null,
      },
    },
    nowMs,
  )
}

function guardProblems(document: LdcDocument, current: LdcDocument, nowMs: number): LdcProblem[] {
  const moved = movedShards(current, document, nowMs)
  const { shards, version, guardOverrideFor } = document
  // A document must not lift the limit for itself without saying so.
  const maxMovedPercent = Math.min(document.maxMovedPercent, current.maxMovedPercent)
  if (moved * 100 <= maxMovedPercent * shards || guardOverrideFor === version) return []
  const message =
    `moves ${moved} of ${shards} shards at once, more than ${maxMovedPercent} %; move them in several versions, ` +
    `or say guard: { overrideFor: ${version} }`
  return [{ path: 'rules', message }]
}
