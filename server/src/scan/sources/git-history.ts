import type { RawFinding, ScanEvent } from '../finding.ts'
import type { Crew } from '../threads/crew.ts'
import { type HistoryOptions, scanEveryCommit } from './every-commit.ts'
import { isPartialClone, scanPartialHistory } from './partial-history.ts'

export type { HistoryOptions } from './every-commit.ts'

type Options = HistoryOptions & { readonly searchPath: string }

/**
 * Scans the history of the repository at `path`, as far as it lies below `path`. Differences are read where git can make
 * them all. Where contents are missing, each that is there is looked through whole, and a value is told where it first
 * came into its file.
 */
export async function* scanHistory(crew: Crew, path: string, options: Options): AsyncGenerator<ScanEvent> {
  const told = new Set<string>()
  let lacks = await isPartialClone(path, options.searchPath)
  const onLacking = (): void => {
    lacks = true
  }
  let bytesScanned = 0
  for await (const event of lacks ? [] : scanEveryCommit(crew, path, { ...options, onLacking })) {
    if (event.kind === 'finding') told.add(valueIn(event.finding))
    if (event.kind === 'progress') bytesScanned = event.bytesScanned
    yield event
  }
  if (lacks) yield* others(scanPartialHistory(crew, path, options), told, bytesScanned)
}

/** What was not told before, with progress that counts on. */
async function* others(
  events: AsyncIterable<ScanEvent>,
  told: Set<string>,
  bytesBefore: number,
): AsyncGenerator<ScanEvent> {
  for await (const event of events) {
    if (event.kind === 'progress') yield { ...event, bytesScanned: bytesBefore + event.bytesScanned }
    else if (event.kind === 'problem') yield event
    else if (!told.has(valueIn(event.finding))) {
      told.add(valueIn(event.finding))
      yield event
    }
  }
}

const valueIn = ({ fingerprint, place }: RawFinding): string => `${fingerprint} ${place.file}`
