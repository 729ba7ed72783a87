import type { Audit } from '../../audit/index.ts'
import { AppError, actorOf, type Clock, reasonOf } from '../../core/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import type { Answer, Call, Grant } from '../engine.ts'
import type { Mount } from '../mounts.ts'
import { latestEndOf } from '../tokens/lifetime.ts'
import type { LiveToken } from '../tokens/token-record.ts'
import { randomText } from '../tokens/tokens.ts'
import { readToken } from '../vault-store.ts'
import { patienceMilliseconds, within } from './ending.ts'
import type { LeaseBook, LeaseRecord } from './lease-book.ts'
import { confirmLease, countRole, markLeases } from './lease-store.ts'
import { endOfLease } from './lease-terms.ts'

export type AskedLease = {
  readonly grant: Grant
  readonly call: Pick<Call, 'path' | 'token'>
  /** As it is in memory, where its end shows. */
  readonly live: LiveToken
  readonly mount: Mount
  readonly correlation: string
}
/** Records and wraps the answer, in the transaction that makes the lease live. */
export type FinishGrant = (tx: Tx, answer: Answer) => Promise<Answer | undefined>

/**
 * Gives out what has a lease. The lease is on disk, with what is needed to end it, before anything is made outside; the answer
 * leaves after the lease is live. Whatever goes wrong in between, the lease stays until what was made is gone.
 */
export type Granting = {
  grant(asked: AskedLease, finish: FinishGrant): Promise<Answer | undefined>
  isBeingMade(id: Uint8Array): boolean
  beingMade(): number
  /** Resolves when whoever makes this lease now has let go of it. */
  whenMade(id: Uint8Array): Promise<void>
}

type Needs = {
  store: Pick<Store, 'get' | 'write'>
  audit: Pick<Audit, 'record'>
  clock: Clock
  book: LeaseBook
  /** Throws when the mount is gone or going. */
  assertGrants: (mountId: string) => void
  kick: () => void
  onGranted: (mount: Uint8Array, expiresAt: number) => void
}

type Made = Readonly<Record<string, unknown>>
type Begun = { readonly id: Buffer; readonly record: LeaseRecord; readonly asked: AskedLease }

const idLength = 24

export function createGranting({
  store,
  audit,
  clock,
  book,
  assertGrants,
  kick,
  onGranted,
}: Needs): Granting {
  const making = new Map<string, Promise<void>>()

  function recordOf({ grant, call, live, mount }: AskedLease, now: number): LeaseRecord {
    const tokenEndsAt = latestEndOf(live.record)
    const { expiresAt } = endOfLease({
      terms: grant,
      config: mount.config ?? {},
      issuedAt: now,
      now,
      tokenEndsAt,
    })
    return {
      id: `${call.path}/${randomText(idLength)}`,
      mountId: mount.id,
      role: grant.role,
      state: grant.state,
      tokenId: live.record.id,
      issuedAt: now,
      expiresAt,
      lastRenewedAt: null,
      renewable: grant.renewable,
      ttlSeconds: grant.ttlSeconds,
      maxTtlSeconds: grant.maxTtlSeconds,
      tokenEndsAt,
    }
  }

  async function assertQuota(tx: Tx, { grant, mount, call }: AskedLease): Promise<Buffer | null> {
    if (grant.mostLeases === 0) return null
    const role = book.roleOf(mount.id, grant.role)
    if ((await countRole(tx, role, grant.mostLeases)) >= grant.mostLeases)
      throw new AppError('lease.quota_exceeded', `request path "${call.path}": lease count quota exceeded`)
    return role
  }

  async function begin(tx: Tx, { id, record, asked }: Begun): Promise<void> {
    const { live, mount, correlation } = asked
    assertGrants(mount.id)
    // A batch token has no row; its parent takes its leases along.
    const token = live.row || live.record.parent
    const row = token ? Buffer.from(token, 'hex') : null
    if (live.revoked || (row && !(await readToken(tx, row)))) throw new AppError('token.invalid')
    const role = await assertQuota(tx, asked)
    const fields = { token: row, role, stage: 'pending', dueAt: record.issuedAt, markedAt: null } as const
    await book.insert(tx, { id, ...fields, expiresAt: record.expiresAt, attempts: 0 }, record)
    await audit.record(tx, {
      type: 'lease.requested',
      outcome: 'intent',
      actor: actorOf(live.principal),
      target: `lease:${record.id}`,
      correlation,
      detail: { role: record.role, expiresAt: new Date(record.expiresAt).toISOString() },
    })
  }

  /** From before it is stored until its maker lets go, so that nobody finds it and takes its maker for dead. */
  function mark({ id }: Begun, done: Promise<void>): void {
    making.set(keyOf(id), done)
    void done.then(() => making.delete(keyOf(id)))
  }

  async function giveUp({ id, record, asked }: Begun, error: unknown): Promise<void> {
    await store.write(async (tx) => {
      await markLeases(tx, { id }, clock.now().getTime())
      await audit.record(tx, {
        type: 'lease.issued',
        outcome: 'failed',
        actor: actorOf(asked.live.principal),
        target: `lease:${record.id}`,
        correlation: asked.correlation,
        detail: { role: record.role, reason: error instanceof AppError ? reasonOf(error) : 'internal error' },
      })
    })
  }

  async function confirm(
    tx: Tx,
    { id, record, asked }: Begun,
    data: Made,
    finish: FinishGrant,
  ): Promise<Answer | undefined> {
    assertGrants(record.mountId)
    if (!(await confirmLease(tx, id)) || asked.live.revoked)
      throw new AppError('lease.ended', 'the lease was revoked while it was being made')
    return finish(tx, answerOf(record, data))
  }

  async function grant(asked: AskedLease, finish: FinishGrant): Promise<Answer | undefined> {
    const record = recordOf(asked, clock.now().getTime())
    const begun: Begun = { id: book.idOf(record.id), record, asked }
    const over = Promise.withResolvers<void>()
    let maker: Promise<Made> = Promise.resolve({})
    const done = over.promise.then(() => maker).then(ignore, ignore)
    mark(begun, done)
    let stored = false
    try {
      await store.write((tx) => begin(tx, begun))
      stored = true
      maker = asked.grant.make(new Date(record.expiresAt))
      // A caller who waits too long is refused; the lease ends as soon as whatever hangs lets go.
      const data = await within(clock, patienceMilliseconds, maker)
      const answer = await store.write((tx) => confirm(tx, begun, data, finish))
      onGranted(book.mountOf(record.mountId), record.expiresAt)
      return answer
    } catch (error) {
      void done.then(kick)
      // What cannot be written now is found as pending later, and ended then.
      if (stored) await giveUp(begun, error).catch(ignore)
      throw error
    } finally {
      over.resolve()
    }
  }

  return {
    grant,
    isBeingMade: (id) => making.has(keyOf(id)),
    beingMade: () => making.size,
    async whenMade(id) {
      await making.get(keyOf(id))
    },
  }
}

const answerOf = (record: LeaseRecord, data: Made): Answer => ({
  data,
  lease: { id: record.id, renewable: record.renewable },
  leaseSeconds: Math.round((record.expiresAt - record.issuedAt) / 1000),
  note: { lease: record.id, role: record.role, expiresAt: new Date(record.expiresAt).toISOString() },
})

const keyOf = (id: Uint8Array): string => Buffer.from(id).toString('hex')
const ignore = (): void => undefined
