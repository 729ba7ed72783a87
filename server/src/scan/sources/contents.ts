import type { RawFinding, ScanEvent } from '../finding.ts'

/** Every value in the contents of one file. */
export type LookThrough = (
  bytes: Buffer,
  file: string,
) => readonly RawFinding[] | Promise<readonly RawFinding[]>

export type ContentsOptions = {
  /** Fingerprints that are known and not to be reported again. */
  readonly baseline?: ReadonlySet<string>
  readonly signal?: AbortSignal
}

/** Counts what a source has gone through. */
export function createTally(filesTotal: number | null) {
  const done = { filesScanned: 0, bytesScanned: 0 }
  return {
    add(bytes: number) {
      done.filesScanned++
      done.bytesScanned += bytes
    },
    event: (): ScanEvent => ({ kind: 'progress', ...done, filesTotal, commitsScanned: 0 }),
  }
}

export const isNew = (finding: RawFinding, { baseline }: ContentsOptions): boolean =>
  !baseline?.has(finding.fingerprint)

/** The same finding, told at another place. */
export const movedTo = (finding: RawFinding, place: Partial<RawFinding['place']>): RawFinding => ({
  ...finding,
  place: { ...finding.place, ...place },
})
