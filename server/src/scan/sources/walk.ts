import type { Dirent } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { reasonOf } from '../../core/index.ts'
import { createIgnoreChain, type IgnoreChain } from './ignore-files.ts'

/** Folders whose contents belong to other people or to version control itself. */
export const skippedFolders: readonly string[] = [
  '.git',
  '.hg',
  '.svn',
  'node_modules',
  'bower_components',
  '.venv',
  '__pycache__',
]

/** Of `.git` only this is looked at: remotes with a password in their address are written there. */
const gitFiles = ['config']

export type Walked = { kind: 'file'; path: string } | { kind: 'problem'; file: string; reason: string }

/** What a folder holds. At once where a thread has nothing else to do: that costs a third of what a promise does. */
export type ListFolder = (path: string) => Dirent[] | Promise<Dirent[]>

export type WalkOptions = {
  readonly list: ListFolder
  readonly ignoreFiles: boolean
  readonly skipFolders: ReadonlySet<string>
  readonly signal: AbortSignal | undefined
}

const never: IgnoreChain = {
  async descend() {
    return this
  },
  ignores: () => false,
}

type Folder = { path: string; chain: IgnoreChain }

/** After so many folders others have a turn. */
const foldersInTurn = 256

/**
 * Every file below `root`, by name, depth first, a folder at a time. A symbolic link is not followed: what it leads to inside the root is met
 * at its own place, and what lies outside is reported, so that nothing is silently left out and no loop can arise.
 */
export async function* walk(root: string, options: WalkOptions): AsyncGenerator<readonly Walked[]> {
  const stack: Folder[] = [{ path: '', chain: options.ignoreFiles ? await createIgnoreChain(root) : never }]
  let listed = 0
  for (let folder = stack.pop(); folder; folder = stack.pop()) {
    if (++listed % foldersInTurn === 0) await setImmediate()
    options.signal?.throwIfAborted()
    const { path } = folder
    let entries: Dirent[]
    try {
      entries = await options.list(join(root, path))
    } catch (error) {
      yield [{ kind: 'problem', file: path === '' ? '.' : path, reason: reasonWithout(root, error) }]
      continue
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    const chain = await folder.chain.descend(path, new Set(entries.map((entry) => entry.name)))
    yield await walkedIn(root, { path, chain }, entries)
    stack.push(...foldersIn({ path, chain }, entries, options).reverse())
  }
}

const pathIn = (folder: Folder, entry: Dirent): string =>
  folder.path === '' ? entry.name : `${folder.path}/${entry.name}`

function foldersIn(folder: Folder, entries: readonly Dirent[], options: WalkOptions): Folder[] {
  return entries
    .filter((entry) => entry.isDirectory() && !options.skipFolders.has(entry.name))
    .map((entry) => ({ path: pathIn(folder, entry), chain: folder.chain }))
    .filter(({ path, chain }) => !chain.ignores(path, true))
}

async function walkedIn(root: string, folder: Folder, entries: readonly Dirent[]): Promise<Walked[]> {
  const walked: Walked[] = []
  for (const entry of entries) {
    const path = pathIn(folder, entry)
    if (entry.isDirectory()) {
      if (entry.name === '.git') walked.push(...(await gitFilesIn(root, path)))
    } else if (!folder.chain.ignores(path, false)) {
      if (entry.isFile()) walked.push({ kind: 'file', path })
      else if (entry.isSymbolicLink()) walked.push(...(await outwardLink(root, path)))
    }
  }
  return walked
}

async function gitFilesIn(root: string, path: string): Promise<Walked[]> {
  const names = new Set(await readdir(join(root, path)).catch(() => []))
  return gitFiles.filter((name) => names.has(name)).map((name) => ({ kind: 'file', path: `${path}/${name}` }))
}

async function outwardLink(root: string, path: string): Promise<Walked[]> {
  let target: string
  try {
    target = await realpath(join(root, path))
  } catch {
    // A dangling link or a loop of links holds nothing.
    return []
  }
  const reason = 'a symbolic link that leads out of the scanned folder; not followed'
  return relative(root, target).startsWith('..') ? [{ kind: 'problem', file: path, reason }] : []
}

/** Node's words for a failed system call, without the absolute path. */
export function reasonWithout(root: string, error: unknown): string {
  return reasonOf(error)
    .replaceAll(`${root}/`, '')
    .replaceAll(root, '.')
    .replace(/^([A-Z]+): (.*?), .*$/, '$2 ($1)')
}
