import type { FindingPlace } from '@keyward/contract'
import type { Place } from '../scan/index.ts'
import { type Reader, sql, sqlList, type Tx } from '../store/index.ts'

export type PlaceRow = {
  readonly finding_id: string
  readonly file: string
  readonly line: number
  readonly end_line: number
  readonly col: number
  readonly wrapping: Place['wrapping']
  readonly commit_id: string | null
  readonly author: string | null
  readonly committed_at: number | null
  readonly first_seen_at: number
  /** When it was last found, and since when it is not; null while it stands. */
  readonly last_seen_at: number | null
  readonly gone_at: number | null
}

/** As many as a statement names at once. */
const chunkOf = 500

export async function inChunks<T, R>(items: readonly T[], work: (chunk: readonly T[]) => Promise<R[]>) {
  const results: R[] = []
  for (let at = 0; at < items.length; at += chunkOf)
    results.push(...(await work(items.slice(at, at + chunkOf))))
  return results
}

/** Where the findings stand now: files first. */
export const placesOf = (reader: Reader, ids: readonly string[]): Promise<PlaceRow[]> =>
  inChunks(ids, (chunk) =>
    reader.all<PlaceRow>(
      sql`select * from finding_places where finding_id in (${sqlList(chunk)}) and gone_at is null
        order by finding_id, commit_id is not null, file, line`,
    ),
  )

/** Up to `most` places of each: those that stand first, then those where it once stood. */
export const firstPlacesOf = (reader: Reader, ids: readonly string[], most: number): Promise<PlaceRow[]> =>
  inChunks(ids, (chunk) =>
    reader.all<PlaceRow>(
      sql`select * from (select p.*, row_number() over (partition by finding_id
          order by gone_at is not null, commit_id is not null, file, line) as rank
        from finding_places p where finding_id in (${sqlList(chunk)})) ranked
        where rank <= ${most} order by finding_id, rank`,
    ),
  )

/** Every place of these findings, also those where they once stood. */
export async function allPlacesOf(reader: Reader, ids: readonly string[]): Promise<Map<string, PlaceRow[]>> {
  const rows = await inChunks(ids, (chunk) =>
    reader.all<PlaceRow>(sql`select * from finding_places where finding_id in (${sqlList(chunk)})`),
  )
  return Map.groupBy(rows, (row) => row.finding_id)
}

export async function replacePlaces(tx: Tx, findingId: string, places: readonly PlaceRow[]): Promise<void> {
  await tx.run(sql`delete from finding_places where finding_id = ${findingId}`)
  for (const row of places)
    await tx.run(sql`insert into finding_places (finding_id, file, line, end_line, col, wrapping, commit_id, author, committed_at,
        first_seen_at, last_seen_at, gone_at)
      values (${findingId}, ${row.file}, ${row.line}, ${row.end_line}, ${row.col}, ${row.wrapping}, ${row.commit_id}, ${row.author},
        ${row.committed_at}, ${row.first_seen_at}, ${row.last_seen_at}, ${row.gone_at})`)
  const standing = places.filter((row) => row.gone_at === null).length
  await tx.run(sql`update findings set place_count = ${standing} where id = ${findingId}`)
}

const iso = (milliseconds: number | null): string | null =>
  milliseconds === null ? null : new Date(milliseconds).toISOString()

export const placeViewOf = (place: PlaceRow, seenAt: number): FindingPlace => ({
  file: place.file,
  line: place.line,
  endLine: place.end_line,
  column: place.col,
  commit: place.commit_id,
  author: place.author,
  committedAt: iso(place.committed_at),
  firstSeenAt: new Date(place.first_seen_at).toISOString(),
  lastSeenAt: new Date(place.last_seen_at ?? seenAt).toISOString(),
  goneAt: iso(place.gone_at),
})
