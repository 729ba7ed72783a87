import type { Audit, EntryInput } from '../../audit/index.ts'
import { AppError, actorOf, type Clock, type Log, systemPrincipal } from '../../core/index.ts'
import type { Reader, Store, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { Answer, Call } from '../engine.ts'
import type { Mount, Mounts } from '../mounts.ts'
import { createEnding, type EndOptions, patienceMilliseconds, within } from './ending.ts'
import { type AskedLease, createGranting, type FinishGrant } from './granting.ts'
import { createLanes, inParallel } from './lanes.ts'
import { createLeaseBook, type StoredLease } from './lease-book.ts'
import { createLeasePages, type LeasePages } from './lease-pages.ts'
import { type LeaseRow, markLeases, readLeasesOf, type Which } from './lease-store.ts'
import { createRenewing, type Renew } from './renewing.ts'

/** Everything that was given out for a time: who has it, when it ends, and that it does end. */
export type Leases = {
  grant(asked: AskedOfMount, finish: FinishGrant): Promise<Answer | undefined>
  find(leaseId: string, reader?: Reader): Promise<StoredLease | undefined>
  renew: Renew
  /** From the commit on they are being ended, until it works. Returns how many there were. */
  mark(tx: Tx, what: Revoked): Promise<number>
  /** Marks them, ends them and waits for that; throws at the first that cannot be ended, which is tried again by itself. */
  revokeNow(what: Revoked, by: Call, options?: EndOptions): Promise<number>
  /** What goes with a token that ends. */
  markOfToken(tx: Tx, tokenRow: string, tokenId: string): Promise<void>
  /** Ends all leases of a mount, and lets none begin until the returned function is called. */
  closeMount(mountId: string, by: Pick<Call, 'token'>): Promise<() => void>
  pages: LeasePages
  /** Ends what is due from now on. Reads nothing but what is due. */
  start(): void
  stop(): void
  /** Resolves when nothing that is due is left to try now. */
  idle(): Promise<void>
}
/** A lease, or whatever lies below a path. */
export type Revoked = { readonly id: string } | { readonly prefix: string }

type Needs = {
  store: Pick<Store, 'get' | 'all' | 'write'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  barrier: Barrier
  clock: Clock
  log: Log
  mounts: Pick<Mounts, 'all' | 'engineById'>
  isOpen: () => boolean
  random?: () => number
}

const pageSize = 500
const atOnce = 16
const nobody = new Uint8Array()
const lastUse =
  'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.'

/** With the path of the mount, as routing knows it. */
export type AskedOfMount = Omit<AskedLease, 'mount'> & { readonly mountPath: string }

export function createLeases(needs: Needs): Leases {
  const { store, audit, barrier, clock, log, mounts, isOpen, random = Math.random } = needs
  const book = createLeaseBook({ barrier, store })
  /** Mounts that are being disabled. */
  const closing = new Set<string>()
  const engineById = (mountId: string) => mounts.engineById(mountId)
  const ending = createEnding({
    store,
    audit,
    clock,
    log,
    book,
    engineById,
    isOpen,
    onDue: (mount, at) => lanes.dueAt(mount, at),
    random,
  })
  const granting = createGranting({
    store,
    audit,
    clock,
    book,
    assertGrants,
    kick: () => lanes.kick(),
    onGranted(mount, expiresAt) {
      lanes.dueAt(mount, expiresAt)
      lanes.worked(mount)
    },
  })
  const lanes = createLanes({
    store,
    audit,
    clock,
    log,
    book,
    ending,
    isBeingMade: granting.isBeingMade,
    beingMade: granting.beingMade,
    isOpen,
  })

  function assertGrants(mountId: string): void {
    if (!isOpen()) throw new AppError('vault.sealed')
    if (closing.has(mountId) || !engineById(mountId))
      throw new AppError('request.not_found', 'the mount is being disabled')
  }

  const mountOf = (mountId: string): Mount | undefined => mounts.all().find(({ id }) => id === mountId)

  async function mark(tx: Tx, which: Which): Promise<number> {
    const count = await markLeases(tx, which, clock.now().getTime())
    if (count > 0) tx.afterCommit(lanes.kick)
    return count
  }

  /** A prefix may be the id of a lease too, as Vault has it. */
  async function placesOf(what: Revoked, reader: Reader): Promise<Which[]> {
    if ('id' in what) return [{ id: book.idOf(what.id) }]
    const { prefix } = what
    const one = prefix.endsWith('/') ? undefined : await book.find(prefix, reader)
    if (one) return [{ id: one.row.id }]
    const folder = prefix.endsWith('/') ? prefix : `${prefix}/`
    return (await book.tree(folder, reader)).map((path) => ({ folder: book.folderOf(path) }))
  }

  async function markAll(tx: Tx, what: Revoked): Promise<number> {
    let count = 0
    for (const which of await placesOf(what, tx)) count += await mark(tx, which)
    return count
  }

  const notEnded = (row: LeaseRow, reason: string): AppError => {
    const id = book.openIfWhole(row)?.id ?? 'a damaged lease'
    return new AppError('lease.end_failed', `failed to revoke "${id}": ${reason}`)
  }

  /** Those that are marked; whoever makes one now is waited for. */
  async function endAll(which: Which, options: EndOptions): Promise<number> {
    let count = 0
    for (let after: Uint8Array = nobody; ; ) {
      const rows: LeaseRow[] = await readLeasesOf(store, which, after, pageSize)
      const last = rows.at(-1)
      if (!last) return count
      after = last.id
      const marked = rows.filter(({ stage }) => stage !== 'live')
      await inParallel(marked, atOnce, async (row) => {
        await within(clock, patienceMilliseconds, granting.whenMade(row.id))
        const outcome = await ending.end(row, options)
        if (outcome.ended) lanes.worked(row.mount)
        else if (!options.force) throw notEnded(row, outcome.reason)
        count++
      })
    }
  }

  return {
    async grant({ mountPath, ...asked }, finish) {
      const mount = mounts.all().find(({ path }) => path === mountPath)
      if (!mount) throw new AppError('request.not_found', `no handler for route "${asked.call.path}".`)
      if (asked.call.token.record.usesLeft === 0) throw new AppError('request.invalid', lastUse)
      return granting.grant({ ...asked, mount }, finish)
    },
    find: book.find,
    renew: createRenewing({ audit, clock, book, mounts, onRenewed: lanes.dueAt }),
    mark: markAll,
    async revokeNow(what, { token }, options = {}) {
      await store.write(async (tx) => {
        const leases = await markAll(tx, what)
        if (leases > 0) await audit.record(tx, revoked(actorOf(token.principal), targetOf(what), leases))
      })
      let count = 0
      for (const which of await placesOf(what, store)) count += await endAll(which, options)
      return count
    },
    async markOfToken(tx, tokenRow, tokenId) {
      const leases = await mark(tx, { token: Buffer.from(tokenRow, 'hex') })
      if (leases === 0) return
      await audit.record(tx, revoked(actorOf(systemPrincipal('leases')), `token:${tokenId}`, leases))
    },
    async closeMount(mountId, { token }) {
      const which = { mount: book.mountOf(mountId) }
      closing.add(mountId)
      try {
        await store.write(async (tx) => {
          const leases = await mark(tx, which)
          const target = `path:${mountOf(mountId)?.path ?? ''}`
          if (leases > 0) await audit.record(tx, revoked(actorOf(token.principal), target, leases))
        })
        // Again for one that was being ended for another reason, and was to be checked later.
        while ((await endAll(which, { once: true })) > 0);
        return () => closing.delete(mountId)
      } catch (error) {
        closing.delete(mountId)
        throw error
      }
    },
    pages: createLeasePages({ store, clock, book, mounts, isOpen }),
    start: lanes.kick,
    stop: lanes.stop,
    idle: lanes.idle,
  }
}

const targetOf = (what: Revoked): string => ('id' in what ? `lease:${what.id}` : `path:${what.prefix}`)

/** Leases that were given up; the end of each is an entry of its own. */
const revoked = (actor: string, target: string, leases: number): EntryInput => ({
  type: 'lease.revoked',
  outcome: 'intent',
  actor,
  target,
  detail: { leases },
})
