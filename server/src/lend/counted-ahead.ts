import type { Store, Tx } from '../store/index.ts'
import { changeUses, type LeaseRow } from './lend-store.ts'

/**
 * Uses that are counted before they are made: one transaction counts many for a lease that is used often, and each of them needs only its
 * entry then. What was counted and not made when the process ends stays counted.
 */
export type CountedAhead = {
  /** The number of a use that is counted already; undefined when there is none. */
  take(leaseId: string): number | undefined
  /** Resolves when the counting that is under way has ended; undefined when there is none. */
  underway(leaseId: string): Promise<unknown> | undefined
  /** Has `work` count so many uses, the first of which is its own; it returns the row as it is then, or what was refused. */
  count<T>(leaseId: string, work: (uses: Uses) => Promise<LeaseRow | T>): Promise<LeaseRow | T>
  /** How many are counted and not made. */
  unmade(leaseId: string): number
  /** Takes back what is counted and not made of leases that have ended; returns their rows as they are then. */
  giveBack(tx: Tx, rows: readonly LeaseRow[]): Promise<LeaseRow[]>
  /** The same for all leases, before a stop. */
  settle(store: Pick<Store, 'write'>): Promise<void>
}

/** To be counted, and of those that were counted before, how many were not made. */
export type Uses = { readonly counted: number; readonly unmade: number }

/** Numbers from `next` to `last` are left. */
type Block = { next: number; readonly last: number; readonly size: number; readonly at: number }

const largestBlock = 1024
/** What is left of a block then is given back, so that the row says when the lease was last used, and how often. */
const freshMs = 5000

export const oneUse: Uses = { counted: 1, unmade: 0 }

/** Without a limit that a use could exceed, and no part of a lease that might have one. */
export const isUncapped = ({ uses_left, uses_per_minute, bytes_left, ancestors }: LeaseRow): boolean =>
  uses_left === null && uses_per_minute === null && bytes_left === null && ancestors === null

export function createCountedAhead(now: () => Date): CountedAhead {
  const blocks = new Map<string, Block>()
  const counting = new Map<string, Promise<unknown>>()

  const isFresh = ({ at }: Block): boolean => Math.abs(now().getTime() - at) < freshMs
  const leftOf = (block: Block | undefined): number => (block ? block.last - block.next + 1 : 0)

  /** From here on nobody takes them, whatever becomes of the transaction that gives them back. */
  function takeAll(leaseId: string): number {
    const left = leftOf(blocks.get(leaseId))
    blocks.delete(leaseId)
    return left
  }

  return {
    take(leaseId) {
      const block = blocks.get(leaseId)
      return block && leftOf(block) > 0 && isFresh(block) ? block.next++ : undefined
    },
    underway: (leaseId) => counting.get(leaseId),
    async count(leaseId, work) {
      const before = blocks.get(leaseId)
      const size = before && isFresh(before) ? Math.min(before.size * 2, largestBlock) : 1
      const working = work({ counted: size, unmade: takeAll(leaseId) })
      const over = working.then(
        () => counting.delete(leaseId),
        () => counting.delete(leaseId),
      )
      counting.set(leaseId, over)
      const answer = await working
      if (isRow(answer))
        blocks.set(leaseId, {
          next: answer.uses - size + 2,
          last: answer.uses,
          size,
          at: now().getTime(),
        })
      return answer
    },
    unmade: (leaseId) => leftOf(blocks.get(leaseId)),
    async giveBack(tx, rows) {
      const given: LeaseRow[] = []
      for (const row of rows) {
        const unmade = takeAll(row.id)
        if (unmade > 0) await changeUses(tx, row.id, -unmade)
        given.push(unmade > 0 ? { ...row, uses: row.uses - unmade } : row)
      }
      return given
    },
    async settle(store) {
      const left = [...blocks.keys()].map((id) => ({ id, unmade: takeAll(id) }))
      const unmade = left.filter((each) => each.unmade > 0)
      if (unmade.length === 0) return
      await store.write(async (tx) => {
        for (const each of unmade) await changeUses(tx, each.id, -each.unmade)
      })
    },
  }
}

const isRow = (answer: unknown): answer is LeaseRow =>
  typeof answer === 'object' && answer !== null && 'placeholder_hash' in answer
