import type { Reader, Tx } from '../store/index.ts'
import type { ByteBudget } from './lend.ts'
import { ancestorsOf, type LeaseRow, leasesById, takeUse } from './lend-store.ts'

/** As it is after a use; without budgets where nothing counts bytes. */
export type TakenRow = LeaseRow & { readonly budgets?: readonly ByteBudget[] }

/** What a lease is a part of, the whole first. A use of the part is one of each of them. */
export async function leasesAbove(reader: Reader, row: LeaseRow | undefined): Promise<LeaseRow[]> {
  const ids = row ? ancestorsOf(row) : []
  if (ids.length === 0) return []
  const rows = await leasesById(reader, ids)
  return ids.toReversed().flatMap((id) => rows.filter((one) => one.id === id))
}

/** Of those that have a limit. */
export const budgetsOf = (rows: readonly LeaseRow[]): ByteBudget[] =>
  rows.flatMap(({ id, bytes_left }) => (bytes_left === null ? [] : [{ leaseId: id, bytesLeft: bytes_left }]))

/** One use of each, the part last, which is what counts for `counted`; undefined when one of them has none left. */
export async function takeChain(
  tx: Tx,
  leases: readonly LeaseRow[],
  at: number,
  counted: number,
): Promise<{ taken: TakenRow; usedUp: LeaseRow[] } | undefined> {
  const rows: LeaseRow[] = []
  for (const lease of leases) {
    const row = await takeUse(tx, lease.id, at, lease === leases.at(-1) ? counted : 1)
    if (!row) return undefined
    rows.push(row)
  }
  const last = rows.at(-1)
  if (!last) return undefined
  return {
    taken: { ...last, budgets: budgetsOf(rows) },
    usedUp: rows.filter(({ state }) => state === 'used_up'),
  }
}
