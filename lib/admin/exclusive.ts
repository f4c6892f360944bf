/** Work that must not run twice at a time, because it slows the whole process down. */
import { AdminError } from './endpoint.ts'

let running: string | null = null

/**
 * Claims the process for `name`. Throws an {@link AdminError} 409 while something else has it; otherwise gives the function
 * that ends the claim, which may be called more than once.
 */
export function claimProcess(name: string): () => void {
  if (running !== null)
    throw new AdminError(409, 'BUSY', `a ${running} is being taken; try again when it is over`)
  running = name
  let isOver = false
  return () => {
    if (!isOver) running = null
    isOver = true
  }
}
