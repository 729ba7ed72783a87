import { AppError } from '../../../core/index.ts'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import { invalid } from './inputs.ts'
import { type Key, type KeyRecord, keyOf, parseKey, type VersionRecord } from './key.ts'

/** The keys of one mount. */
export type KeyStore = {
  /** Without a reader from memory, where the keys of a hot record stay as objects until it changes or the vault is sealed. */
  get(name: string, reader?: Reader): Promise<Key | undefined>
  /** What `get` would give if it is in memory; undefined says nothing. */
  peek(name: string): Key | undefined
  put(tx: Tx, record: KeyRecord): Promise<Key>
  remove(tx: Tx, name: string): Promise<void>
  names(): Promise<string[]>
  mayUpsert(): Promise<boolean>
  setMayUpsert(tx: Tx, may: boolean): Promise<void>
  /** The pair that key material is wrapped for on its way here. */
  wrappingKey(reader?: Reader): Promise<Key | undefined>
  setWrappingKey(tx: Tx, record: KeyRecord): Promise<Key>
  wipe(tx: Tx): Promise<void>
}

const namePattern = /^[\w](?:[\w.-]*[\w])?$/

export function createKeyStore(barrier: Barrier, mountId: string): KeyStore {
  const root = `transit/${mountId}/`
  const folder = `${root}keys/`
  const upsertFlag = `${root}no-upsert`
  const wrappingPath = `${root}wrapping-key`

  async function put(tx: Tx, path: string, record: KeyRecord, show: 'listed' | 'hidden'): Promise<Key> {
    await barrier.put(tx, path, JSON.stringify(record), show)
    return keyOf(record)
  }

  return {
    get: (name, reader) => barrier.view(folder + name, parseKey, reader),
    peek: (name) => barrier.peek(folder + name, parseKey),
    put(tx, record) {
      if (!namePattern.test(record.name))
        throw invalid(
          `"${record.name}" cannot be the name of a key: letters, digits, "_", "-" and "." within`,
        )
      return put(tx, folder + record.name, record, 'listed')
    },
    async remove(tx, name) {
      await barrier.delete(tx, folder + name)
    },
    names: () => barrier.list(folder),
    mayUpsert: async () => (await barrier.get(upsertFlag)) === undefined,
    async setMayUpsert(tx, may) {
      if (may) await barrier.delete(tx, upsertFlag)
      else await barrier.put(tx, upsertFlag, '1', 'hidden')
    },
    wrappingKey: (reader) => barrier.view(wrappingPath, parseKey, reader),
    setWrappingKey: (tx, record) => put(tx, wrappingPath, record, 'hidden'),
    async wipe(tx) {
      await barrier.deleteFolder(tx, folder)
      await barrier.delete(tx, upsertFlag)
      await barrier.delete(tx, wrappingPath)
    },
  }
}

export async function requireKey(
  keys: KeyStore,
  name: string,
  refusal: string,
  reader?: Reader,
): Promise<Key> {
  const key = await keys.get(name, reader)
  if (!key) throw invalid(refusal)
  return key
}

export function assertUsable({ record }: Key): void {
  if (record.softDeleted) throw invalid('refusing to use soft-deleted key')
}

/** The record with one more version, which is used from now on. */
export function withVersion(record: KeyRecord, version: VersionRecord): KeyRecord {
  const latest = record.latest + 1
  return { ...record, latest, versions: { ...record.versions, [latest]: version } }
}

/** Whether the key is to be rotated before anything new is made with it. */
export function isDue({ record }: Key, now: Date): boolean {
  if (record.autoRotateSeconds === 0 || (record.imported && !record.allowRotation)) return false
  const newest = record.versions[record.latest]
  if (!newest) throw new AppError('vault.entry_corrupt', 'the latest version of a transit key is missing')
  return newest.createdAt + record.autoRotateSeconds * 1000 <= now.getTime()
}
