import { AppError, reasonOf } from '../../core/index.ts'
import { importAppRoles, importPolicies, nameUsers } from './access.ts'
import { type Fields, fieldsOf, isPlain, type VaultApi } from './api.ts'
import { importKv, type KvMount } from './kv.ts'
import type { Conflict, ImportReport, Item, Progress } from './report.ts'

type Options = {
  readonly source: VaultApi
  readonly target: VaultApi
  readonly dryRun: boolean
  readonly conflict: Conflict
  /** Mounts to take; all when empty. */
  readonly only: readonly string[]
  readonly onItem: (item: Item) => void
}

/** Of every vault, and of no interest to another. */
const own: ReadonlySet<string> = new Set([
  'system',
  'cubbyhole',
  'identity',
  'token',
  'ns_system',
  'ns_cubbyhole',
])

/**
 * Takes over what another vault holds: secrets with their versions, policies, AppRoles. It only reads there. Done again it finds
 * what is here and goes on.
 */
export async function importVault(options: Options): Promise<ImportReport> {
  const { source, target, dryRun } = options
  const items: Item[] = []
  const remarks: string[] = []
  const progress: Progress = {
    add(item) {
      items.push(item)
      options.onItem(item)
    },
    remark: (text) => void remarks.push(text),
  }
  if (source.address === target.address)
    throw new AppError('request.invalid', 'the vault to import from is this one')
  await importSecrets(options, progress)
  if (options.only.length === 0) await importPolicies(options, options, progress)
  await importAuth(options, progress)
  return { from: source.address, dryRun, items, remarks }
}

const isWanted = ({ only }: Options, path: string): boolean =>
  only.length === 0 || only.some((wanted) => `${wanted.replace(/\/$/, '')}/` === path)

async function importSecrets(options: Options, progress: Progress): Promise<void> {
  const { source, target } = options
  const theirs = fieldsOf(await source.read('sys/mounts'))
  const ours = fieldsOf(await target.read('sys/mounts'))
  for (const [path, value] of Object.entries(theirs)) {
    const mount = fieldsOf(value)
    const type = String(mount['type'])
    if (own.has(type) || !path.endsWith('/') || !isWanted(options, path)) continue
    if (!isPlain(path)) {
      progress.add(notAPath(path))
      continue
    }
    const kv = kvOf(path, mount)
    if (!kv) {
      progress.remark(`${path} is of type ${type}: its keys stay in it, so it is not imported.`)
      continue
    }
    const here = ours[path]
    if (await prepareMount(options, progress, { kind: 'mounts', path, mount, here, kv }))
      await importKv(options, kv, options, progress)
  }
}

const notAPath = (path: string): Item => ({
  kind: 'mount',
  path,
  outcome: 'failed',
  detail: 'this cannot be the path of a mount',
})

function kvOf(path: string, mount: Fields): KvMount | undefined {
  const type = String(mount['type'])
  if (type !== 'kv' && type !== 'generic') return undefined
  return { path, version: fieldsOf(mount['options'])['version'] === '2' ? 2 : 1 }
}

async function importAuth(options: Options, progress: Progress): Promise<void> {
  const { source, target } = options
  const theirs = fieldsOf(await source.read('sys/auth'))
  const ours = fieldsOf(await target.read('sys/auth'))
  for (const [name, value] of Object.entries(theirs)) {
    const mount = fieldsOf(value)
    const type = String(mount['type'])
    const path = `auth/${name}`
    if (own.has(type) || !name.endsWith('/') || !isWanted(options, path)) continue
    if (!isPlain(path)) {
      progress.add(notAPath(path))
      continue
    }
    if (type === 'userpass') await nameUsers(source, path, progress)
    else if (type !== 'approle') {
      progress.remark(`${path} is of type ${type}: set it up here by hand.`)
      continue
    }
    const here = ours[name]
    const ready = await prepareMount(options, progress, { kind: 'auth', path: name, mount, here })
    if (ready && type === 'approle') await importAppRoles(options, path, options, progress)
  }
}

type Place = {
  readonly kind: 'mounts' | 'auth'
  readonly path: string
  readonly mount: Fields
  /** What stands at this path here. */
  readonly here: unknown
  readonly kv?: KvMount
}

/** Whether there is a mount of this kind to import into. */
async function prepareMount(
  { target, dryRun }: Options,
  progress: Progress,
  { kind, path, mount, here, kv }: Place,
): Promise<boolean> {
  const shown = kind === 'auth' ? `auth/${path}` : path
  if (here) {
    const found = fieldsOf(here)
    const fits = kv ? kvOf(path, found)?.version === kv.version : found['type'] === mount['type']
    progress.add(
      fits
        ? { kind: 'mount', path: shown, outcome: 'present' }
        : { kind: 'mount', path: shown, outcome: 'kept', detail: 'another kind of mount is here' },
    )
    return fits
  }
  if (dryRun) {
    progress.add({ kind: 'mount', path: shown, outcome: 'planned' })
    return true
  }
  try {
    await target.write(`sys/${kind}/${path.replace(/\/$/, '')}`, {
      type: mount['type'] === 'generic' ? 'kv' : mount['type'],
      description: mount['description'] ?? '',
      config: configOf(fieldsOf(mount['config'])),
      ...(kv ? { options: { version: String(kv.version) } } : {}),
    })
    progress.add({ kind: 'mount', path: shown, outcome: 'created' })
    return true
  } catch (error) {
    progress.add({ kind: 'mount', path: shown, outcome: 'failed', detail: reasonOf(error) })
    return false
  }
}

/** Times are numbers there and text when they are written. */
function configOf({ default_lease_ttl, max_lease_ttl, listing_visibility, token_type }: Fields): Fields {
  const seconds = (value: unknown): string => `${JSON.stringify(value ?? 0)}s`
  return {
    default_lease_ttl: seconds(default_lease_ttl),
    max_lease_ttl: seconds(max_lease_ttl),
    ...(listing_visibility ? { listing_visibility } : {}),
    ...(token_type ? { token_type } : {}),
  }
}
