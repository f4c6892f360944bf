/** The text of a configuration: its value, and where in it a path stands. */
import { createRequire } from 'node:module'
import type * as JsYaml from 'js-yaml'
import type * as Yaml from 'yaml'
import { type ConfigPath, comparePlaces, type Finding, formatPath, type Problem } from './problem.ts'

/** Largest file that is read. */
export const MAX_CONFIG_BYTES = 64 * 1024 * 1024
const MAX_ALIASES = 100
const MAX_SYNTAX_PROBLEMS = 20
// The package turns V8's error into one error for each level.
const STACK_OVERFLOW = 'Maximum call stack size exceeded'

// Anchors, aliases, tags, directives and several documents are left to the package that limits and explains them.
const UNUSUAL = /(?:^|[\s,[{])[&*!]\S|^%|^(?:---|\.\.\.)(?:\s|$)/m

const load = createRequire(import.meta.url)

/** One configuration text. Nothing is parsed twice, and positions are looked up only when somebody asks. */
export class Source {
  readonly #text: string
  #document: Yaml.Document.Parsed | null = null
  #lineCounter: Yaml.LineCounter | null = null

  constructor(text: string) {
    this.#text = text
  }

  /** The value, or why there is none. */
  read(): { readonly value: unknown; readonly problems: readonly Problem[] } {
    if (this.#text.length > MAX_CONFIG_BYTES) {
      const message = `the file has ${this.#text.length} characters, at most ${MAX_CONFIG_BYTES} are read`
      return { value: null, problems: [problemAt(0, 0, message, 'split it')] }
    }
    return this.#readFast() ?? this.#readFully()
  }

  #readFast(): { readonly value: unknown; readonly problems: readonly Problem[] } | null {
    const value = parseUsual(this.#text)
    return value === undefined ? null : { value, problems: [] }
  }

  /** Gives findings their positions, in order of the file. */
  locate(findings: readonly Finding[]): Problem[] {
    const problems = findings.map((finding) => {
      const { line, col } = this.#positionOf(finding.path, finding.atKey ?? false)
      return {
        severity: finding.severity ?? 'error',
        line,
        column: col,
        path: formatPath(finding.path),
        message: finding.message,
        hint: finding.hint,
      } as const
    })
    return problems.sort(comparePlaces)
  }

  #readFully(): { readonly value: unknown; readonly problems: readonly Problem[] } {
    try {
      const document = this.#parse()
      const { errors } = document
      if (errors.some(({ message }) => message.startsWith(STACK_OVERFLOW)))
        throw new RangeError(STACK_OVERFLOW)
      if (errors.length > 0) {
        return { value: null, problems: errors.slice(0, MAX_SYNTAX_PROBLEMS).map(syntaxProblem) }
      }
      return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), problems: [] }
    } catch (error) {
      return { value: null, problems: [this.#parseFailure(error as Error)] }
    }
  }

  #parseFailure(error: Error): Problem {
    if (error instanceof RangeError)
      return problemAt(
        0,
        0,
        'the file is nested too deeply',
        'a configuration needs no more than a dozen levels',
      )
    if (/alias/i.test(error.message))
      return problemAt(0, 0, 'the aliases expand to too much', `use at most ${MAX_ALIASES} of them`)
    return problemAt(0, 0, error.message, '')
  }

  #parse(): Yaml.Document.Parsed {
    if (this.#document !== null) return this.#document
    const { LineCounter, parseDocument } = load('yaml') as typeof Yaml
    this.#lineCounter = new LineCounter()
    this.#document = parseDocument(this.#text, { lineCounter: this.#lineCounter, merge: true, strict: true })
    return this.#document
  }

  /** The position of what `path` names, or of the nearest thing around it. */
  #positionOf(path: ConfigPath, atKey: boolean): { readonly line: number; readonly col: number } {
    try {
      const offset = offsetOf(this.#parse(), load('yaml') as typeof Yaml, path, atKey)
      return (this.#lineCounter as Yaml.LineCounter).linePos(offset)
    } catch {
      return { line: 0, col: 0 }
    }
  }
}

/**
 * The value of a text that is written in the usual way; undefined for any other. js-yaml reads 30,000 routes in about 0.7 s,
 * where `yaml` takes 4, but it knows no positions: whatever it does not take, `yaml` reads again and explains.
 */
export function parseUsual(text: string): unknown {
  if (isUnusual(text)) return undefined
  try {
    const { CORE_SCHEMA, load: parse } = load('js-yaml') as typeof JsYaml
    return parse(text, { schema: CORE_SCHEMA }) ?? null
  } catch {
    return undefined
  }
}

/** Whether a part of a text means something else, or nothing, without the rest: it may hold an alias, a tag or the end of a document. */
export function isUnusual(text: string): boolean {
  return UNUSUAL.test(text)
}

function offsetOf(
  document: Yaml.Document.Parsed,
  yaml: typeof Yaml,
  path: ConfigPath,
  atKey: boolean,
): number {
  let node: unknown = document.contents
  let offset = 0
  for (let depth = 0; depth < path.length; depth++) {
    if (yaml.isAlias(node)) node = node.resolve(document)
    const step = path[depth]
    const isLast = depth === path.length - 1
    if (yaml.isMap(node)) {
      const pair = node.items.find(({ key }) => String(yaml.isScalar(key) ? key.value : key) === String(step))
      if (pair === undefined) break
      const keyStart = startOf(pair.key) ?? offset
      offset = isLast && atKey ? keyStart : (startOf(pair.value) ?? keyStart)
      node = pair.value
    } else if (yaml.isSeq(node)) {
      node = node.items[Number(step)]
      offset = startOf(node) ?? offset
    } else break
  }
  return path.length === 0 ? (startOf(node) ?? 0) : offset
}

function startOf(node: unknown): number | null {
  const range = (node as { readonly range?: readonly number[] | null } | null | undefined)?.range
  return range?.[0] ?? null
}

function syntaxProblem(error: Yaml.YAMLParseError): Problem {
  const [position] = error.linePos ?? [{ line: 0, col: 0 }]
  const message = error.message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '')
  return problemAt(
    position.line,
    position.col,
    sentence(message),
    SYNTAX_HINTS[error.code] ?? 'check the YAML syntax here',
  )
}

const SYNTAX_HINTS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'each key may stand once in a mapping',
  TAB_AS_INDENT: 'indent with blanks',
  BAD_INDENT: 'entries of one mapping or list begin in the same column',
  MULTIPLE_DOCS: 'a configuration is one document',
  BLOCK_AS_IMPLICIT_KEY: 'put texts that hold ": " in quotes',
  MULTILINE_IMPLICIT_KEY: 'put a ":" behind the key',
  BAD_ALIAS: 'name an anchor that stands above',
}

function sentence(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text[0].toLowerCase() + text.slice(1) : text
}

function problemAt(line: number, column: number, message: string, hint: string): Problem {
  return { severity: 'error', line, column, path: '', message, hint }
}
