import { Transform } from 'node:stream'
import { type Budget, noBudgets } from './budgets.ts'
import type { Refusal } from './messages.ts'

/** What one request comes to, as it is recorded when its answer ends. */
export type Tally = {
  outcome: 'allowed' | 'denied' | 'misused' | 'failed'
  reason: string | null
  leaseIds: string[]
  placeholders: number
  bytesOut: number
  bytesIn: number
  redactions: number
  /** What its leases have left, which others count down too; empty where none has a limit. */
  budgets: readonly Budget[]
  /** When the first of the leases of this request ends. */
  expiresAt: Date | undefined
}

export const newTally = (): Tally => ({
  outcome: 'allowed',
  reason: null,
  leaseIds: [],
  placeholders: 0,
  bytesOut: 0,
  bytesIn: 0,
  redactions: 0,
  budgets: noBudgets,
  expiresAt: undefined,
})

export const overBudget: Refusal & { readonly outcome?: never } = {
  code: 'lease.over_budget',
  reason: 'The bytes that the lease was given are spent. Ask for another one.',
}

/** What is left for it; endless without a limit. */
export function leftFor({ budgets }: Tally): number {
  let left = Number.POSITIVE_INFINITY
  for (const budget of budgets) left = Math.min(left, budget.left)
  return left
}

/** Adds what passes in one direction; true while the leases of the request have that much left. */
export function count(tally: Tally, way: 'bytesOut' | 'bytesIn', bytes: number): boolean {
  tally[way] += bytes
  if (tally.budgets.length === 0) return true
  for (const budget of tally.budgets) budget.left -= bytes
  return leftFor(tally) >= 0
}

/** Counts the body of a request and stops it at a limit: of its length, or of what the leases have left. */
export function meter(
  tally: Tally,
  limitBytes: number,
  onStop: (why: 'length' | 'budget') => void,
): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const inBudget = count(tally, 'bytesOut', chunk.length)
      if (inBudget && tally.bytesOut <= limitBytes) return done(null, chunk)
      onStop(inBudget ? 'length' : 'budget')
      done(new Error('too long'))
    },
  })
}
