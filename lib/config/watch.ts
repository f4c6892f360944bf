/** Watches a configuration file for changes. */
import { type FSWatcher, watch } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { checksumOf } from './load.ts'

/** A running watch. */
export interface ConfigWatch {
  /** Stops it; `onChange` is not called any more and no timer is left. */
  close(): void
}

/** How a watch behaves. */
export interface WatchOptions {
  /** Checksum of the text that is known; the file's own at the start when absent. */
  readonly checksum?: string
  /** Quiet time after the last event before the file is read. */
  readonly debounceMs?: number
  /** How often the file is read where the system cannot watch folders. */
  readonly pollMs?: number
}

/**
 * Calls `onChange` whenever the file's text has changed, never two calls at once. It watches folders, not the file,
 * and compares checksums: so it survives editors that save by renaming, and the symbolic links that
 * Kubernetes exchanges behind a mounted ConfigMap. A file that is missing for a while counts as unchanged.
 */
export function watchConfig(
  file: string,
  onChange: () => void | Promise<void>,
  options: WatchOptions = {},
): ConfigWatch {
  return new FileWatch(resolve(file), onChange, options)
}

class FileWatch implements ConfigWatch {
  readonly #file: string
  readonly #onChange: () => void | Promise<void>
  readonly #debounceMs: number
  readonly #pollMs: number
  readonly #watchers = new Map<string, FSWatcher>()
  #checksum: string | null
  #debounce: NodeJS.Timeout | null = null
  #poll: NodeJS.Timeout | null = null
  #isChecking = false
  #isStale = false
  #isClosed = false

  constructor(file: string, onChange: () => void | Promise<void>, options: WatchOptions) {
    this.#file = file
    this.#onChange = onChange
    this.#checksum = options.checksum ?? null
    this.#debounceMs = options.debounceMs ?? 100
    this.#pollMs = options.pollMs ?? 2000
    this.#watchFolder(dirname(file))
    void this.#check()
  }

  close(): void {
    this.#isClosed = true
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
    if (this.#debounce !== null) clearTimeout(this.#debounce)
    if (this.#poll !== null) clearInterval(this.#poll)
  }

  #watchFolder(folder: string): void {
    if (this.#isClosed || this.#watchers.has(folder)) return
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#schedule())
      watcher.on('error', () => this.#lose(folder, watcher))
      this.#watchers.set(folder, watcher)
    } catch {
      this.#startPolling()
    }
  }

  #lose(folder: string, watcher: FSWatcher): void {
    watcher.close()
    this.#watchers.delete(folder)
    this.#startPolling()
  }

  /** For when the system has no more watches to give, or the folder went away. */
  #startPolling(): void {
    if (this.#isClosed || this.#poll !== null) return
    this.#poll = setInterval(() => void this.#check(), this.#pollMs)
    this.#poll.unref()
  }

  #schedule(): void {
    if (this.#isClosed) return
    if (this.#debounce !== null) clearTimeout(this.#debounce)
    this.#debounce = setTimeout(() => void this.#check(), this.#debounceMs)
    this.#debounce.unref()
  }

  async #check(): Promise<void> {
    this.#isStale = true
    if (this.#isChecking) return
    this.#isChecking = true
    while (this.#isStale && !this.#isClosed) {
      this.#isStale = false
      await this.#compare()
    }
    this.#isChecking = false
  }

  async #compare(): Promise<void> {
    const checksum = await this.#read()
    if (checksum === null || checksum === this.#checksum || this.#isClosed) return
    const isFirst = this.#checksum === null
    this.#checksum = checksum
    if (!isFirst) await this.#onChange()
  }

  /** The file's checksum, null while it cannot be read. Also follows a link to where the file lies now. */
  async #read(): Promise<string | null> {
    try {
      const target = dirname(await realpath(this.#file))
      this.#forgetFolders(target)
      this.#watchFolder(target)
      return checksumOf(await readFile(this.#file, 'utf8'))
    } catch {
      return null
    }
  }

  /** Closes watches on folders that a link pointed into before. */
  #forgetFolders(target: string): void {
    for (const [folder, watcher] of this.#watchers) {
      if (folder === target || folder === dirname(this.#file)) continue
      watcher.close()
      this.#watchers.delete(folder)
    }
  }
}
