import { AppError } from '../../core/index.ts'
import type { Reader, Store, Tx } from '../../store/index.ts'
import {
  changeEntry,
  deleteEntry,
  hasChildren,
  hasEntry,
  putEntry,
  putKey,
  readChildren,
  readEntry,
  readKey,
  updateEntry,
} from '../vault-store.ts'
import { encrypt } from './cipher.ts'
import { type CachedEntry, createEntryCache, createKnown, parsedOf } from './entry-cache.ts'
import type { KeyRing, Term } from './key-ring.ts'
import { byCodePoint, folderOf, openName } from './names.ts'
import { corrupt, keyRingContext, openStoredRing } from './stored-ring.ts'

/**
 * Everything that the vault stores goes through here. Outside there are only ciphertexts under keyed digests of their
 * paths; inside, plain bytes under readable ones. Closed (sealed), every call fails with `vault.sealed`.
 */
export type Barrier = {
  get(path: string, reader?: Reader): Promise<Buffer | undefined>
  /** As `get`, with the bytes parsed; a hot entry is parsed once, so nobody may change what comes back. */
  view<T>(path: string, parse: (bytes: Buffer) => T, reader?: Reader): Promise<T | undefined>
  /** What `view` would give if it is in memory; undefined says nothing. */
  peek<T>(path: string, parse: (bytes: Buffer) => T): T | undefined
  put(tx: Tx, path: string, value: Uint8Array | string, show?: Listed): Promise<void>
  delete(tx: Tx, path: string): Promise<boolean>
  /** Every listed entry below `folder`. */
  deleteFolder(tx: Tx, folder: string): Promise<void>
  /** Names directly below `folder` (empty, or ending in `/`), sorted; a folder's name ends in `/`. */
  list(folder: string, reader?: Reader): Promise<string[]>
  /** For rows of the vault's other table, tokens: a keyed digest that finds a row, and its value closed and opened. */
  digest(kind: string, name: string): Buffer
  close(tx: Tx, context: string, plain: string): Promise<Buffer>
  reveal(context: string, closed: Uint8Array): string
  terms(): readonly Term[]
  isOpen(): boolean
  /** Takes the keys; they are wiped by `shut`. `rootKey` protects the ring when it changes. */
  open(ring: KeyRing, rootKey: Buffer): void
  shut(): void
  /** A new key for what is written from now on. */
  rotate(tx: Tx): Promise<void>
  /** Closes the ring with another root key, which the barrier takes over and holds once the transaction is committed. */
  replaceRootKey(tx: Tx, key: Buffer): Promise<void>
  /** How many encryptions the newest key has made; after a restart it may be too many, never too few. */
  encryptions(): number
  /** After so many encryptions with one key a new one is taken. */
  limitEncryptions(most: number): void
}

/**
 * `hidden` entries are found by their path only and cost a statement less to write. So do those of which the caller has seen in this
 * transaction that they are not there yet, to be listed from now on (`new`), or that they are (`there`).
 */
type Listed = 'listed' | 'hidden' | 'new' | 'there'
type Needs = { store: Pick<Store, 'get' | 'all'>; now: () => Date; cacheBytes?: number }

const defaultCacheBytes = 16 * 1024 * 1024
/** Random 96-bit nonces stay safe for 2^32 encryptions with one key; a new one is taken after nine tenths of them. */
export const mostEncryptionsPerKey = 3_865_470_566
/** The count is stored ahead of use in steps, so that a crash can only overestimate it. */
const reservedEncryptions = 2 ** 16
/** More than one entry takes: its value, its name and its folders'. */
const mostAtOnce = 2 ** 10
const folderMark = Buffer.from('/')

export function createBarrier({ store, now, cacheBytes = defaultCacheBytes }: Needs): Barrier {
  const cache = createEntryCache(cacheBytes)
  let ring: KeyRing | undefined
  let rootKey: Buffer | undefined
  /** Those that wait for their commit, newest first. Until then the stored ring is closed with one of them or the present one. */
  let nextRootKeys: readonly Buffer[] = []
  let encryptionsPerKey = mostEncryptionsPerKey
  let used = 0
  let reserved = 0
  /** Counts commits. A read that began before one must not fill the cache after it. */
  let commits = 0
  /** Paths with nothing at them, and folders that are there, as far as somebody asked: a statement less for each. */
  const absent = createKnown()
  const folders = createKnown()
  let emptied = 0
  /** Paths where transactions write that are not over, and how many. */
  const writing = new Map<string, number>()

  function keys(): KeyRing {
    if (!ring) throw new AppError('vault.sealed')
    return ring
  }

  async function load(path: string, reader: Reader): Promise<Buffer | undefined> {
    const { nameOf, decrypt } = keys()
    const found = await readEntry(reader, nameOf('entry', path))
    if (!found) return undefined
    const plain = decrypt(`entry\0${path}`, found.value)
    if (!plain) throw corrupt('An entry')
    return plain
  }

  /**
   * What is committed, from memory when it was read lately. A transaction reads the same as everybody, unless it, or another that is
   * not over, writes at this path.
   */
  function cached(
    path: string,
    reader: Reader = store,
  ): CachedEntry | Promise<CachedEntry | undefined> | undefined {
    keys()
    if (reader !== store && writing.has(path)) return loadUncommitted(path, reader)
    const hit = cache.get(path)
    return hit || absent.has(path) ? hit : loadAndKeep(path, reader)
  }

  async function loadUncommitted(path: string, reader: Reader): Promise<CachedEntry | undefined> {
    const fresh = await load(path, reader)
    return fresh && { bytes: fresh, parsed: undefined }
  }

  async function loadAndKeep(path: string, reader: Reader): Promise<CachedEntry | undefined> {
    const before = commits
    const bytes = await load(path, reader)
    const current = before === commits && ring !== undefined
    if (!bytes) {
      if (current) absent.add(path)
      return undefined
    }
    const entry = { bytes, parsed: undefined }
    if (current) cache.put(path, entry)
    return entry
  }

  /**
   * Changes the ring as this transaction sees it, not as memory holds it: transactions that wait for one commit together
   * must build on each other, or a key that something was encrypted with would be lost.
   */
  async function changeRing(tx: Tx, change: (stored: KeyRing) => boolean): Promise<void> {
    const { stored, key } = await storedRing(tx)
    if (!change(stored)) return stored.wipe()
    const bytes = stored.toBytes()
    await putKey(tx, 'keyring', encrypt(key, 0, keyRingContext, bytes))
    bytes.fill(0)
    tx.afterCommit(() => adopt(stored))
  }

  /** The ring as the transaction sees it, and the root key that it is closed with there. */
  async function storedRing(tx: Tx): Promise<{ stored: KeyRing; key: Buffer }> {
    if (!rootKey) throw new AppError('vault.sealed')
    const sealed = await readKey(tx, 'keyring')
    for (const key of [...nextRootKeys, rootKey]) {
      const stored = sealed && openStoredRing(sealed, key)
      if (stored) return { stored, key }
    }
    throw corrupt('The key ring')
  }

  async function replaceRootKey(tx: Tx, key: Buffer): Promise<void> {
    const { stored } = await storedRing(tx)
    const bytes = stored.toBytes()
    stored.wipe()
    await putKey(tx, 'keyring', encrypt(key, 0, keyRingContext, bytes))
    bytes.fill(0)
    nextRootKeys = [key, ...nextRootKeys]
    tx.afterCommit(() => {
      nextRootKeys = nextRootKeys.filter((waiting) => waiting !== key)
      rootKey?.fill(0)
      if (ring) rootKey = key
      else key.fill(0)
    })
  }

  function adopt(changed: KeyRing): void {
    if (!ring) {
      changed.wipe()
      return
    }
    const before = ring.newest().term
    ring.takeFrom(changed)
    if (ring.newest().term === before) return
    used = 0
    reserved = 0
  }

  /** Before encryptions: makes room in the stored count, or takes a new key, in time. Undefined when there is room, as nearly always. */
  function makeRoom(tx: Tx): Promise<void> | undefined {
    return used + mostAtOnce > reserved ? reserve(tx) : undefined
  }

  async function reserve(tx: Tx): Promise<void> {
    const current = keys()
    const reserving = Math.min(used + mostAtOnce + reservedEncryptions, encryptionsPerKey)
    const { term } = current.newest()
    await changeRing(tx, (stored) => {
      if (stored.newest().term !== term) return false
      if (used + mostAtOnce >= encryptionsPerKey) stored.addTerm(now())
      else stored.newest().encryptions = reserving
      return true
    })
    // Only what is on disk counts as reserved.
    tx.afterCommit(() => {
      if (ring?.newest().term === term) reserved = Math.max(reserved, reserving)
    })
  }

  function closed(keyRing: KeyRing, context: string, plain: Uint8Array): Buffer {
    used++
    return keyRing.encrypt(context, plain)
  }

  function sealName(keyRing: KeyRing, id: Buffer, name: string): Buffer {
    return closed(keyRing, `name\0${id.toString('hex')}`, Buffer.from(name, 'utf8'))
  }

  /** The folders above an entry, innermost first, until one is there already. */
  async function addFolders(tx: Tx, keyRing: KeyRing, innermost: string): Promise<void> {
    let folder = innermost
    let id = keyRing.nameOf('entry', folder)
    while (folder !== '' && !(await hasEntry(tx, id))) {
      const above = folderOf(folder)
      const parent = keyRing.nameOf('entry', above)
      const name = sealName(keyRing, id, folder.slice(above.length))
      const value = closed(keyRing, `entry\0${folder}`, folderMark)
      putEntry(tx, { id, parent, name, value })
      folder = above
      id = parent
    }
    // Nothing is learned from a transaction that another, which empties folders, has overtaken.
    const before = emptied
    tx.afterCommit(() => {
      if (before === emptied) folders.add(innermost)
    })
  }

  async function dropEmptyFolders(tx: Tx, keyRing: KeyRing, path: string): Promise<void> {
    let folder = folderOf(path)
    while (folder !== '' && !(await hasChildren(tx, keyRing.nameOf('entry', folder)))) {
      emptied++
      folders.clear()
      await deleteEntry(tx, keyRing.nameOf('entry', folder))
      folder = folderOf(folder)
    }
  }

  /** Before a write: memory does not speak for this path until the transaction is over. */
  function claim(tx: Tx, path: string): void {
    writing.set(path, (writing.get(path) ?? 0) + 1)
    tx.afterCommit(() => {
      commits++
      cache.delete(path)
      absent.delete(path)
    })
    tx.afterEnd(() => {
      const others = (writing.get(path) ?? 1) - 1
      if (others > 0) writing.set(path, others)
      else writing.delete(path)
    })
  }

  /** Undefined when there is nothing to wait for. */
  function insert(
    tx: Tx,
    keyRing: KeyRing,
    path: string,
    value: Buffer,
    show: Listed,
  ): Promise<void> | undefined {
    const id = keyRing.nameOf('entry', path)
    switch (show) {
      case 'hidden':
        return void putEntry(tx, { id, parent: null, name: null, value })
      case 'there':
        return void changeEntry(tx, id, value)
      case 'new':
        return insertListed(tx, keyRing, path, id, value)
      case 'listed':
        return updateEntry(tx, id, value).then((was) =>
          was ? undefined : insertListed(tx, keyRing, path, id, value),
        )
    }
  }

  function insertListed(
    tx: Tx,
    keyRing: KeyRing,
    path: string,
    id: Buffer,
    value: Buffer,
  ): Promise<void> | undefined {
    const folder = folderOf(path)
    const name = sealName(keyRing, id, path.slice(folder.length))
    putEntry(tx, { id, parent: keyRing.nameOf('entry', folder), name, value })
    return folder === '' || folders.has(folder) ? undefined : addFolders(tx, keyRing, folder)
  }

  async function remove(tx: Tx, path: string): Promise<boolean> {
    const keyRing = keys()
    claim(tx, path)
    const was = await deleteEntry(tx, keyRing.nameOf('entry', path))
    if (was) await dropEmptyFolders(tx, keyRing, path)
    return was
  }

  async function list(folder: string, reader: Reader = store): Promise<string[]> {
    const keyRing = keys()
    const rows = await readChildren(reader, keyRing.nameOf('entry', folder))
    return rows.map(({ id, name }) => openName(keyRing, folder, id, name)).sort(byCodePoint)
  }

  async function removeFolder(tx: Tx, folder: string): Promise<void> {
    for (const name of await list(folder, tx)) {
      if (name.endsWith('/')) await removeFolder(tx, folder + name)
      else await remove(tx, folder + name)
    }
  }

  return {
    get: async (path, reader) => (await cached(path, reader))?.bytes,
    async view(path, parse, reader) {
      const known = cached(path, reader)
      // Most are known, and are not waited for.
      const entry = known instanceof Promise ? await known : known
      return entry && parsedOf(entry, parse)
    },
    peek(path, parse) {
      keys()
      const entry = cache.get(path)
      return entry && parsedOf(entry, parse)
    },
    async put(tx, path, value, show = 'listed') {
      const keyRing = keys()
      claim(tx, path)
      const room = makeRoom(tx)
      if (room) await room
      const plain = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
      const sealed = closed(keyRing, `entry\0${path}`, plain)
      if (typeof value === 'string') plain.fill(0)
      const stored = insert(tx, keyRing, path, sealed, show)
      if (stored) await stored
    },
    delete: remove,
    deleteFolder: removeFolder,
    list,
    digest: (kind, name) => keys().nameOf(kind, name),
    async close(tx, context, plain) {
      const keyRing = keys()
      await makeRoom(tx)
      const bytes = Buffer.from(plain, 'utf8')
      const value = closed(keyRing, context, bytes)
      bytes.fill(0)
      return value
    },
    reveal(context, closed) {
      const plain = keys().decrypt(context, closed)
      if (!plain) throw corrupt('A token')
      return plain.toString('utf8')
    },
    terms: () => keys().terms,
    isOpen: () => ring !== undefined,
    open(openRing, key) {
      ring = openRing
      rootKey = key
      used = openRing.newest().encryptions
      reserved = used
    },
    shut() {
      ring?.wipe()
      rootKey?.fill(0)
      for (const key of nextRootKeys) key.fill(0)
      ring = undefined
      rootKey = undefined
      nextRootKeys = []
      cache.clear()
      absent.clear()
      folders.clear()
    },
    rotate: (tx) =>
      changeRing(tx, (stored) => {
        stored.addTerm(now())
        return true
      }),
    replaceRootKey,
    encryptions: () => used,
    limitEncryptions(most) {
      encryptionsPerKey = Math.min(most, mostEncryptionsPerKey)
      reserved = Math.min(reserved, encryptionsPerKey)
    },
  }
}
