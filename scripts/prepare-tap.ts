// tap generates its Test class from the list of plugins in .taprc. A fresh install carries the default
// list, whose TypeScript loader does not work with the compiler used here, so the class has to be
// generated anew once. This module does that, and nothing when it has been done.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The tap command, as a file that Node runs. */
export const tapCommand = `${root}node_modules/tap/dist/esm/run.mjs`

/** Generates tap's Test class when the installed one has plugins that .taprc switches off. */
export function prepareTap(): void {
  if (isPrepared()) return
  console.error('tap: first run after an install, building its Test class without the switched-off plugins')
  const { status } = spawnSync(process.execPath, [tapCommand, 'build'], { cwd: root, stdio: 'inherit' })
  if (status !== 0 || !isPrepared()) throw new Error('`tap build` failed: no test can run')
}

/** The generated class names its plugins in a string it exports as `signature`. */
function isPrepared(): boolean {
  const generated = `${root}node_modules/@tapjs/test/test-built/dist/esm/index.js`
  const signature = /^export const signature = `([^`]*)`/m.exec(readFileSync(generated, 'utf8'))?.[1] ?? ''
  const plugins = signature.split('\n')
  return plugins.length > 1 && switchedOffPlugins().every((plugin) => !plugins.includes(plugin))
}

function switchedOffPlugins(): string[] {
  const taprc = readFileSync(`${root}.taprc`, 'utf8')
  return [...taprc.matchAll(/^\s*-\s*["']!([^"']+)["']/gm)].map((match) => match[1])
}

if (import.meta.main) prepareTap()
