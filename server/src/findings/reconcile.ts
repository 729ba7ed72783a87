import type { GroupedFinding, Place } from '../scan/index.ts'
import type { FindingRow } from './findings-store.ts'
import type { PlaceRow } from './places-store.ts'

/** What a scan has looked at: only there can it say that something is gone. */
export type Scope = {
  /** Whether the scan has looked at this file of the work tree, and could read it. */
  readonly sees: (file: string) => boolean
  /** `new`: of the history only what had not been seen before. */
  readonly history: 'all' | 'new' | 'none'
}

export type Known = { readonly row: FindingRow; readonly places: readonly PlaceRow[] }

export type Change = {
  readonly finding: FindingRow
  /** The places from now on; absent when they stay as they are. */
  readonly places: readonly PlaceRow[] | undefined
  readonly becomes: 'open' | 'fixed' | undefined
}

/**
 * What a scan changes about a value that is known. Places that were looked at and do not hold it any more are gone. A value that
 * no file holds is fixed, also when the history still does: there it cannot be taken away. One that only the history ever held is
 * fixed when the history does not hold it either. In a file again, it is open again.
 */
export function changeOf(
  { row, places }: Known,
  group: GroupedFinding | undefined,
  scope: Scope,
  now: number,
): Change {
  const fresh = group?.places ?? []
  const merged = mergePlaces({ row, places }, fresh, scope, now)
  const stand = merged.filter(({ gone_at }) => gone_at === null)
  return {
    finding: row,
    places: sameSites(places, merged) ? undefined : merged,
    becomes: becomes({ row, places }, fresh, stand),
  }
}

const inFile = ({ commit_id }: PlaceRow): boolean => commit_id === null

function becomes(
  { row, places }: Known,
  fresh: readonly Place[],
  stand: readonly PlaceRow[],
): Change['becomes'] {
  const foundInFile = fresh.some(({ commit }) => commit === null)
  const onlyInHistory = !places.some(inFile)
  switch (row.state) {
    case 'imported':
    case 'restored':
      if (foundInFile) return 'open'
      return row.state === 'restored' && !stand.some(inFile) && places.length > 0 ? 'fixed' : undefined
    case 'fixed':
      return foundInFile || (onlyInHistory && fresh.length > 0) ? 'open' : undefined
    case 'open': {
      const leftTheFiles = !onlyInHistory && !stand.some(inFile)
      return leftTheFiles || (stand.length === 0 && places.length > 0) ? 'fixed' : undefined
    }
    case 'importing':
    case 'ignored':
      return undefined
  }
}

/** A place is recognised by its file and commit, and by its turn among the places there: lines move. */
function mergePlaces({ row, places }: Known, fresh: readonly Place[], scope: Scope, now: number): PlaceRow[] {
  const before = Map.groupBy(places.toSorted(byPosition), siteOf)
  const found = fresh.map((place) => rowOf(row.id, place, now)).toSorted(byPosition)
  const after = [...Map.groupBy(found, siteOf)].flatMap(([site, rows]) => {
    const known = before.get(site) ?? []
    return rows.map((place, i) => ({ ...place, first_seen_at: known[i]?.first_seen_at ?? now }))
  })
  const sites = new Set(after.map(siteOf))
  // A run has taken the value out of the files itself, and may put it back.
  const keepsFiles = row.state === 'imported' || row.state === 'importing'
  for (const place of places) {
    if (sites.has(siteOf(place))) continue
    const looked = inFile(place) ? !keepsFiles && scope.sees(place.file) : scope.history === 'all'
    after.push(
      looked && place.gone_at === null ? { ...place, last_seen_at: row.last_seen_at, gone_at: now } : place,
    )
  }
  return after
}

const siteOf = ({ commit_id, file }: PlaceRow): string => `${commit_id ?? ''}\0${file}`

const byPosition = (a: PlaceRow, b: PlaceRow): number => a.line - b.line || a.col - b.col

export const rowOf = (findingId: string, place: Place, now: number): PlaceRow => ({
  finding_id: findingId,
  file: place.file,
  line: place.line,
  end_line: place.endLine,
  col: place.column,
  wrapping: place.wrapping,
  commit_id: place.commit,
  author: place.author,
  committed_at: place.committedAt?.getTime() ?? null,
  first_seen_at: now,
  last_seen_at: null,
  gone_at: null,
})

const keyOf = (place: PlaceRow): string =>
  [siteOf(place), place.line, place.end_line, place.col, place.wrapping, place.gone_at].join('\0')

function sameSites(before: readonly PlaceRow[], after: readonly PlaceRow[]): boolean {
  if (before.length !== after.length) return false
  const known = new Set(before.map(keyOf))
  return after.every((place) => known.has(keyOf(place)))
}
