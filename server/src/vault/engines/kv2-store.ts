import { AppError } from '../../core/index.ts'
import type { Reader, Tx } from '../../store/index.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { entryBytes, entryFrom, longestBeside } from './kv2-entry.ts'
import {
  changeVersions,
  defaultConfig,
  isReadable,
  type Kv2Config,
  type Kv2Meta,
  newMeta,
  versionView,
  withNewVersion,
} from './kv2-meta.ts'

/** The versioned secrets of one mount, without any dialect. Values are the JSON text of an object. */
export type Kv2Store = {
  config(reader?: Reader): Promise<Kv2Config>
  setConfig(tx: Tx, config: Kv2Config): Promise<void>
  meta(name: string, reader?: Reader): Promise<Kv2Meta | undefined>
  /** What `meta` would give if it is in memory; undefined says nothing. */
  peek(name: string): Kv2Meta | undefined
  setMeta(tx: Tx, name: string, meta: Kv2Meta): Promise<void>
  /** JSON of one version as Vault shows it beside its values. */
  viewOf(meta: Kv2Meta, version: number): string
  /** The text of a version, or undefined when it is deleted, destroyed or unknown. The newest is there without waiting. */
  text(
    name: string,
    meta: Kv2Meta,
    version: number,
    now: number,
    reader?: Reader,
  ): Buffer | undefined | Promise<Buffer>
  /** `cas`: the version that the caller saw last; 0 for none yet. */
  write(
    tx: Tx,
    name: string,
    text: string,
    now: number,
    cas?: number,
  ): Promise<{ meta: Kv2Meta; version: number }>
  destroy(tx: Tx, name: string, versions: readonly number[], now: number): Promise<void>
  /** Everything about a secret. */
  remove(tx: Tx, name: string): Promise<boolean>
  list(folder: string): Promise<string[]>
  wipe(tx: Tx): Promise<void>
}

const parseConfig = (bytes: Buffer): Kv2Config => JSON.parse(bytes.toString('utf8')) as Kv2Config

export function createKv2Store(
  barrier: Pick<Barrier, 'get' | 'view' | 'peek' | 'put' | 'delete' | 'list'>,
  mountId: string,
): Kv2Store {
  const root = `kv/${mountId}/`
  const metaPath = (name: string): string => `${root}meta/${name}`
  const versionPath = (name: string, version: number): string => `${root}v/${version}/${name}`
  const configPath = `${root}config`
  /** Of each metadata in memory, the version that was asked for last, as text: it is read far more often than it changes. */
  const views = new WeakMap<Kv2Meta, { readonly version: number; readonly text: string }>()

  /** The text of the newest version, where it lies beside its metadata. */
  const beside = new WeakMap<Kv2Meta, Buffer>()

  function parseMeta(bytes: Buffer): Kv2Meta {
    const { meta: parsed, newest } = entryFrom(bytes)
    if (newest) beside.set(parsed, newest)
    return parsed
  }

  const meta = (name: string, reader?: Reader): Promise<Kv2Meta | undefined> =>
    barrier.view(metaPath(name), parseMeta, reader)

  async function put(
    tx: Tx,
    name: string,
    next: Kv2Meta,
    newest: Uint8Array | undefined,
    show?: 'there' | 'new',
  ): Promise<void> {
    const bytes = entryBytes(next, newest)
    try {
      await barrier.put(tx, metaPath(name), bytes, show)
    } finally {
      bytes.fill(0)
    }
  }

  async function setMeta(tx: Tx, name: string, next: Kv2Meta): Promise<void> {
    const before = await meta(name, tx)
    const newest = before && beside.get(before)
    const isKept = next.versions[next.current]?.destroyed !== true
    await put(tx, name, next, isKept ? newest : undefined)
  }

  const config = async (reader?: Reader): Promise<Kv2Config> =>
    (await barrier.view(configPath, parseConfig, reader)) ?? defaultConfig

  async function storedText(name: string, version: number, reader?: Reader): Promise<Buffer> {
    const bytes = await barrier.get(versionPath(name, version), reader)
    if (!bytes)
      throw new AppError('vault.entry_corrupt', `version ${version} of a secret is missing in the storage`)
    return bytes
  }

  async function remove(tx: Tx, name: string): Promise<boolean> {
    const known = await meta(name, tx)
    if (!known) return false
    for (const version of Object.keys(known.versions))
      await barrier.delete(tx, versionPath(name, Number(version)))
    return barrier.delete(tx, metaPath(name))
  }

  async function removeFolder(tx: Tx, folder: string): Promise<void> {
    for (const name of await barrier.list(metaPath(folder), tx)) {
      if (name.endsWith('/')) await removeFolder(tx, folder + name)
      else await remove(tx, folder + name)
    }
  }

  return {
    config,
    setConfig: (tx, next) => barrier.put(tx, configPath, JSON.stringify(next), 'hidden'),
    meta,
    peek: (name) => barrier.peek(metaPath(name), parseMeta),
    setMeta,
    viewOf(known, version) {
      const last = views.get(known)
      if (last?.version === version) return last.text
      const text = JSON.stringify(versionView(known, version))
      views.set(known, { version, text })
      return text
    },
    text(name, known, version, now, reader) {
      const entry = known.versions[version]
      if (!entry || !isReadable(entry, now)) return undefined
      const newest = version === known.current ? beside.get(known) : undefined
      return newest ?? storedText(name, version, reader)
    },
    async write(tx, name, text, now, cas) {
      const before = await meta(name, tx)
      const known = before ?? newMeta(now)
      const settings = await config()
      assertCas(known, settings, cas)
      const next = withNewVersion(known, settings, now)
      const last = before && beside.get(before)
      if (last && next.meta.versions[known.current])
        await barrier.put(tx, versionPath(name, known.current), last, 'hidden')
      for (const version of next.dropped) await barrier.delete(tx, versionPath(name, version))
      const newest = Buffer.from(text, 'utf8')
      const isShort = newest.length <= longestBeside
      if (!isShort) await barrier.put(tx, versionPath(name, next.version), newest, 'hidden')
      await put(tx, name, next.meta, isShort ? newest : undefined, before ? 'there' : 'new')
      newest.fill(0)
      return next
    },
    async destroy(tx, name, versions, now) {
      const known = await meta(name, tx)
      if (!known) return
      for (const version of versions) await barrier.delete(tx, versionPath(name, version))
      const destroyed = changeVersions(known, versions, now, (entry) => ({ ...entry, destroyed: true }))
      await setMeta(tx, name, destroyed)
    },
    remove,
    list: (folder) => barrier.list(metaPath(folder)),
    async wipe(tx) {
      await removeFolder(tx, '')
      await barrier.delete(tx, configPath)
    },
  }
}

function assertCas(meta: Kv2Meta, config: Kv2Config, cas: number | undefined): void {
  if (cas === undefined) {
    if (meta.casRequired || config.casRequired)
      throw new AppError('secret.cas_mismatch', 'check-and-set parameter required for this call')
    return
  }
  if (cas !== meta.current)
    throw new AppError(
      'secret.cas_mismatch',
      `check-and-set parameter did not match the current version, which is ${meta.current}`,
    )
}
