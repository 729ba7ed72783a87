import { AppError, type Clock, Secret } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Kv2Store } from './engines/kv2-store.ts'
import { isObject } from './fields.ts'
import type { Mounts } from './mounts.ts'

export type SecretVersion = {
  readonly version: number
  readonly createdAt: Date
  readonly data: Readonly<Record<string, Secret>>
}

/** Versioned secrets by path, mount first: `secret/shop/stripe`. */
export type VaultKv = {
  /** The newest version, or undefined when there is none or it is deleted. */
  read(path: string, reader?: Reader): Promise<SecretVersion | undefined>
  write(tx: Tx, path: string, data: Readonly<Record<string, Secret>>): Promise<{ version: number }>
  /** Names directly below a folder; a folder's name ends in `/`. */
  list(path: string): Promise<string[]>
  /** All versions. */
  remove(tx: Tx, path: string): Promise<void>
}

type Needs = {
  mounts: Pick<Mounts, 'kv2Of' | 'all'>
  clock: Pick<Clock, 'now'>
  /** False while the vault is sealed: its mounts are not known then, which must not look as if there were none. */
  isOpen: () => boolean
}

export function createKeywardKv({ mounts, clock, isOpen }: Needs): VaultKv {
  const now = (): number => clock.now().getTime()

  function placeOf(path: string): { store: Kv2Store; name: string } {
    if (!isOpen()) throw new AppError('vault.sealed')
    const found = mounts.kv2Of(path)
    if (!found) throw new AppError('secret.not_found', `no versioned secrets are mounted at "${path}"`)
    return { store: found.store, name: path.slice(found.mount.path.length) }
  }
  function secretOf(path: string): { store: Kv2Store; name: string } {
    const place = placeOf(path)
    if (place.name === '' || place.name.endsWith('/'))
      throw new AppError('request.invalid', `"${path}" is a folder; name a secret in it`)
    return place
  }

  return {
    async read(path, reader) {
      const { store, name } = secretOf(path)
      const meta = await store.meta(name, reader)
      const text = meta && (await store.text(name, meta, meta.current, now(), reader))
      if (!text) return undefined
      const createdAt = new Date(meta.versions[meta.current]?.createdAt ?? 0)
      return { version: meta.current, createdAt, data: fieldsOf(text.toString('utf8')) }
    },
    async write(tx, path, data) {
      const { store, name } = secretOf(path)
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
          .filter((mount) => mount.version === 2)
          .map((mount) => mount.path)
          .sort()
      const { store, name } = placeOf(path)
      return store.list(name === '' || name.endsWith('/') ? name : `${name}/`)
    },
    async remove(tx, path) {
      const { store, name } = secretOf(path)
      await store.remove(tx, name)
    },
  }
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
