import type { ScanEvent } from '../finding.ts'
import type { Crew } from '../threads/crew.ts'
import { type HistoryOptions, scanEveryCommit } from './every-commit.ts'
import { isPartialClone, scanPartialHistory } from './partial-history.ts'

export type { HistoryOptions } from './every-commit.ts'

/** Scans the history of the repository at `path`, as far as it lies below `path`. */
export async function* scanHistory(
  crew: Crew,
  path: string,
  options: HistoryOptions & { searchPath: string },
): AsyncGenerator<ScanEvent> {
  const partial = await isPartialClone(path, options.searchPath)
  yield* partial ? scanPartialHistory(crew, path, options) : scanEveryCommit(crew, path, options)
}
