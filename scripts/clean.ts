// Removes what `npm run build` writes, so that a file deleted from lib/ does not live on in dist/.
import { rmSync } from 'node:fs'

rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })
