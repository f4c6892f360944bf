/** What lib/tuning.ts brings: the micro benchmark of HTTP/1 heads with V8's own inlining budget and with ours, in turn. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('http1-head.ts', import.meta.url))
const FLAGS = ['--max-inlined-bytecode-size=1500', '--max-inlined-bytecode-size-cumulative=4000']

for (const round of [1, 2, 3]) {
  for (const [name, flags] of [
    ['default', []],
    ['tuned', FLAGS],
  ] as const) {
    const text = execFileSync(process.execPath, [...flags, script], { encoding: 'utf8' })
    process.stdout.write(`— round ${round}, ${name}\n${text}`)
  }
}
