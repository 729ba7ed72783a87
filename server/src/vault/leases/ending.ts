import type { Proof } from '@keyward/contract'
import type { Audit, EntryInput } from '../../audit/index.ts'
import {
  AppError,
  actorOf,
  type Clock,
  digestOf,
  type Log,
  reasonOf,
  systemPrincipal,
} from '../../core/index.ts'
import type { Store } from '../../store/index.ts'
import type { Engine } from '../engine.ts'
import type { LeaseBook, LeaseRecord } from './lease-book.ts'
import { checkLeaseAgain, failLease, type LeaseRow, readLease } from './lease-store.ts'

/** `proofs`: what was answered when it was tried once more. */
export type Outcome =
  | { readonly ended: true; readonly proofs?: readonly Proof[] }
  | { readonly ended: false; readonly reason: string }
export type EndOptions = {
  /** Forgets the lease even if what it stands for could not be ended. */
  readonly force?: boolean
  /** Does not come back to a lease that never was live: its mount is about to go. */
  readonly once?: boolean
}

/** Ends what one lease stands for, outside, and then the lease. */
export type Ending = {
  /** For a lease that is marked already. Whoever asks for the same lease meanwhile gets the same outcome. */
  end(row: LeaseRow, options?: EndOptions): Promise<Outcome>
  isBusy(id: Uint8Array): boolean
}

type Needs = {
  store: Pick<Store, 'get' | 'all' | 'write'>
  audit: Pick<Audit, 'record'>
  clock: Clock
  log: Log
  book: LeaseBook
  engineById: (mountId: string) => Pick<Engine, 'endLease'> | undefined
  isOpen: () => boolean
  /** A lease of this mount has to be looked at again then. */
  onDue: (mount: Uint8Array, at: number) => void
  /** From 0 to 1. */
  random: () => number
}

/** A destination that says nothing for so long has failed; ending is safe to repeat. */
export const patienceMilliseconds = 60_000
/** What a dead maker had sent may still arrive: a lease that never was live is ended once more after this. */
const checkAfterMilliseconds = 30_000
const firstRetryMilliseconds = 2_000
const longestRetryMilliseconds = 15 * 60_000
const longestReason = 300

export function createEnding({
  store,
  audit,
  clock,
  log,
  book,
  engineById,
  isOpen,
  onDue,
  random,
}: Needs): Ending {
  const busy = new Map<string, Promise<Outcome>>()
  const actor = actorOf(systemPrincipal('leases'))

  async function endOutside({ mountId, id, role, state }: LeaseRecord): Promise<Outcome> {
    const engine = engineById(mountId)
    if (!engine) return { ended: false, reason: 'its mount is not there' }
    try {
      const ending = engine.endLease?.({ id, role, state })
      const proofs = ending && (await within(clock, patienceMilliseconds, ending))
      return { ended: true, ...(proofs ? { proofs } : {}) }
    } catch (error) {
      if (!(error instanceof AppError))
        log.warn({ lease: id, reason: reasonOf(error) }, 'a lease could not be ended')
      return { ended: false, reason: reasonForRecord(error) }
    }
  }

  async function finish(
    row: LeaseRow,
    record: LeaseRecord | undefined,
    { once }: EndOptions,
    how: { readonly forced?: string; readonly proofs?: readonly Proof[] },
  ): Promise<void> {
    const { forced, proofs = [] } = how
    const again = row.stage === 'pending' || row.stage === 'unmade'
    if (again && !once && forced === undefined) {
      const dueAt = clock.now().getTime() + checkAfterMilliseconds
      await store.write((tx) => checkLeaseAgain(tx, row.id, dueAt))
      return onDue(row.mount, dueAt)
    }
    await store.write(async (tx) => {
      await book.remove(tx, row)
      await audit.record(tx, {
        type: 'lease.ended',
        outcome: 'done',
        actor,
        target: `lease:${record?.id ?? 'damaged'}`,
        detail: {
          role: record?.role ?? '',
          ...(forced === undefined ? {} : { forced: true, reason: forced }),
        },
      })
      if (proofs.length > 0) await audit.record(tx, receiptEntry(record?.id ?? 'damaged', proofs))
    })
  }

  function receiptEntry(id: string, proofs: readonly Proof[]): EntryInput {
    const shown = { lease: id, at: clock.now().toISOString(), proofs: proofs.map((proof) => ({ ...proof })) }
    const { lease: _, ...detail } = { ...shown, state: 'proved', digest: digestOf(shown) }
    return { type: 'lease.receipt', outcome: 'done', actor, target: `lease:${id}`, detail }
  }

  async function fail(row: LeaseRow, record: LeaseRecord | undefined, reason: string): Promise<void> {
    const attempts = row.attempts + 1
    const dueAt = clock.now().getTime() + retryAfter(attempts, random())
    await store.write(async (tx) => {
      const { value } = record ? await book.close(tx, row, { ...record, error: reason }) : row
      await failLease(tx, { id: row.id, value, attempts, dueAt })
      if (isPowerOfTwo(attempts))
        await audit.record(tx, {
          type: 'lease.ended',
          outcome: 'failed',
          actor,
          target: `lease:${record?.id ?? 'damaged'}`,
          detail: { role: record?.role ?? '', attempts, reason },
        })
    })
    onDue(row.mount, dueAt)
  }

  async function run(given: LeaseRow, options: EndOptions): Promise<Outcome> {
    // Read again: whoever had it before may have ended it, or counted a failure.
    const row = await readLease(store, given.id)
    if (!row || row.stage === 'live') return { ended: true }
    const record = book.openIfWhole(row)
    const outcome = record ? await endOutside(record) : unreadable
    // Without its keys the engine could not even try, and nothing can be written.
    if (!isOpen() && !outcome.ended) return outcome
    if (outcome.ended) await finish(row, record, options, outcome)
    else if (options.force) await finish(row, record, options, { forced: outcome.reason })
    else await fail(row, record, outcome.reason)
    return outcome
  }

  return {
    async end(row, options = {}) {
      const key = Buffer.from(row.id).toString('hex')
      const before = busy.get(key)
      if (before && !options.force) return before
      await before
      const running = run(row, options)
        .catch((error: unknown) => {
          onDue(row.mount, clock.now().getTime() + firstRetryMilliseconds)
          throw error
        })
        .finally(() => busy.get(key) === running && busy.delete(key))
      busy.set(key, running)
      return running
    },
    isBusy: (id) => busy.has(Buffer.from(id).toString('hex')),
  }
}

const unreadable: Outcome = {
  ended: false,
  reason: 'its entry was altered or damaged: restore the database, or forget the lease by force',
}

/** Doubles from two seconds to a quarter of an hour, give or take a fifth, so that many do not come back together. */
function retryAfter(attempts: number, random: number): number {
  const usual = Math.min(firstRetryMilliseconds * 2 ** (attempts - 1), longestRetryMilliseconds)
  return Math.round(usual * (0.8 + 0.4 * random))
}

const isPowerOfTwo = (n: number): boolean => (n & (n - 1)) === 0

/** Our own words; an unknown error's may hold anything. */
const reasonForRecord = (error: unknown): string =>
  error instanceof AppError ? reasonOf(error).slice(0, longestReason) : 'internal error: see the server log'

export async function within<T>(clock: Clock, milliseconds: number, work: Promise<T>): Promise<T> {
  let cancel = (): void => undefined
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(milliseconds, () =>
      reject(new AppError('lease.end_failed', `no answer within ${milliseconds / 1000} seconds`)),
    )
  })
  try {
    return await Promise.race([work, late])
  } finally {
    cancel()
  }
}
