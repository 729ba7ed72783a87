import { basename, join, resolve } from 'node:path'
import { AppError } from '../../core/index.ts'
import type { ScanEvent } from '../finding.ts'
import { type ContentsOptions, movedTo } from './contents.ts'

/** A place to scan, and the name that its findings are told by. */
export type Listed = { readonly path: string; readonly name: string }

type Needs = {
  directory(path: string, options: ContentsOptions & { ignoreFiles: boolean }): AsyncIterable<ScanEvent>
}

type Done = { filesScanned: number; bytesScanned: number }

/** Files, or folders, that somebody named one by one. What is named is scanned, whatever ignore files say. */
export async function* scanListed(
  { directory }: Needs,
  listed: readonly Listed[],
  options: ContentsOptions = {},
): AsyncGenerator<ScanEvent> {
  const done: Done = { filesScanned: 0, bytesScanned: 0 }
  for (const { path, name } of listed) {
    options.signal?.throwIfAborted()
    let last: Done = { filesScanned: 0, bytesScanned: 0 }
    try {
      for await (const event of directory(path, { ...options, ignoreFiles: false })) {
        if (event.kind === 'progress') last = event
        else yield renamed(event, basename(path), name)
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      yield { kind: 'problem', file: name, reason: error.detail ?? error.message }
    }
    done.filesScanned += last.filesScanned
    done.bytesScanned += last.bytesScanned
    yield { kind: 'progress', ...done, filesTotal: null, commitsScanned: 0 }
  }
}

type Told = Exclude<ScanEvent, { kind: 'progress' }>

/** What lies in a single file is told by the file's base name, and what lies in a folder relative to the folder. */
function renamed(event: Told, base: string, name: string): ScanEvent {
  const file = event.kind === 'finding' ? event.finding.place.file : event.file
  const now = file.startsWith(base) ? `${name}${file.slice(base.length)}` : join(name, file)
  if (event.kind === 'problem') return { ...event, file: now }
  return { kind: 'finding', finding: movedTo(event.finding, { file: now }) }
}

/** One name a line, or separated by NUL as `git ls-files -z` and `find -print0` write them. */
export function namesIn(text: string, folder: string): Listed[] {
  return text
    .split(text.includes('\0') ? '\0' : /\r?\n/)
    .filter((name) => name !== '')
    .map((name) => ({ name, path: resolve(folder, name) }))
}
