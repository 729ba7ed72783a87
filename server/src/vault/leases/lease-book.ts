import { AppError } from '../../core/index.ts'
import type { Reader, Store, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import type { LeaseState } from '../engine.ts'
import {
  deleteEmptyFolder,
  deleteLease,
  hasFolder,
  insertFolder,
  insertLease,
  type LeaseRow,
  readFolders,
  readLease,
} from './lease-store.ts'

/** What is stored of a lease, closed. Times are milliseconds. */
export type LeaseRecord = {
  /** `database/creds/shop/<24 random letters>`: who knows it may not use it without a token that may. */
  readonly id: string
  readonly mountId: string
  readonly role: string
  readonly state: LeaseState
  /** Public name of the token that asked, for audit. */
  readonly tokenId: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly lastRenewedAt: number | null
  readonly renewable: boolean
  /** What its role asked for; the mount's and the system's limits are asked anew when it is renewed. */
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  /** The latest that its token could live until; null: for ever. */
  readonly tokenEndsAt: number | null
  /** Why it could not be ended, in words that hold no secret. */
  readonly error?: string
}
export type StoredLease = { readonly row: LeaseRow; readonly record: LeaseRecord }

/** Leases and the folders that their ids lie in, as the store keeps them: found by digests, read through the barrier. */
export type LeaseBook = {
  idOf(leaseId: string): Buffer
  mountOf(mountId: string): Buffer
  roleOf(mountId: string, role: string): Buffer
  folderOf(path: string): Buffer
  open(row: LeaseRow): LeaseRecord
  /** Undefined for what was altered or damaged: one bad row must not stand in the way of the others. */
  openIfWhole(row: LeaseRow): LeaseRecord | undefined
  close(tx: Tx, row: Omit<LeaseRow, 'value'>, record: LeaseRecord): Promise<LeaseRow>
  find(leaseId: string, reader?: Reader): Promise<StoredLease | undefined>
  /** With the folders above it. */
  insert(tx: Tx, row: Omit<LeaseRow, 'value' | 'folder' | 'mount'>, record: LeaseRecord): Promise<void>
  /** With the folders that are empty then. */
  remove(tx: Tx, row: LeaseRow): Promise<void>
  /** Names below `path`, which is empty or ends in `/`; each name ends in `/`. */
  folders(path: string, reader?: Reader): Promise<string[]>
  /** `path` and every folder below it. */
  tree(path: string, reader?: Reader): Promise<string[]>
}

type Needs = { barrier: Pick<Barrier, 'digest' | 'close' | 'reveal'>; store: Pick<Store, 'get' | 'all'> }

export function createLeaseBook({ barrier, store }: Needs): LeaseBook {
  const idOf = (leaseId: string): Buffer => barrier.digest('lease', leaseId)
  const folderOf = (path: string): Buffer => barrier.digest('lease folder', path)
  const mountOf = (mountId: string): Buffer => barrier.digest('lease mount', mountId)
  const open = (row: LeaseRow): LeaseRecord =>
    JSON.parse(barrier.reveal(contextOf(row), row.value)) as LeaseRecord

  function openIfWhole(row: LeaseRow): LeaseRecord | undefined {
    try {
      return open(row)
    } catch (error) {
      if (error instanceof AppError && error.code === 'vault.entry_corrupt') return undefined
      throw error
    }
  }

  async function close(tx: Tx, row: Omit<LeaseRow, 'value'>, record: LeaseRecord): Promise<LeaseRow> {
    return { ...row, value: await barrier.close(tx, contextOf(row), JSON.stringify(record)) }
  }

  async function addFolders(tx: Tx, path: string): Promise<void> {
    for (let folder = path; folder !== '' && !(await hasFolder(tx, folderOf(folder))); ) {
      const above = parentOf(folder)
      const id = folderOf(folder)
      const name = await barrier.close(tx, folderContext(id), folder.slice(above.length))
      await insertFolder(tx, { id, parent: folderOf(above), name })
      folder = above
    }
  }

  async function folders(path: string, reader: Reader = store): Promise<string[]> {
    const rows = await readFolders(reader, folderOf(path))
    return rows.map(({ id, name }) => barrier.reveal(folderContext(id), name)).sort()
  }

  async function tree(path: string, reader: Reader = store): Promise<string[]> {
    const found = [path]
    for (const folder of found) for (const name of await folders(folder, reader)) found.push(folder + name)
    return found
  }

  return {
    idOf,
    mountOf,
    roleOf: (mountId, role) => barrier.digest('lease role', `${mountId}\0${role}`),
    folderOf,
    open,
    openIfWhole,
    close,
    async find(leaseId, reader = store) {
      const row = await readLease(reader, idOf(leaseId))
      return row && { row, record: open(row) }
    },
    async insert(tx, fields, record) {
      const folder = parentOf(record.id)
      const row = { ...fields, folder: folderOf(folder), mount: mountOf(record.mountId) }
      await insertLease(tx, await close(tx, row, record))
      await addFolders(tx, folder)
    },
    async remove(tx, { id, folder }) {
      await deleteLease(tx, id)
      for (let next: Uint8Array | null = folder; next; ) next = await deleteEmptyFolder(tx, next)
    },
    folders,
    tree,
  }
}

/** `a/b/c` and `a/b/c/` lie in `a/b/`; `a` lies in the root, which is empty. */
const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/', path.length - 2) + 1)

/** Binds the value to every column that decides how long it lives and who takes it along. */
function contextOf(row: Omit<LeaseRow, 'value'>): string {
  const text = (bytes: Uint8Array | null): string => (bytes ? Buffer.from(bytes).toString('hex') : '-')
  const places = [row.id, row.mount, row.folder, row.token, row.role].map(text).join('\0')
  return `lease\0${places}\0${row.expiresAt}`
}

const folderContext = (id: Uint8Array): string => `lease folder\0${Buffer.from(id).toString('hex')}`

export const leaseNotFound = (): AppError => new AppError('request.invalid', 'invalid lease')
