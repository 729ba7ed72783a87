import { type FSWatcher, watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createIgnoreChain } from './ignore-files.ts'
import { skippedFolders } from './walk.ts'

/** A program writes a file in several steps: this long it must be quiet. */
const quietMilliseconds = 150

export type ChangedFiles = {
  /** Those that a scan of the folder would look at. */
  readonly present: readonly string[]
  /** Files and folders that are not there any more. */
  readonly gone: readonly string[]
}

/** What changes below `root`, in batches, until `signal`. */
export async function* watchFolder(root: string, signal: AbortSignal): AsyncGenerator<ChangedFiles> {
  const changed = new Set<string>()
  let wake = (): void => {}
  const watcher: FSWatcher = watch(root, { recursive: true }, (_, name) => {
    if (name === null) return
    changed.add(name)
    wake()
  })
  // A folder that goes away while it is watched is a change like any other.
  watcher.on('error', () => {})
  signal.addEventListener('abort', () => wake(), { once: true })
  try {
    while (!signal.aborted) {
      if (changed.size === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      await pause(quietMilliseconds)
      const names = [...changed]
      changed.clear()
      const states = await Promise.all(names.map((name) => stateOf(root, name)))
      const inState = (state: State): string[] => names.filter((_, i) => states[i] === state).sort()
      const batch = { present: inState('present'), gone: inState('gone') }
      if (batch.present.length + batch.gone.length > 0 && !signal.aborted) yield batch
    }
  } finally {
    watcher.close()
  }
}

type State = 'present' | 'gone' | 'passed over'

async function stateOf(root: string, name: string): Promise<State> {
  const there = await stat(join(root, name)).catch(() => undefined)
  if (!there) return 'gone'
  return there.isFile() && (await looksAt(root, name)) ? 'present' : 'passed over'
}

async function looksAt(root: string, name: string): Promise<boolean> {
  const parts = name.split('/')
  if (parts.some((part) => skippedFolders.includes(part))) return false
  let chain = await createIgnoreChain(root)
  for (let depth = 0; depth < parts.length; depth++) {
    const folder = parts.slice(0, depth).join('/')
    if (folder !== '' && chain.ignores(folder, true)) return false
    const names = await readdir(join(root, folder)).catch(() => [])
    chain = await chain.descend(folder, new Set(names))
  }
  return !chain.ignores(name, false)
}
