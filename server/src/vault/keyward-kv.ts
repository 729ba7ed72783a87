import { AppError, type Clock, Secret } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Barrier } from './barrier/barrier.ts'
import { kv1Folder } from './engines/kv1.ts'
import type { Kv2Store } from './engines/kv2-store.ts'
import { isObject } from './fields.ts'
import type { Mount, Mounts } from './mounts.ts'

export type SecretVersion = {
  /** Null in a mount that keeps no versions, KV version 1, which knows no times either. */
  readonly version: number | null
  readonly createdAt: Date | null
  readonly data: Readonly<Record<string, Secret>>
}

export type FieldChange = {
  readonly field: string
  readonly change: 'added' | 'removed' | 'changed' | 'same'
}

export type SecretHistory = {
  readonly current: number
  /** 0: as many as the mount keeps. */
  readonly maxVersions: number
  readonly casRequired: boolean
  /** Oldest first. */
  readonly versions: readonly {
    readonly version: number
    readonly createdAt: Date
    readonly deletedAt: Date | undefined
    readonly destroyed: boolean
  }[]
}

/** Secrets by path, mount first: `secret/shop/stripe`. What is about versions, and writing, is for mounts that keep them. */
export type VaultKv = {
  /** The newest version, or undefined when there is none or it is deleted. */
  read(path: string, reader?: Reader): Promise<SecretVersion | undefined>
  /** One version; undefined when it never was, or is deleted or destroyed. */
  readVersion(path: string, version: number): Promise<SecretVersion | undefined>
  /** What is known of all versions; never values. */
  history(path: string): Promise<SecretHistory | undefined>
  /** Which fields differ; undefined when one of the two cannot be read. */
  compare(path: string, from: number, to: number): Promise<FieldChange[] | undefined>
  /** The mount and the name below it, for the vault's own addresses. */
  locate(path: string): { readonly mountPath: string; readonly name: string }
  write(tx: Tx, path: string, data: Readonly<Record<string, Secret>>): Promise<{ version: number }>
  /** Names directly below a folder; a folder's name ends in `/`. */
  list(path: string): Promise<string[]>
  /** All versions. */
  remove(tx: Tx, path: string): Promise<void>
}

type Needs = {
  mounts: Pick<Mounts, 'kv2Of' | 'of' | 'all'>
  barrier: Pick<Barrier, 'get' | 'list'>
  clock: Pick<Clock, 'now'>
  /** False while the vault is sealed: its mounts are not known then, which must not look as if there were none. */
  isOpen: () => boolean
}

export function createKeywardKv({ mounts, barrier, clock, isOpen }: Needs): VaultKv {
  const now = (): number => clock.now().getTime()

  type Place = { mount: Mount; name: string }
  function placeOf(path: string): Place {
    if (!isOpen()) throw new AppError('vault.sealed')
    const mount = mounts.of(path)
    if (!mount || mount.version === null)
      throw new AppError('secret.not_found', `no secrets are mounted at "${path}"`)
    return { mount, name: path.slice(mount.path.length) }
  }
  function secretOf(path: string): Place {
    const place = placeOf(path)
    if (place.name === '' || place.name.endsWith('/'))
      throw new AppError('request.invalid', `"${path}" is a folder; name a secret in it`)
    return place
  }

  function versionedAt(path: string): { store: Kv2Store; mountPath: string; name: string } {
    const { mount, name } = secretOf(path)
    const store = mounts.kv2Of(path)?.store
    if (!store)
      throw new AppError(
        'request.invalid',
        `${mount.path} is KV version 1, which keeps no versions: read and write it at /v1/${path}`,
      )
    return { store, mountPath: mount.path, name }
  }

  async function readPlain({ mount, name }: Place, reader?: Reader): Promise<SecretVersion | undefined> {
    const bytes = await barrier.get(kv1Folder(mount.id) + name, reader)
    return bytes && { version: null, createdAt: null, data: fieldsOf(bytes.toString('utf8')) }
  }

  async function readOne(
    path: string,
    wanted: number | undefined,
    reader?: Reader,
  ): Promise<SecretVersion | undefined> {
    const { store, name } = versionedAt(path)
    const meta = await store.meta(name, reader)
    const version = wanted ?? meta?.current ?? 0
    const text = meta && (await store.text(name, meta, version, now(), reader))
    if (!text) return undefined
    const createdAt = new Date(meta.versions[version]?.createdAt ?? 0)
    return { version, createdAt, data: fieldsOf(text.toString('utf8')) }
  }

  return {
    async read(path, reader) {
      const place = secretOf(path)
      return place.mount.version === 1 ? readPlain(place, reader) : readOne(path, undefined, reader)
    },
    readVersion: (path, version) => readOne(path, version),
    async history(path) {
      const { store, name } = versionedAt(path)
      const meta = await store.meta(name)
      if (!meta) return undefined
      const versions = Object.entries(meta.versions).map(([number, version]) => ({
        version: Number(number),
        createdAt: new Date(version.createdAt),
        deletedAt: version.deletedAt === undefined ? undefined : new Date(version.deletedAt),
        destroyed: version.destroyed ?? false,
      }))
      const { current, maxVersions, casRequired } = meta
      return { current, maxVersions, casRequired, versions: versions.sort((a, b) => a.version - b.version) }
    },
    async compare(path, from, to) {
      const [before, after] = await Promise.all([readOne(path, from), readOne(path, to)])
      return before && after && changesBetween(before.data, after.data)
    },
    locate(path) {
      const { mountPath, name } = versionedAt(path)
      if (name.split('/').includes('') || /\p{Cc}/u.test(name))
        throw new AppError('request.invalid', `"${path}" cannot be the path of a secret`)
      return { mountPath, name }
    },
    async write(tx, path, data) {
      const { store, name } = versionedAt(path)
      const revealed = Object.entries(data).map(([field, value]) => [field, value.reveal()])
      const { version } = await store.write(tx, name, JSON.stringify(Object.fromEntries(revealed)), now())
      return { version }
    },
    async list(path) {
      if (!isOpen()) throw new AppError('vault.sealed')
      // The root has no engine of its own: it holds the mounts.
      if (path === '' || path === '/')
        return mounts
          .all()
          .filter((mount) => mount.version !== null)
          .map((mount) => mount.path)
          .sort()
      const { mount, name } = placeOf(path)
      const folder = name === '' || name.endsWith('/') ? name : `${name}/`
      return mounts.kv2Of(path)?.store.list(folder) ?? barrier.list(kv1Folder(mount.id) + folder)
    },
    async remove(tx, path) {
      const { store, name } = versionedAt(path)
      await store.remove(tx, name)
    },
  }
}

type Fields = Readonly<Record<string, Secret>>

function changesBetween(before: Fields, after: Fields): FieldChange[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return fields.map((field) => {
    const old = Object.hasOwn(before, field) ? before[field] : undefined
    const fresh = Object.hasOwn(after, field) ? after[field] : undefined
    if (!old || !fresh) return { field, change: old ? 'removed' : 'added' }
    return { field, change: old.reveal() === fresh.reveal() ? 'same' : 'changed' }
  })
}

/** A field that is not text, as other clients may write it, comes as its JSON. */
function fieldsOf(text: string): Record<string, Secret> {
  const parsed: unknown = JSON.parse(text)
  const entries = isObject(parsed) ? Object.entries(parsed) : []
  return Object.fromEntries(
    entries.map(([field, value]) => [
      field,
      new Secret(typeof value === 'string' ? value : JSON.stringify(value)),
    ]),
  )
}
