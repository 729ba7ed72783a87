import { hash, randomBytes } from 'node:crypto'
import { AppError, type Clock, newId, Secret } from '../../core/index.ts'
import type { Reader, Store, Tx } from '../../store/index.ts'
import { type Acl, compileAcl } from '../acl/acl.ts'
import type { Policies } from '../acl/policies.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { RenewalTerms } from '../engine.ts'
import type { Identity } from '../identity/identity.ts'
import type { Subject } from '../identity/records.ts'
import {
  deleteToken,
  putToken,
  readExpiredTokens,
  readToken,
  readTokenByAccessor,
  readTokenChildren,
  readTokens,
  readTokensAfter,
  type TokenRow,
} from '../vault-store.ts'
import { type LifetimeRequest, lifetimeOf, renewed } from './lifetime.ts'
import type { LiveToken, StoredToken, TokenRecord } from './token-record.ts'

export type NewToken = LifetimeRequest &
  Pick<
    TokenRecord,
    | 'policies'
    | 'metadata'
    | 'displayName'
    | 'path'
    | 'usesLeft'
    | 'renewable'
    | 'parent'
    | 'boundCidrs'
    | 'role'
    | 'issuer'
    | 'batch'
    | 'entityId'
  > & {
    /** A value chosen by the caller instead of a random one. */
    readonly value?: Secret | undefined
  }

export type Tokens = {
  create(tx: Tx, wanted: NewToken): Promise<{ token: Secret; record: TokenRecord; warnings: string[] }>
  /** The token if it is valid now, from memory when it was seen lately. */
  authenticate(token: Secret): Promise<LiveToken | undefined>
  /** The same for a text that was looked up before and of which nothing has changed since; undefined says nothing. */
  known(token: Secret): LiveToken | undefined
  /** Takes one of the uses that a limited token has and returns how many are left; null when it is not limited. */
  spendUse(live: LiveToken): Promise<number | null>
  find(token: Secret, reader?: Reader): Promise<StoredToken | undefined>
  findByAccessor(accessor: string, reader?: Reader): Promise<StoredToken | undefined>
  renew(
    tx: Tx,
    token: StoredToken,
    incrementSeconds: number | undefined,
    terms?: RenewalTerms,
  ): Promise<TokenRecord>
  /** Ends the token and all that descend from it; returns what ended. */
  revoke(tx: Tx, row: string): Promise<TokenRecord[]>
  /** Ends the token alone; its children become orphans. */
  revokeOrphan(tx: Tx, row: string): Promise<TokenRecord[]>
  accessors(): Promise<string[]>
  /** In no order that tells anything; nothing but the page is opened. It may hold fewer than asked and still have a next one. */
  page(cursor: string, limit: number): Promise<{ items: TokenRecord[]; next: string | null }>
  /** Rows of the tokens that an auth mount gave out. */
  issuedBy(tx: Tx, mountId: string): Promise<string[]>
  /** Rows of the tokens that were made at or below a path; root tokens, which have no end, are not among them. */
  madeUnder(tx: Tx, prefix: string): Promise<string[]>
  /** Rows of tokens whose end has passed, oldest first. */
  expired(limit: number): Promise<string[]>
  /** What a token may do now. */
  aclOf(record: TokenRecord): Promise<Acl>
  /** What a token may do beyond its own policies, because of whose it is. */
  identityPoliciesOf(record: TokenRecord): Promise<readonly string[]>
  /** Drops everything kept in memory. */
  forget(): void
}

type Needs = {
  store: Store
  barrier: Barrier
  policies: Policies
  /** Whose a token is; what they may do counts when it is used, not when it was made. */
  identity: Pick<Identity, 'subjectOf' | 'onChange'>
  clock: Pick<Clock, 'now'>
  /** What the end of a token takes along, in the same transaction. */
  onEnd: (tx: Tx, token: StoredToken) => Promise<void>
  /** Whether an auth mount is still there: what cannot be revoked ends with it all the same. */
  isMounted: (mountId: string) => boolean
}

const cachedTokens = 10_000
const batchPrefix = 'kwb.'
const batchContext = 'batch token'
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

export function createTokens({ store, barrier, policies, identity, clock, onEnd, isMounted }: Needs): Tokens {
  const live = new Map<string, LiveToken>()
  /** The same for a text that comes again and again, as long as nothing has changed: a connection asks with one token many times. */
  const seen = new WeakMap<Secret, { readonly token: LiveToken; readonly changes: number }>()
  /** Counts changes; what was read before one is not kept after it. */
  let changes = 0
  const now = (): number => clock.now().getTime()
  const isValid = ({ endsAt }: LiveToken): boolean => endsAt > now()
  const rowOf = (token: Secret): Buffer => barrier.digest('token', hash('sha256', token.reveal()))

  function forget(): void {
    changes++
    live.clear()
  }
  policies.onChange(forget)
  identity.onChange((entityId) => (entityId === undefined ? forget() : forgetEntity(entityId)))

  function forgetEntity(entityId: string): void {
    changes++
    for (const [key, { subject }] of live) if (subject?.entity.id === entityId) live.delete(key)
  }

  /** Undefined when the token belongs to nobody, or its entity is gone or disabled. */
  const subjectOf = async ({ entityId }: TokenRecord): Promise<Subject | undefined> =>
    entityId === undefined ? undefined : identity.subjectOf(entityId)

  const aclFor = ({ policies: own }: TokenRecord, subject: Subject | undefined): Promise<Acl> =>
    policies.compile(subject ? [...new Set([...own, ...subject.policies])] : own, subject)

  const opened = (row: TokenRow): StoredToken => ({
    row: Buffer.from(row.id).toString('hex'),
    record: JSON.parse(barrier.reveal(contextOf(row), row.value)) as TokenRecord,
  })

  async function save(tx: Tx, row: string, record: TokenRecord): Promise<void> {
    const fields = {
      id: Buffer.from(row, 'hex'),
      accessor: barrier.digest('accessor', record.accessor),
      parent: record.parent === null ? null : Buffer.from(record.parent, 'hex'),
      expiresAt: record.expiresAt,
    }
    const value = await barrier.close(tx, contextOf(fields), JSON.stringify(record))
    putToken(tx, { ...fields, value })
  }

  async function byRow(row: string, reader: Reader): Promise<StoredToken | undefined> {
    const found = await readToken(reader, Buffer.from(row, 'hex'))
    return found && opened(found)
  }

  /** A batch token carries its own record, closed; undefined for what is none. */
  function openBatch(token: Secret): StoredToken | undefined {
    const text = token.reveal()
    if (!text.startsWith(batchPrefix)) return undefined
    try {
      const closed = Buffer.from(text.slice(batchPrefix.length), 'base64url')
      const record = JSON.parse(barrier.reveal(batchContext, closed)) as TokenRecord
      return record.issuer && !isMounted(record.issuer.mountId) ? undefined : { row: '', record }
    } catch (error) {
      if (error instanceof AppError && error.code === 'vault.entry_corrupt') return undefined
      throw error
    }
  }

  async function locate(token: Secret, reader: Reader): Promise<StoredToken | undefined> {
    const found = await readToken(reader, rowOf(token))
    return found ? opened(found) : openBatch(token)
  }

  /** The earliest end of the token and its ancestors; undefined when one of them is gone. */
  async function endOf(record: TokenRecord): Promise<number | undefined> {
    let endsAt = record.expiresAt ?? Number.POSITIVE_INFINITY
    for (let parent = record.parent; parent !== null; ) {
      const above = await byRow(parent, store)
      if (!above) return undefined
      endsAt = Math.min(endsAt, above.record.expiresAt ?? Number.POSITIVE_INFINITY)
      parent = above.record.parent
    }
    return endsAt
  }

  async function load(token: Secret): Promise<LiveToken | undefined> {
    const stored = await locate(token, store)
    if (!stored) return undefined
    const endsAt = await endOf(stored.record)
    if (endsAt === undefined) return undefined
    const { id, displayName, policies: names } = stored.record
    const subject = await subjectOf(stored.record)
    if (stored.record.entityId !== undefined && !subject) return undefined
    const roles = names.includes('root') ? (['owner'] as const) : []
    return {
      ...stored,
      endsAt,
      acl: await aclFor(stored.record, subject),
      ...(subject ? { subject } : {}),
      principal: { kind: 'token', id, name: displayName, roles },
      revoked: false,
    }
  }

  function remember(key: string, token: LiveToken): void {
    live.set(key, token)
    const [oldest] = live.keys()
    if (live.size > cachedTokens && oldest !== undefined) live.delete(oldest)
  }

  async function closeBatch(tx: Tx, record: TokenRecord): Promise<Secret> {
    const closed = await barrier.close(tx, batchContext, JSON.stringify(record))
    return new Secret(batchPrefix + closed.toString('base64url'))
  }

  async function end(tx: Tx, stored: StoredToken): Promise<void> {
    await deleteToken(tx, Buffer.from(stored.row, 'hex'))
    await onEnd(tx, stored)
  }

  function forgetRows(tx: Tx, rows: ReadonlySet<string>): void {
    tx.afterCommit(() => {
      changes++
      for (const [key, token] of live) {
        // A batch token has no row of its own; it ends with its parent.
        if (!rows.has(token.row || (token.record.parent ?? ''))) continue
        token.revoked = true
        live.delete(key)
      }
    })
  }

  return {
    async create(tx, wanted) {
      const token = wanted.value ?? newTokenValue()
      const row = rowOf(token).toString('hex')
      if (wanted.value && (await byRow(row, tx)))
        throw new AppError('request.invalid', 'cannot create a token with a duplicate ID')
      const { lifetime, warnings } = lifetimeOf(wanted, now())
      const record: TokenRecord = {
        id: newId('tok', clock.now()),
        accessor: wanted.batch ? '' : randomText(24),
        parent: wanted.parent,
        policies: wanted.policies,
        metadata: wanted.metadata,
        displayName: wanted.displayName,
        path: wanted.path,
        createdAt: now(),
        usesLeft: wanted.usesLeft,
        renewable: wanted.renewable && !wanted.batch && lifetime.expiresAt !== null,
        lastRenewedAt: null,
        ...lifetime,
        ...optionalsOf(wanted),
      }
      if (wanted.batch) return { token: await closeBatch(tx, record), record, warnings }
      await save(tx, row, record)
      return { token, record, warnings }
    },
    known(token) {
      const last = seen.get(token)
      return last?.changes === changes && isValid(last.token) ? last.token : undefined
    },
    async authenticate(token) {
      const key = hash('sha256', token.reveal())
      let found = live.get(key)
      while (!found) {
        const before = changes
        const loaded = await load(token)
        if (!loaded) return undefined
        if (before !== changes) continue
        remember(key, loaded)
        found = loaded
      }
      seen.set(token, { token: found, changes })
      return isValid(found) ? found : undefined
    },
    async spendUse(token) {
      if (token.record.usesLeft === null) return null
      return store.write(async (tx) => {
        const stored = await byRow(token.row, tx)
        const usesLeft = (stored?.record.usesLeft ?? 0) - 1
        if (!stored || usesLeft < 0) throw new AppError('token.invalid')
        await save(tx, token.row, { ...stored.record, usesLeft })
        return usesLeft
      })
    },
    async find(token, reader = store) {
      const found = await locate(token, reader)
      return found && current(found, now())
    },
    async findByAccessor(accessor, reader = store) {
      const found = await readTokenByAccessor(reader, barrier.digest('accessor', accessor))
      return found && current(opened(found), now())
    },
    async renew(tx, { row, record }, incrementSeconds, terms) {
      const next = renewed(record, incrementSeconds, now(), terms)
      await save(tx, row, next)
      tx.afterCommit(forget)
      return next
    },
    async revoke(tx, row) {
      const first = await byRow(row, tx)
      const ended = first ? [first] : []
      for (const stored of ended) {
        ended.push(...(await readTokenChildren(tx, Buffer.from(stored.row, 'hex'))).map(opened))
        await end(tx, stored)
      }
      forgetRows(tx, new Set(ended.map((stored) => stored.row)))
      return ended.map((stored) => stored.record)
    },
    async revokeOrphan(tx, row) {
      const stored = await byRow(row, tx)
      if (!stored) return []
      for (const child of (await readTokenChildren(tx, Buffer.from(row, 'hex'))).map(opened))
        await save(tx, child.row, { ...child.record, parent: null })
      await end(tx, stored)
      forgetRows(tx, new Set([row]))
      tx.afterCommit(forget)
      return [stored.record]
    },
    async accessors() {
      const rows = await readTokens(store)
      return rows.map((row) => opened(row).record.accessor).sort()
    },
    async page(cursor, limit) {
      if (!/^(?:[0-9a-f]{2})*$/.test(cursor)) throw new AppError('request.invalid', 'the cursor is not valid')
      const rows = await readTokensAfter(store, Buffer.from(cursor, 'hex'), limit + 1)
      const last = rows.length > limit ? rows[limit - 1] : undefined
      const items = rows.slice(0, limit).flatMap((row) => current(opened(row), now())?.record ?? [])
      return { items, next: last ? Buffer.from(last.accessor).toString('hex') : null }
    },
    async issuedBy(tx, mountId) {
      const all = (await readTokens(tx)).map(opened)
      return all.filter(({ record }) => record.issuer?.mountId === mountId).map(({ row }) => row)
    },
    async madeUnder(tx, prefix) {
      const folder = prefix.endsWith('/') ? prefix : `${prefix}/`
      const all = (await readTokens(tx)).map(opened)
      return all
        .filter(({ record }) => record.expiresAt !== null && `${record.path}/`.startsWith(folder))
        .map(({ row }) => row)
    },
    async expired(limit) {
      const rows = await readExpiredTokens(store, now(), limit)
      return rows.map((row) => Buffer.from(row.id).toString('hex'))
    },
    async aclOf(record) {
      const subject = await subjectOf(record)
      if (record.entityId !== undefined && !subject) return compileAcl([])
      return aclFor(record, subject)
    },
    identityPoliciesOf: async (record) => (await subjectOf(record))?.policies ?? [],
    forget,
  }
}

const optionalsOf = ({
  maxTtlSeconds,
  boundCidrs,
  role,
  entityId,
  issuer,
  batch,
}: NewToken): Partial<TokenRecord> => ({
  ...(maxTtlSeconds ? { maxTtlSeconds } : {}),
  ...(boundCidrs?.length ? { boundCidrs } : {}),
  ...(role === undefined ? {} : { role }),
  ...(entityId === undefined ? {} : { entityId }),
  ...(issuer ? { issuer } : {}),
  ...(batch ? { batch } : {}),
})

/** Binds a token's value to its row and to every column beside it, so that none can be altered alone. */
function contextOf(row: Omit<TokenRow, 'value'>): string {
  const text = (bytes: Uint8Array | null): string => (bytes ? Buffer.from(bytes).toString('hex') : '-')
  return `token\0${text(row.id)}\0${text(row.accessor)}\0${text(row.parent)}\0${row.expiresAt ?? '-'}`
}

const current = (stored: StoredToken, now: number): StoredToken | undefined =>
  stored.record.expiresAt === null || stored.record.expiresAt > now ? stored : undefined

export const newTokenValue = (): Secret => new Secret(`kwt.${randomText(32)}`)

/** Random letters and digits; a byte past the last whole multiple of the alphabet is thrown away, so none is favoured. */
export function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < 248 && text.length < length) text += alphabet[byte % 62]
    }
  }
  return text
}
