import { reasonOf } from '../../core/index.ts'
import { type Fields, fieldsOf, type VaultApi } from './api.ts'
import type { Conflict, Outcome, Progress } from './report.ts'

type Sides = { readonly source: VaultApi; readonly target: VaultApi }
type Options = { readonly dryRun: boolean; readonly conflict: Conflict }
export type KvMount = { readonly path: string; readonly version: 1 | 2 }

/** More empty versions than this are not made only so that numbers stay the same. */
const mostFillers = 200
const secretsAtOnce = 6
/** A vault that means it has no longer paths; one that does not could go on for ever. */
const longestPath = 1024

/** All secrets below a mount, with their versions where there are versions. Done again, it goes on where it stopped. */
export async function importKv(
  sides: Sides,
  mount: KvMount,
  options: Options,
  progress: Progress,
): Promise<void> {
  const root = mount.version === 2 ? `${mount.path}metadata/` : mount.path
  const names = walk(sides.source, root, '', (folder, detail) =>
    progress.add({ kind: 'secret', path: mount.path + folder, outcome: 'failed', detail }),
  )
  const worker = async (): Promise<void> => {
    for await (const name of names) {
      const path = mount.path + name
      try {
        progress.add({ kind: 'secret', path, ...(await importOne(sides, mount, name, options)) })
      } catch (error) {
        progress.add({ kind: 'secret', path, outcome: 'failed', detail: reasonOf(error) })
      }
    }
  }
  await Promise.all(Array.from({ length: secretsAtOnce }, worker))
}

async function* walk(
  source: VaultApi,
  root: string,
  folder: string,
  onFailure: (folder: string, reason: string) => void,
): AsyncGenerator<string> {
  for (const name of await namesIn(source, root, folder, onFailure)) {
    if (name.endsWith('/')) yield* walk(source, root, folder + name, onFailure)
    else yield folder + name
  }
}

async function namesIn(
  source: VaultApi,
  root: string,
  folder: string,
  onFailure: (folder: string, reason: string) => void,
): Promise<string[]> {
  if (folder.length > longestPath) {
    onFailure(`${folder.slice(0, 40)}…`, `its path has more than ${longestPath} characters`)
    return []
  }
  try {
    return await source.list(root + folder)
  } catch (error) {
    // The mount itself: nothing of it can be had.
    if (folder === '') throw error
    onFailure(folder, reasonOf(error))
    return []
  }
}

type Done = { readonly outcome: Outcome; readonly detail?: string }

function importOne(sides: Sides, mount: KvMount, name: string, options: Options): Promise<Done> {
  return mount.version === 2
    ? importVersions(sides, mount.path, name, options)
    : importPlain(sides, mount.path + name, options)
}

async function importPlain({ source, target }: Sides, path: string, options: Options): Promise<Done> {
  if (options.dryRun) return (await target.read(path)) ? differs : planned
  const theirs = await source.read(path)
  if (!theirs) return { outcome: 'failed', detail: 'it is gone' }
  const ours = await target.read(path)
  if (ours && same(ours, theirs)) return { outcome: 'present' }
  if (ours && options.conflict === 'keep') return { outcome: 'kept', detail: 'the value here is another' }
  await target.write(path, theirs)
  return { outcome: ours ? 'replaced' : 'created' }
}

const planned: Done = { outcome: 'planned' }
const differs: Done = { outcome: 'planned', detail: 'there is one of this name here: it is compared first' }

type Metadata = {
  readonly current: number
  readonly oldest: number
  /** Numbers of the versions whose value can be read. */
  readonly readable: ReadonlySet<number>
  readonly settings: Fields
}

async function metadataOf(api: VaultApi, mount: string, name: string): Promise<Metadata | undefined> {
  const data = await api.read(`${mount}metadata/${name}`)
  if (!data) return undefined
  const versions = Object.entries(fieldsOf(data['versions']))
  const readable = versions.filter(([, version]) => {
    const { deletion_time: deleted, destroyed } = fieldsOf(version)
    return destroyed !== true && (!deleted || Date.parse(String(deleted)) > Date.now())
  })
  const { max_versions, cas_required, custom_metadata, delete_version_after } = data
  return {
    current: Number(data['current_version']),
    oldest: Math.min(...versions.map(([number]) => Number(number)), Number.POSITIVE_INFINITY),
    readable: new Set(readable.map(([number]) => Number(number))),
    settings: { max_versions, cas_required, custom_metadata, delete_version_after },
  }
}

async function importVersions(sides: Sides, mount: string, name: string, options: Options): Promise<Done> {
  const { source, target } = sides
  const theirs = await metadataOf(source, mount, name)
  if (!theirs) return { outcome: 'failed', detail: 'it is gone' }
  const ours = await metadataOf(target, mount, name)
  const before = ours?.current ?? 0
  const lost = lostWords(theirs)
  if (options.dryRun) return before > 0 ? differs : { ...planned, ...lost }
  if (ours && !(await isPrefix(sides, mount, name, ours, theirs)))
    return resolveConflict(sides, mount, name, theirs.current, options)
  if (before < theirs.current) await copyVersions(sides, mount, name, theirs, before + 1)
  await settle(target, mount, name, theirs)
  if (before === 0) return { outcome: 'created', ...lost }
  return { outcome: before < theirs.current ? 'continued' : 'present', ...lost }
}

async function resolveConflict(
  { source, target }: Sides,
  mount: string,
  name: string,
  newest: number,
  { conflict }: Options,
): Promise<Done> {
  if (conflict === 'keep') return { outcome: 'kept', detail: 'the versions here are others' }
  const value = await contentOf(source, mount, name, newest)
  if (value) await target.write(`${mount}data/${name}`, { data: value })
  return { outcome: 'replaced' }
}

/** What is here already is what theirs began with: an import that was stopped, or one that is done. */
async function isPrefix(
  { source, target }: Sides,
  mount: string,
  name: string,
  ours: Metadata,
  theirs: Metadata,
): Promise<boolean> {
  if (ours.current > theirs.current) return false
  for (const version of theirs.readable) {
    if (version > ours.current) continue
    const here = await contentOf(target, mount, name, version)
    const there = await contentOf(source, mount, name, version)
    if (!here || !there || !same(here, there)) return false
  }
  return true
}

async function copyVersions(
  { source, target }: Sides,
  mount: string,
  name: string,
  { current, oldest, readable, settings }: Metadata,
  from: number,
): Promise<void> {
  // Before the versions, or the older ones would be dropped as they come.
  await target.write(`${mount}metadata/${name}`, { ...settings, cas_required: false })
  const keepsNumbers = Math.min(oldest, current) - from <= mostFillers
  for (let version = keepsNumbers ? from : Math.max(from, oldest); version <= current; version++) {
    const value = readable.has(version) ? await contentOf(source, mount, name, version) : undefined
    await target.write(`${mount}data/${name}`, { data: value ?? {} })
  }
}

/** What comes after the versions, also when an earlier import was stopped before it: those without a value are destroyed. */
async function settle(target: VaultApi, mount: string, name: string, theirs: Metadata): Promise<void> {
  const ours = await metadataOf(target, mount, name)
  if (ours?.current === theirs.current) {
    const fillers = [...ours.readable].filter((version) => !theirs.readable.has(version))
    if (fillers.length > 0) await target.write(`${mount}destroy/${name}`, { versions: fillers })
  }
  if (theirs.settings['cas_required'] === true && ours?.settings['cas_required'] !== true)
    await target.write(`${mount}metadata/${name}`, { cas_required: true })
}

async function contentOf(
  api: VaultApi,
  mount: string,
  name: string,
  version: number,
): Promise<Fields | undefined> {
  const answer = await api.read(`${mount}data/${name}`, { version: String(version) })
  return answer && fieldsOf(answer['data'])
}

function lostWords({ current, oldest, readable }: Metadata): { detail?: string } {
  const lost = Number.isFinite(oldest) ? current - oldest + 1 - readable.size : 0
  return lost > 0 ? { detail: `${lost} deleted or destroyed versions come as destroyed` } : {}
}

/** By content: the order of fields means nothing. */
function same(a: Fields, b: Fields): boolean {
  return sorted(a) === sorted(b)
}

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([x], [y]) => (x < y ? -1 : 1)))
      : item,
  )
