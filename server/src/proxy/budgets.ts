import type { ByteBudget } from './messages.ts'

/** What one lease has left now; everything that uses the lease counts it down. */
export type Budget = {
  readonly leaseId: string
  left: number
  /** How many requests and connections use it at this moment. */
  users: number
}

/** A request or a connection, and what passed of it so far. */
type Spender = { budgets: readonly Budget[]; readonly bytesOut: number; readonly bytesIn: number }

/** What leases with a limit have left, for all sandboxes: agents that share a lease, or have parts of one, share its bytes. */
export type Budgets = {
  /** It uses these leases from now on: as the server knows them, which knows nothing of what is under way. */
  join(spender: Spender, known: readonly ByteBudget[]): void
  /** It is over, and nothing more of it is counted. */
  leave(spender: Spender): void
}

/**
 * Budgets that nobody uses now and that are remembered all the same: what the server tells may be from before it heard of the last bytes.
 */
const remembered = 1000

/** Of what uses no lease with a limit: most. */
export const noBudgets: readonly Budget[] = []

export function createBudgets(): Budgets {
  const used = new Map<string, Budget>()
  /** Those that were used last stand last. */
  const idle = new Map<string, Budget>()

  const enter = ({ leaseId, bytesLeft }: ByteBudget): Budget => {
    const budget = used.get(leaseId) ?? idle.get(leaseId) ?? { leaseId, left: bytesLeft, users: 0 }
    // What was counted here is never less than what the server has heard of.
    budget.left = Math.min(budget.left, bytesLeft)
    idle.delete(leaseId)
    used.set(leaseId, budget)
    budget.users++
    return budget
  }

  return {
    join(spender, known) {
      for (const each of known) {
        if (spender.budgets.some(({ leaseId }) => leaseId === each.leaseId)) continue
        const budget = enter(each)
        // The whole of a request is taken off each of its leases, also what passed before it used the lease.
        budget.left -= spender.bytesOut + spender.bytesIn
        spender.budgets = [...spender.budgets, budget]
      }
    },
    leave(spender) {
      const { budgets } = spender
      spender.budgets = noBudgets
      for (const budget of budgets) {
        if (--budget.users > 0) continue
        used.delete(budget.leaseId)
        idle.set(budget.leaseId, budget)
        if (idle.size > remembered) idle.delete(idle.keys().next().value ?? '')
      }
    },
  }
}
