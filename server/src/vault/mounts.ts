import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { AppError } from '../core/index.ts'
import type { Reader, Tx } from '../store/index.ts'
import type { Barrier } from './barrier/barrier.ts'
import type { Engine } from './engine.ts'
import { upgradeKv } from './engines/kv-upgrade.ts'
import { createKv1 } from './engines/kv1.ts'
import { createKv2 } from './engines/kv2.ts'
import { createKv2Store, type Kv2Store } from './engines/kv2-store.ts'
import { authPrefix, type MountConfig } from './mount-config.ts'
import type { Router } from './router.ts'

export type Mount = {
  /** Ends in `/`. */
  readonly path: string
  readonly type: string
  readonly id: string
  readonly accessor: string
  readonly description: string
  /** KV only. */
  readonly version: 1 | 2 | null
  /** KV whose version nobody has said: clients are shown what they wrote. */
  readonly unversioned?: boolean
  readonly config?: MountConfig
}

/** Makes the engine of a mount. `config` is what the mount was last tuned to. */
export type EngineMaker = (mount: Mount, config: () => MountConfig) => Engine
type MakersByType = Readonly<Record<string, () => Promise<EngineMaker>>>
/** Types that can be mounted beside KV: by `sys/mounts` and by `sys/auth`. A maker is fetched once, for the first mount of its type. */
export type EngineMakers = { readonly secret: MakersByType; readonly auth: MakersByType }

export type Mounts = {
  load(): Promise<void>
  setUp(tx: Tx): Promise<void>
  all(): readonly Mount[]
  /** The engine of a mount that exists. */
  engineById(id: string): Engine | undefined
  /** What can be mounted. */
  types(): { readonly secret: readonly string[]; readonly auth: readonly string[] }
  /** The mount that serves a path. */
  of(path: string): Mount | undefined
  kv2Of(path: string): { mount: Mount; store: Kv2Store } | undefined
  /** Fetches what a type needs, so that `enable` does not wait for it inside its transaction. */
  prepare(kind: Pick<Mount, 'path' | 'type'>): Promise<void>
  enable(tx: Tx, wanted: WantedMount): Promise<void>
  disable(tx: Tx, path: string): Promise<void>
  /** Throws when a mount cannot go from one path to the other. */
  assertMovable(from: string, to: string): void
  /** Gives it another path. What it holds stays; tokens that it gave out end. */
  move(tx: Tx, from: string, to: string): Promise<void>
  tune(
    tx: Tx,
    path: string,
    change: { description?: string; version?: string; config?: MountConfig; now: Date },
  ): Promise<void>
}

type Tuning = { readonly description?: string; readonly config?: MountConfig }
type FixedTuning = Readonly<Record<string, Tuning>>

/** An auth method's path begins with `auth/`, as everywhere in the vault. */
type WantedMount = {
  readonly path: string
  readonly type: string
  readonly version: string
  readonly description: string
  readonly config?: MountConfig
}
type Needs = {
  barrier: Barrier
  router: Pick<Router, 'replace'>
  /** Engines that are always there. */
  fixed: () => readonly { mount: Mount; engine: Engine }[]
  makers: EngineMakers
  /** What goes with an auth mount beside its own data: the tokens that it gave out. */
  onDisable: (tx: Tx, mount: Mount) => Promise<void>
}

const storedAt = 'sys/mounts'
const tuningStoredAt = 'sys/fixed-mounts'
/** The one of them that clients tune: its limits are those of every token made at it. */
const tokenMount = 'auth/token/'
const maxPathLength = 256
const kvTypes: ReadonlySet<string> = new Set(['kv', 'kv-v1', 'kv-v2'])

export function createMounts({ barrier, router, fixed, makers, onDisable }: Needs): Mounts {
  let mounts: readonly Mount[] = []
  /** By path, what was tuned of mounts that are always there. */
  let fixedTuning: FixedTuning = {}
  const stores = new Map<string, Kv2Store>()
  /** By mount, because an engine may keep something in memory. */
  const engines = new Map<string, Engine>()
  /** Those that have been fetched. */
  const made = new Map<() => Promise<EngineMaker>, EngineMaker>()

  function engineOf(mount: Mount): Engine {
    const known = engines.get(mount.id)
    if (known) return known
    const engine = makeEngine(mount)
    engines.set(mount.id, engine)
    return engine
  }
  function makeEngine(mount: Mount): Engine {
    const fetchMaker = makerOf(mount)
    if (fetchMaker) {
      const make = made.get(fetchMaker)
      assert(make, `the engine of ${mount.type} has not been fetched`)
      return make(mount, () => mounts.find(({ id }) => id === mount.id)?.config ?? {})
    }
    if (mount.version === 1) return createKv1(barrier, mount.id, mount.path)
    return createKv2(storeOf(mount), mount.path)
  }
  function storeOf(mount: Mount): Kv2Store {
    const known = stores.get(mount.id) ?? createKv2Store(barrier, mount.id)
    stores.set(mount.id, known)
    return known
  }
  function makerOf({ path, type }: Pick<Mount, 'path' | 'type'>): MakersByType[string] | undefined {
    const offered = path.startsWith(authPrefix) ? makers.auth : makers.secret
    return Object.hasOwn(offered, type) ? offered[type] : undefined
  }
  async function prepare(kind: Pick<Mount, 'path' | 'type'>): Promise<void> {
    const fetchMaker = makerOf(kind)
    if (!fetchMaker || made.has(fetchMaker)) return
    const make = await fetchMaker()
    // Of two who fetched it at once, the first: a maker may keep something in memory.
    if (!made.has(fetchMaker)) made.set(fetchMaker, make)
  }
  function adopt(next: readonly Mount[]): void {
    mounts = next
    for (const id of engines.keys()) if (!next.some((mount) => mount.id === id)) engines.delete(id)
    const routed = next.map((mount) => ({ path: mount.path, engine: engineOf(mount) }))
    router.replace([...routed, ...fixed().map(({ mount, engine }) => ({ path: mount.path, engine }))])
  }
  /** The table as a transaction sees it: one that waits for the same commit may have changed it. */
  async function stored(reader?: Reader): Promise<readonly Mount[]> {
    const bytes = await barrier.get(storedAt, reader)
    return bytes ? (JSON.parse(bytes.toString('utf8')) as Mount[]) : []
  }
  async function save(tx: Tx, next: readonly Mount[]): Promise<void> {
    await barrier.put(tx, storedAt, JSON.stringify(next))
    tx.afterCommit(() => adopt(next))
  }
  function movable(current: readonly Mount[], from: string, to: string): Mount {
    const isFixed = (path: string): boolean =>
      fixed().some(({ mount }) => path.startsWith(mount.path) || mount.path.startsWith(path))
    if (isFixed(from)) throw new AppError('request.invalid', `cannot remount "${from}"`)
    if (isFixed(to)) throw new AppError('request.invalid', `cannot remount to destination "${to}"`)
    const mount = current.find(({ path }) => path === from)
    if (!mount) throw new AppError('request.invalid', `no matching mount at "${from}"`)
    const taken = current.find(({ path }) => to.startsWith(path) || path.startsWith(to))
    if (taken) throw new AppError('request.invalid', `path already in use at "${taken.path}"`)
    return mount
  }
  const fixedMounts = (): Mount[] => fixed().map(({ mount }) => ({ ...mount, ...fixedTuning[mount.path] }))
  async function storedTuning(reader?: Reader): Promise<FixedTuning> {
    const bytes = await barrier.get(tuningStoredAt, reader)
    return bytes ? (JSON.parse(bytes.toString('utf8')) as FixedTuning) : {}
  }
  async function tuneFixed(tx: Tx, mount: Mount, { description, config }: Tuning): Promise<void> {
    const current = await storedTuning(tx)
    const known = current[mount.path]
    const next: FixedTuning = {
      ...current,
      [mount.path]: {
        description: description ?? known?.description ?? mount.description,
        config: { ...known?.config, ...config },
      },
    }
    await barrier.put(tx, tuningStoredAt, JSON.stringify(next))
    tx.afterCommit(() => {
      fixedTuning = next
    })
  }
  const all = (): Mount[] => [...mounts, ...fixedMounts()]
  const of = (path: string): Mount | undefined =>
    all()
      .filter((mount) => `${path}/`.startsWith(mount.path))
      .sort((a, b) => b.path.length - a.path.length)[0]

  /** The mount with the version that is asked for: an unversioned KV becomes a versioned one, and never the reverse. */
  async function versioned(tx: Tx, mount: Mount, change: { version?: string; now: Date }): Promise<Mount> {
    const { version } = change
    if (version === undefined || version === String(mount.version)) return mount
    if (mount.version !== 1)
      throw new AppError('request.invalid', `cannot downgrade mount from version ${mount.version ?? 'none'}`)
    await upgradeKv(tx, barrier, mount.id, change.now.getTime())
    tx.afterCommit(() => engines.delete(mount.id))
    const { unversioned: _, ...rest } = mount
    return { ...rest, version: 2 }
  }

  return {
    async load() {
      fixedTuning = await storedTuning()
      const known = await stored()
      await Promise.all(known.map(prepare))
      adopt(known)
    },
    setUp: (tx) => save(tx, [newMount('secret/', 'kv', 2, 'versioned secrets')]),
    all,
    types: () => ({ secret: ['kv', ...Object.keys(makers.secret)], auth: Object.keys(makers.auth) }),
    of,
    engineById: (id) => engines.get(id),
    prepare,
    kv2Of(path) {
      const mount = of(path)
      return mount?.version === 2 ? { mount, store: storeOf(mount) } : undefined
    },
    async enable(tx, { path: written, type, version, description, config }) {
      const path = cleanPath(written)
      const kv = !path.startsWith(authPrefix) && kvTypes.has(type)
      if (fixed().some(({ mount }) => mount.path === path))
        throw new AppError('request.invalid', `cannot mount "${path}"`)
      if (!kv && !makerOf({ path, type }))
        throw new AppError('request.invalid', `plugin not found in the catalog: ${type}`)
      const current = await stored(tx)
      const taken = [...current, ...fixed().map(({ mount }) => mount)].find(
        (mount) => path.startsWith(mount.path) || mount.path.startsWith(path),
      )
      if (taken)
        throw new AppError(
          'request.invalid',
          `path is already in use at ${taken.path.replace(/^auth\//, '')}`,
        )
      const mount = kv ? newKv(path, type, version, description) : newMount(path, type, null, description)
      await prepare(mount)
      await save(tx, [...current, config ? { ...mount, config } : mount])
    },
    async disable(tx, written) {
      const path = cleanPath(written)
      if (fixed().some(({ mount }) => mount.path === path))
        throw new AppError('request.invalid', `cannot unmount "${path}"`)
      const current = await stored(tx)
      const mount = current.find((known) => known.path === path)
      if (!mount) return
      await engineOf(mount).wipe(tx)
      await onDisable(tx, mount)
      await save(
        tx,
        current.filter((known) => known !== mount),
      )
    },
    assertMovable: (from, to) => void movable(mounts, from, cleanPath(to)),
    async move(tx, from, to) {
      const current = await stored(tx)
      const mount = movable(current, from, cleanPath(to))
      await onDisable(tx, mount)
      // An engine knows the path that it was made for.
      tx.afterCommit(() => engines.delete(mount.id))
      await save(
        tx,
        current.map((known) => (known === mount ? { ...mount, path: cleanPath(to) } : known)),
      )
    },
    async tune(tx, written, change) {
      const path = cleanPath(written)
      const current = await stored(tx)
      const always = fixed().find(({ mount }) => mount.path === path)
      if (always && path === tokenMount) return tuneFixed(tx, always.mount, change)
      const mount = current.find((known) => known.path === path)
      if (!mount) throw new AppError('request.invalid', `tune of path "${path}" failed: no mount entry found`)
      const tuned: Mount = {
        ...(await versioned(tx, mount, change)),
        description: change.description ?? mount.description,
        ...(change.config ? { config: { ...mount.config, ...change.config } } : {}),
      }
      await save(
        tx,
        current.map((known) => (known === mount ? tuned : known)),
      )
    },
  }
}

function newKv(path: string, type: string, version: string, description: string): Mount {
  const mount = newMount(path, 'kv', type === 'kv-v2' || version === '2' ? 2 : 1, description)
  return type === 'kv' && version === '' ? { ...mount, unversioned: true } : mount
}

function newMount(path: string, type: string, version: 1 | 2 | null, description: string): Mount {
  const id = randomUUID()
  const kind = path.startsWith(authPrefix) ? `auth_${type}` : type
  return { path, type, id, accessor: `${kind}_${id.slice(0, 8)}`, description, version }
}

function cleanPath(written: string): string {
  const path = `${written.replace(/^\/+|\/+$/g, '')}/`
  if (path === '/' || path === authPrefix || path.length > maxPathLength || /\/\/|[\p{Cc}*+]/u.test(path))
    throw new AppError('request.invalid', `"${written}" cannot be the path of a mount`)
  return path
}
