/** A strict reader of Prometheus text, for tests. Throws for what a server would refuse. */

/** One sample line. */
export interface TextSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** All samples and the type of each family. */
export interface ParsedText {
  readonly samples: TextSample[]
  readonly types: ReadonlyMap<string, string>
}

const SAMPLE = /^([a-zA-Z_][a-zA-Z0-9_]*)(?:\{(.*)\})? (NaN|[+-]Inf|[+-]?[\d.]+(?:e[+-]?\d+)?)$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)/y

/** Parses the text; every line must be a known one, every family in one piece, no sample twice. */
export function parsePrometheus(text: string): ParsedText {
  if (!text.endsWith('\n')) throw new Error('the text must end in a line feed')
  const types = new Map<string, string>()
  const samples: TextSample[] = []
  const seen = new Set<string>()
  for (const line of text.slice(0, -1).split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) {
      if (types.has(type[1])) throw new Error(`family ${type[1]} comes twice`)
      types.set(type[1], type[2])
    }
    if (line.startsWith('#')) continue
    const sample = SAMPLE.exec(line)
    if (sample === null) throw new Error(`no sample: ${line}`)
    const [family] = [...types.keys()].slice(-1)
    if (!sample[1].startsWith(family)) throw new Error(`${sample[1]} stands under ${family}`)
    const labels = parseLabels(sample[2] ?? '')
    const key = sample[1] + JSON.stringify(labels)
    if (seen.has(key)) throw new Error(`sample ${key} comes twice`)
    seen.add(key)
    samples.push({ name: sample[1], labels, value: Number(sample[3].replace('Inf', 'Infinity')) })
  }
  return { samples, types }
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const label = LABEL.exec(text)
    if (label === null) throw new Error(`bad labels: ${text}`)
    labels[label[1]] = label[2].replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
  }
  return labels
}
