import { setImmediate as endOfTurn } from 'node:timers/promises'
import { AppError, type Clock } from '../../core/index.ts'
import type { Store } from '../../store/index.ts'
import type { Mounts } from '../mounts.ts'
import type { LeaseBook, LeaseRecord } from './lease-book.ts'
import {
  countLeases,
  type LeaseRow,
  type LeaseStage,
  readFailing,
  readFailingLeases,
  readLeasesOf,
  readMounts,
  readNextFailing,
  readOverdue,
} from './lease-store.ts'

/** What should have ended and has not. */
export type LeaseBacklog = {
  readonly count: number
  /** When the oldest of them should have ended. */
  readonly oldestAt: Date | null
  readonly nextTryAt: Date | null
  /** Why the one that is tried next failed the last time; null when sealed. It holds no secret. */
  readonly error: string | null
}

/** A lease as people see it. */
export type CredentialLease = {
  readonly id: string
  /** Where its mount is. */
  readonly mount: string
  readonly role: string
  /** `ending`: it should be gone, and is being ended. */
  readonly state: 'pending' | 'live' | 'ending'
  readonly tokenId: string
  readonly issuedAt: Date
  readonly expiresAt: Date
  readonly lastRenewedAt: Date | null
  readonly renewable: boolean
  readonly attempts: number
  readonly nextTryAt: Date | null
  readonly error: string | null
}

export type LeasePages = {
  backlog(): Promise<LeaseBacklog>
  count(): Promise<number>
  /** Leases below a path (empty: all of them); only those that could not be ended, when `failing`. */
  page(query: {
    readonly prefix?: string
    readonly failing?: boolean
    readonly cursor?: string | undefined
    readonly limit: number
  }): Promise<{ items: CredentialLease[]; next: string | null }>
  /** Names of folders, which end in `/`, and of leases directly below a path. */
  list(prefix: string): Promise<string[]>
  /** Those that have failed so often that a person should look. */
  stubborn(limit: number): Promise<CredentialLease[]>
}

type Needs = {
  store: Pick<Store, 'get' | 'all'>
  clock: Pick<Clock, 'now'>
  book: LeaseBook
  mounts: Pick<Mounts, 'all'>
  isOpen: () => boolean
}

/** What is being ended just now is no backlog. */
const graceMilliseconds = 10_000
/** Other vaults give up after so many attempts, and call the lease irrevocable. We go on, and name it. */
const stubbornAttempts = 6
const listPage = 1000

export function createLeasePages({ store, clock, book, mounts, isOpen }: Needs): LeasePages {
  const viewOf = (row: LeaseRow): CredentialLease => {
    const record = book.openIfWhole(row) ?? damagedRecord(row)
    return { ...shown(record), ...placed(row), mount: mountPath(record.mountId) }
  }
  const mountPath = (mountId: string): string => mounts.all().find(({ id }) => id === mountId)?.path ?? ''

  async function pageOfTree(prefix: string, cursor: string, limit: number) {
    const [folder = '', after = ''] = cursorParts(cursor)
    const tree = (await book.tree(prefix)).map((path) => hex(book.folderOf(path))).sort()
    const rows: LeaseRow[] = []
    for (const id of tree.filter((one) => one >= folder)) {
      const from = Buffer.from(id === folder ? after : '', 'hex')
      const place = { folder: Buffer.from(id, 'hex') }
      rows.push(...(await readLeasesOf(store, place, from, limit + 1 - rows.length)))
      if (rows.length > limit) break
    }
    const last = rows.length > limit ? rows[limit - 1] : undefined
    const next = last ? `${hex(last.folder)}.${hex(last.id)}` : null
    return { items: rows.slice(0, limit).map(viewOf), next }
  }

  /** A page may hold fewer than asked, and still have a next one. */
  async function pageOfFailing(prefix: string, cursor: string, limit: number) {
    const [, after = ''] = cursorParts(cursor)
    const rows = await readFailingLeases(store, 1, Buffer.from(after, 'hex'), limit + 1)
    const last = rows.length > limit ? rows[limit - 1] : undefined
    const items = rows.slice(0, limit).map(viewOf)
    return {
      items: items.filter(({ id }) => id.startsWith(prefix)),
      next: last ? `${hex(last.folder)}.${hex(last.id)}` : null,
    }
  }

  async function list(prefix: string): Promise<string[]> {
    const path = folderPath(prefix)
    const names = await book.folders(path)
    const folder = book.folderOf(path)
    for (let after: Uint8Array = new Uint8Array(); ; ) {
      const rows = await readLeasesOf(store, { folder }, after, listPage)
      const last = rows.at(-1)
      if (!last) return names.sort()
      after = last.id
      // A hundred thousand take a second, in which others have their turn.
      await endOfTurn()
      for (const row of rows) names.push((book.openIfWhole(row) ?? damagedRecord(row)).id.slice(path.length))
    }
  }

  async function backlog(): Promise<LeaseBacklog> {
    const before = clock.now().getTime() - graceMilliseconds
    const failing = await readFailing(store, before)
    let { count, oldestAt } = failing
    for (const mount of await readMounts(store)) {
      const overdue = await readOverdue(store, mount, before)
      count += overdue.count
      oldestAt = earlier(oldestAt, overdue.oldestAt)
    }
    const next = failing.nextTryAt !== null && isOpen() ? await readNextFailing(store) : undefined
    return {
      count,
      oldestAt: dateOrNull(oldestAt),
      nextTryAt: dateOrNull(failing.nextTryAt),
      error: next ? viewOf(next).error : null,
    }
  }

  return {
    backlog,
    count: () => countLeases(store),
    async page({ prefix = '', failing = false, cursor = '', limit }) {
      return failing
        ? pageOfFailing(folderPath(prefix), cursor, limit)
        : pageOfTree(folderPath(prefix), cursor, limit)
    },
    list,
    stubborn: async (limit) =>
      (await readFailingLeases(store, stubbornAttempts, new Uint8Array(), limit)).map(viewOf),
  }
}

const shown = ({ id, role, tokenId, renewable, error, ...times }: LeaseRecord) => ({
  id,
  role,
  tokenId,
  renewable,
  issuedAt: new Date(times.issuedAt),
  expiresAt: new Date(times.expiresAt),
  lastRenewedAt: dateOrNull(times.lastRenewedAt),
  error: error ?? null,
})

/** What is still known of a row that was altered or damaged. */
const damagedRecord = ({ id, expiresAt }: LeaseRow): LeaseRecord => ({
  id: `damaged-${hex(id).slice(0, 12)}`,
  mountId: '',
  role: '',
  state: {},
  tokenId: '',
  issuedAt: 0,
  expiresAt: Number(expiresAt),
  lastRenewedAt: null,
  renewable: false,
  ttlSeconds: 0,
  maxTtlSeconds: 0,
  tokenEndsAt: null,
  error: 'its entry was altered or damaged',
})

const states: Record<LeaseStage, CredentialLease['state']> = {
  pending: 'pending',
  live: 'live',
  ending: 'ending',
  unmade: 'ending',
  checking: 'ending',
}

const placed = ({ stage, attempts, dueAt }: LeaseRow) => ({
  state: states[stage],
  attempts,
  nextTryAt: attempts > 0 ? new Date(Number(dueAt)) : null,
})

const folderPath = (prefix: string): string => (prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
function cursorParts(cursor: string): string[] {
  if (!/^(?:[0-9a-f]+\.[0-9a-f]+)?$/.test(cursor))
    throw new AppError('request.invalid', 'the cursor is not valid')
  return cursor.split('.')
}

const dateOrNull = (at: number | null): Date | null => (at === null ? null : new Date(at))
const earlier = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b)
