/** `npm start`: a gateway, and behind it a small business process in a process of its own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

enableCompileCache()

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const env = process.env

/** As in meshgate.yaml; each can be moved by its variable. */
const PORTS = { ADMIN_PORT: '15000', HTTP_PORT: '15001', MMTP_PORT: '15002', BUSINESS_PORT: '18080' } as const
const port = (name: keyof typeof PORTS): string => env[name] || PORTS[name]

const { file, remove } = configuration()
let isServing = false
const business = fork(here('business.ts'), { env: { ...env, BUSINESS_PORT: port('BUSINESS_PORT') } })
await readyOrExit(business)

const { run } = await import('../../lib/cli/run.ts')
const code = await run({
  config: file,
  onReady: () => {
    isServing = true
    process.stdout.write(welcome())
  },
})
if (isServing) process.stdout.write('stopped\n')
else process.stderr.write(`Another port can be chosen with ${Object.keys(PORTS).join(', ')}.\n`)
isServing = false
if (business.connected) business.disconnect()
remove()
process.exitCode = code

/** The file itself while its ports serve, else a copy with the others. */
function configuration(): { file: string; remove(): void } {
  const original = here('meshgate.yaml')
  const moved = (Object.keys(PORTS) as (keyof typeof PORTS)[]).filter((name) => port(name) !== PORTS[name])
  if (moved.length === 0) return { file: original, remove: () => undefined }
  let text = readFileSync(original, 'utf8')
  for (const name of moved) text = text.replaceAll(`127.0.0.1:${PORTS[name]}`, `127.0.0.1:${port(name)}`)
  const folder = mkdtempSync(path.join(tmpdir(), 'meshgate-quickstart-'))
  const file = path.join(folder, 'meshgate.yaml')
  writeFileSync(file, text)
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

function welcome(): string {
  const [http, mmtp, admin] = [port('HTTP_PORT'), port('MMTP_PORT'), port('ADMIN_PORT')]
  return `
  HTTP   http://127.0.0.1:${http}   → business process on 127.0.0.1:${port('BUSINESS_PORT')}
  Mmtp   127.0.0.1:${mmtp}          → the same
  Admin  http://127.0.0.1:${admin}   a page with everything that happens here

Try, in a second terminal:
  curl -i http://127.0.0.1:${http}/anything
  npm run -s meshgate -- mmtp call 127.0.0.1:${mmtp} demo.order.create --data '{"item":"tea"}'

Then change ${shown(file)} and save it: it serves at once. Ctrl-C stops everything.
`
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file)
  return relative.startsWith('..') ? file : relative
}

/** Resolves when the child says that it is ready; ends this process when it cannot start. */
async function readyOrExit(child: ChildProcess): Promise<void> {
  const ended = new AbortController()
  child.on('exit', () => {
    if (isServing)
      process.stderr.write('The business process ended; until it is back meshgate answers 503.\n')
    ended.abort()
  })
  try {
    await once(child, 'message', { signal: ended.signal })
  } catch {
    remove()
    process.exit(1)
  }
}
