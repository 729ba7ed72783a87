import ignore, { type Ignore } from 'ignore'
import type { RawFinding } from '../finding.ts'

/** What somebody decided not to be told. Each of fingerprint, rule and path that is given must fit. */
export type IgnoreEntry = {
  readonly fingerprint?: string | undefined
  readonly rule?: string | undefined
  /** As a line of `.gitignore`. */
  readonly path?: string | undefined
  readonly reason: string
  /** The last day on which it holds, as `2027-01-31`. */
  readonly until?: string | undefined
  /** The line of the settings where it stands. */
  readonly line: number
}

type Judged = Pick<RawFinding, 'fingerprint' | 'rule'> & { readonly place: { readonly file: string } }

export type IgnoreList = {
  /** The entry that hides a finding, if one does today. */
  entryFor(finding: Judged): IgnoreEntry | undefined
  /** Those whose last day has gone by. */
  readonly expired: readonly IgnoreEntry[]
}

export function createIgnoreList(entries: readonly IgnoreEntry[], today: string): IgnoreList {
  const expired = entries.filter(({ until }) => until !== undefined && until < today)
  const standing = entries
    .filter((entry) => !expired.includes(entry))
    .map((entry) => ({ entry, paths: entry.path === undefined ? undefined : pathsOf(entry.path) }))
  return {
    expired,
    entryFor({ fingerprint, rule, place }) {
      const found = standing.find(
        ({ entry, paths }) =>
          (entry.fingerprint === undefined || entry.fingerprint === fingerprint) &&
          (entry.rule === undefined || entry.rule === rule) &&
          (paths === undefined || covers(paths, place.file)),
      )
      return found?.entry
    },
  }
}

const pathsOf = (pattern: string): Ignore =>
  ignore({ ignorecase: false, allowRelativePaths: true }).add(pattern)

function covers(paths: Ignore, file: string): boolean {
  return file !== '' && paths.ignores(file)
}
