import type { Audit } from '../../audit/index.ts'
import { AppError, actorOf, type Clock } from '../../core/index.ts'
import type { Tx } from '../../store/index.ts'
import type { Call } from '../engine.ts'
import type { Mounts } from '../mounts.ts'
import type { LeaseBook, StoredLease } from './lease-book.ts'
import { prolongLease } from './lease-store.ts'
import { endOfLease } from './lease-terms.ts'

/** Prolongs a lease outside; what comes back stores that, and has to be called. */
export type Renew = (
  leaseId: string,
  incrementSeconds: number,
  by: Pick<Call, 'token'>,
) => Promise<(tx: Tx) => Promise<Renewed>>
export type Renewed = {
  readonly id: string
  readonly renewable: boolean
  readonly seconds: number
  readonly warnings: readonly string[]
}

type Needs = {
  audit: Pick<Audit, 'recordNow'>
  clock: Clock
  book: LeaseBook
  mounts: Pick<Mounts, 'all' | 'engineById'>
  onRenewed: (mount: Uint8Array, expiresAt: number) => void
}

/** For whoever was refused between the two halves of a renewal. */
const longestTurnMilliseconds = 10_000

/** Renewals of one lease take turns, so that its end outside is the one that is stored. */
export function createRenewing({ audit, clock, book, mounts, onRenewed }: Needs): Renew {
  const turns = new Map<string, Promise<void>>()

  async function takeTurn(leaseId: string): Promise<() => void> {
    const turn = Promise.withResolvers<void>()
    const before = turns.get(leaseId)
    turns.set(leaseId, turn.promise)
    await before
    const cancel = clock.after(longestTurnMilliseconds, release)
    function release(): void {
      cancel()
      turn.resolve()
      if (turns.get(leaseId) === turn.promise) turns.delete(leaseId)
    }
    return release
  }

  function assertRenewable(found: StoredLease | undefined, now: number): StoredLease {
    if (!found) throw new AppError('request.invalid', 'lease not found')
    const { row, record } = found
    if (row.stage !== 'live' || row.expiresAt <= now) throw new AppError('request.invalid', 'lease expired')
    if (!record.renewable) throw new AppError('request.invalid', 'lease is not renewable')
    return found
  }

  async function prolong(
    leaseId: string,
    incrementSeconds: number,
    { token }: Pick<Call, 'token'>,
    release: () => void,
  ): Promise<(tx: Tx) => Promise<Renewed>> {
    const now = clock.now().getTime()
    const { row, record } = assertRenewable(await book.find(leaseId), now)
    const { id, role, state, mountId, renewable } = record
    const config = mounts.all().find((mount) => mount.id === mountId)?.config ?? {}
    const { expiresAt, warnings } = endOfLease({ ...record, terms: record, config, now }, incrementSeconds)
    await audit.recordNow({
      type: 'lease.renewed',
      outcome: 'intent',
      actor: actorOf(token.principal),
      target: `lease:${id}`,
      detail: { role, expiresAt: new Date(expiresAt).toISOString() },
    })
    await mounts.engineById(mountId)?.extendLease?.({ id, role, state }, new Date(expiresAt))
    return async (tx) => {
      const next = await book.close(tx, { ...row, expiresAt }, { ...record, expiresAt, lastRenewedAt: now })
      tx.afterCommit(release)
      if (!(await prolongLease(tx, next))) {
        release()
        throw new AppError('request.invalid', 'lease expired')
      }
      tx.afterCommit(() => onRenewed(row.mount, expiresAt))
      return { id, renewable, seconds: Math.round((expiresAt - now) / 1000), warnings }
    }
  }

  return async (leaseId, incrementSeconds, by) => {
    const release = await takeTurn(leaseId)
    try {
      return await prolong(leaseId, incrementSeconds, by, release)
    } catch (error) {
      release()
      throw error
    }
  }
}
