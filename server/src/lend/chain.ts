import type { Tx } from '../store/index.ts'
import { ancestorsOf, type LeaseRow, leasesById, takeUse } from './lend-store.ts'

/** What a lease is a part of, the whole first. A use of the part is one of each of them. */
export async function leasesAbove(tx: Tx, row: LeaseRow | undefined): Promise<LeaseRow[]> {
  const ids = row ? ancestorsOf(row) : []
  if (ids.length === 0) return []
  const rows = await leasesById(tx, ids)
  return ids.toReversed().flatMap((id) => rows.filter((one) => one.id === id))
}

/**
 * One use of each, the part last, which is what counts for `counted`; undefined when one of them has none left. What the part may still take
 * is what all of them have.
 */
export async function takeChain(
  tx: Tx,
  leases: readonly LeaseRow[],
  at: number,
  counted: number,
): Promise<{ taken: LeaseRow; usedUp: LeaseRow[] } | undefined> {
  const rows: LeaseRow[] = []
  for (const lease of leases) {
    const row = await takeUse(tx, lease.id, at, lease === leases.at(-1) ? counted : 1)
    if (!row) return undefined
    rows.push(row)
  }
  const last = rows.at(-1)
  if (!last) return undefined
  const bytes = rows.flatMap(({ bytes_left }) => (bytes_left === null ? [] : [bytes_left]))
  return {
    taken: { ...last, bytes_left: bytes.length === 0 ? null : Math.min(...bytes) },
    usedUp: rows.filter(({ state }) => state === 'used_up'),
  }
}
