/** `npm start`: the quickstart's business process and the gateway in front of it, each in its own process. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const configFile = here('meshgate.yaml')

const business = fork(here('business.ts'))
await readyOrExit(business)
const gateway = fork(here('../../lib/main.ts'), ['run', '-c', configFile], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })

let isStopping = false
gateway.stdout?.setEncoding('utf8')
gateway.stdout?.on('data', (text: string) => {
  process.stdout.write(text)
  if (text.includes('meshgate ready')) process.stdout.write(WELCOME)
})
gateway.on('exit', code => {
  business.disconnect()
  process.exitCode = code ?? 1
})
business.on('exit', () => {
  if (!isStopping) process.stderr.write('the business process ended; meshgate answers 503 for it\n')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    isStopping = true
    gateway.kill('SIGTERM')
  })
}

const WELCOME = `
  HTTP   http://127.0.0.1:15001   → business process on 127.0.0.1:18080
  Mmtp   127.0.0.1:15002          → the same
  Admin  http://127.0.0.1:15000   (open it in a browser)

Try:
  curl -i http://127.0.0.1:15001/anything
  npm run -s meshgate -- mmtp call 127.0.0.1:15002 demo.order.create --data '{"item":"tea"}'

Configuration: examples/quickstart/meshgate.yaml (saved changes serve at once). Stop with Ctrl-C.
`

/** Resolves when the child says that it is ready; ends this process when it cannot start. */
async function readyOrExit(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit').then(() => process.exit(1))
  await Promise.race([once(child, 'message'), ended])
}
