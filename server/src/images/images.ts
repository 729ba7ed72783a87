import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { AppError, actorOf, type Clock, type Log, newId, type Principal, reasonOf } from '../core/index.ts'
import type { Sandbox, SandboxLimits, SandboxSpec } from '../sandbox/index.ts'
import { isOwnPath } from '../store/index.ts'
import { type AgentImages, assertNobodys, createAgentImages, noImage } from './agent-images.ts'
import {
  agentsOfImage,
  allImages,
  deleteImage,
  type ImageRow,
  imageByName,
  insertImage,
} from './images-store.ts'
import { treeDigest } from './tree-digest.ts'
import type { Bounds } from './tree-writer.ts'
import { unpackInto } from './unpacking.ts'

/** As a sandbox takes it. */
type SandboxImage = NonNullable<SandboxSpec['image']>

/** A root file system that commands may find in place of the host's. */
export type Image = {
  name: string
  /** Of the tree: kinds, paths, contents, links. */
  digest: string
  archiveDigest: string
  /** The archive that it came from. */
  source: string
  sizeBytes: number
  files: number
  /** Members of the archive that are not there, or not as they were. */
  leftOut: number
  environment: Readonly<Record<string, string>>
  addedBy: string
  addedAt: Date
  /** Commands that run in it now. */
  inUse: number
  /** Whose commands run in it unless their task names another. */
  agents: string[]
}

export type Images = AgentImages & {
  list(): Promise<Image[]>
  /**
   * Unpacks an archive of this machine and keeps it under the name. Throws `image.exists`, `image.invalid`,
   * `sandbox.unavailable`.
   */
  add(request: AddRequest): Promise<{ image: Image; examples: readonly { path: string; reason: string }[] }>
  /** Throws `image.not_found`, and `image.in_use` while a command runs in it, or it is an agent's. */
  remove(name: string, by: Principal): Promise<void>
  /** Compares what lies on disk with what was added. Throws `image.not_found`, `image.changed`. */
  verify(name: string): Promise<Image>
  /** Runs the work with the image held: it is not removed meanwhile. Compared once in the life of the server. Throws as `verify` does. */
  use<T>(name: string, work: (image: SandboxImage) => Promise<T>): Promise<T>
  /** Removes what a killed server left behind. */
  sweep(): Promise<void>
}

export type AddRequest = {
  name: string
  /** An absolute path of the server's machine. */
  archive: string
  /** What the archive must be, `sha256:…`; not compared when absent. */
  digest?: string | undefined
  by: Principal
}

type Needs = Parameters<typeof createAgentImages>[0] & {
  sandbox: Pick<Sandbox, 'run'>
  clock: Pick<Clock, 'now'>
  log: Log
  dataDir: string
  bounds?: Bounds
}

const gigabyte = 1024 ** 3
const usualBounds: Bounds = { entries: 400_000, bytes: 16 * gigabyte }
const trialLimits: SandboxLimits = {
  wallSeconds: 60,
  cpuSeconds: 10,
  memoryBytes: 256 * 1024 ** 2,
  processes: 16,
  openFiles: 64,
  fileBytes: 1024 ** 2,
  diskBytes: 1024 ** 2,
  outputBytes: 64 * 1024,
}
/** Of a folder that is not an image yet. */
const newPrefix = '.new-'

export function createImages(needs: Needs): Images {
  const { store, audit, bus, sandbox, clock, log, dataDir, bounds = usualBounds } = needs
  const folder = join(dataDir, 'images')
  const folderOf = (digest: string): string => join(folder, digest.replace(/^sha256:/, ''))
  const used = new Map<string, number>()
  /** Compared since the server started, or under way. */
  const compared = new Map<string, Promise<void>>()
  const viewOf = async (row: ImageRow): Promise<Image> => ({
    ...imageOf(row),
    inUse: used.get(row.name) ?? 0,
    agents: await agentsOfImage(store, row.name),
  })

  const isHere = async ({ digest }: ImageRow): Promise<boolean> =>
    (await stat(folderOf(digest)).catch(() => undefined)) !== undefined

  async function found(name: string): Promise<ImageRow> {
    const row = await imageByName(store, name)
    if (row) return row
    throw noImage(name)
  }

  async function compare({ name, digest }: ImageRow): Promise<void> {
    const { digest: present } = await treeDigest(folderOf(digest)).catch(() => ({ digest: 'nothing' }))
    if (present === digest) return
    throw new AppError(
      'image.changed',
      `The files of the image "${name}" on this machine are not those that were added (${present}, not ${digest}). Remove it and add it again.`,
    )
  }

  function comparedOnce(row: ImageRow): Promise<void> {
    const known = compared.get(row.digest)
    if (known) return known
    const comparing = compare(row)
    compared.set(row.digest, comparing)
    comparing.catch(() => compared.delete(row.digest))
    return comparing
  }

  async function keep(request: AddRequest, staging: string): Promise<{ row: ImageRow; examples: Examples }> {
    const { name, archive, by } = request
    const { file, sizeBytes } = await openArchive(archive, dataDir)
    try {
      const id = newId('img', clock.now())
      const written = await unpackInto(sandbox, id, { file, sizeBytes }, staging, bounds)
      if (request.digest !== undefined && request.digest !== written.archiveDigest)
        throw invalid(`The archive's digest is ${written.archiveDigest}, not ${request.digest}.`)
      await tryOut(sandbox, `${id}-try`, {
        name,
        digest: '',
        root: staging,
        environment: written.environment,
      })
      const { digest, files, sizeBytes: size } = await treeDigest(staging)
      const row = {
        ...{ name, digest, archive_digest: written.archiveDigest, source: basename(archive) },
        ...{
          size_bytes: size,
          files,
          left_out: written.left,
          environment: JSON.stringify(written.environment),
        },
        ...{ added_by: actorOf(by), added_at: clock.now().getTime() },
      }
      return { row, examples: written.examples }
    } finally {
      await file.close()
    }
  }

  async function record(row: ImageRow, type: 'image.added' | 'image.removed', by: Principal): Promise<void> {
    await store.write(async (tx) => {
      if (type === 'image.added' && (await imageByName(tx, row.name))) throw exists(row.name)
      if (type === 'image.added') await insertImage(tx, row)
      else {
        await assertNobodys(tx, row.name)
        await deleteImage(tx, row.name)
      }
      const { name, digest, archive_digest: archiveDigest } = row
      const target = `image:${name}`
      await audit.record(tx, {
        ...{ type, outcome: 'done', actor: actorOf(by), target, correlation: target },
        detail: { name, digest, archiveDigest },
      })
      await bus.publish(tx, { type, subject: target, data: { digest } })
    })
  }

  async function discard(digest: string): Promise<void> {
    const others = (await allImages(store)).some((row) => row.digest === digest)
    if (!others) await rm(folderOf(digest), { recursive: true, force: true })
    compared.delete(digest)
  }

  return {
    ...createAgentImages(needs),
    list: async () => Promise.all((await allImages(store)).map(viewOf)),
    async add(request) {
      const known = await imageByName(store, request.name)
      if (known && (await isHere(known))) throw exists(request.name)
      const staging = join(folder, `${newPrefix}${newId('img', clock.now())}`)
      await mkdir(staging, { recursive: true, mode: 0o755 })
      try {
        const { row, examples } = await keep(request, staging)
        // Added on another machine, or lost on this one: the same files have the same name.
        if (known && known.digest !== row.digest) throw exists(request.name)
        // The same tree may be there by another name.
        await rename(staging, folderOf(row.digest)).catch(async (error: unknown) => {
          if (!(await isHere(row))) throw error
        })
        if (!known) await record(row, 'image.added', request.by)
        return { image: await viewOf(row), examples }
      } finally {
        await rm(staging, { recursive: true, force: true })
      }
    },
    async remove(name, by) {
      const row = await found(name)
      const users = used.get(name) ?? 0
      if (users > 0)
        throw new AppError(
          'image.in_use',
          `${users} commands run in the image "${name}" now. Try again later.`,
        )
      await record(row, 'image.removed', by)
      await discard(row.digest)
    },
    async verify(name) {
      const row = await found(name)
      await compare(row)
      return viewOf(row)
    },
    async use(name, work) {
      used.set(name, (used.get(name) ?? 0) + 1)
      try {
        const row = await found(name)
        await comparedOnce(row)
        const { digest } = row
        return await work({ name, digest, root: folderOf(digest), environment: imageOf(row).environment })
      } finally {
        used.set(name, (used.get(name) ?? 1) - 1)
      }
    },
    async sweep() {
      const known = new Set((await allImages(store)).map(({ digest }) => folderOf(digest)))
      for (const name of await readdir(folder).catch(() => [])) {
        const path = join(folder, name)
        if (known.has(path)) continue
        await rm(path, { recursive: true, force: true }).catch((error: unknown) =>
          log.warn({ path, reason: reasonOf(error) }, 'image.not_swept'),
        )
      }
    },
  }
}

type Examples = readonly { path: string; reason: string }[]

const invalid = (why: string): AppError => new AppError('image.invalid', `${why} Nothing was added.`)
const exists = (name: string): AppError =>
  new AppError(
    'image.exists',
    `There is an image "${name}" already. Remove it first, or choose another name.`,
  )

function imageOf(row: ImageRow): Omit<Image, 'inUse' | 'agents'> {
  return {
    name: row.name,
    digest: row.digest,
    archiveDigest: row.archive_digest,
    source: row.source,
    sizeBytes: row.size_bytes,
    files: row.files,
    leftOut: row.left_out,
    environment: JSON.parse(row.environment) as Record<string, string>,
    addedBy: row.added_by,
    addedAt: new Date(row.added_at),
  }
}

async function openArchive(path: string, dataDir: string): Promise<{ file: FileHandle; sizeBytes: number }> {
  if (!isAbsolute(path)) throw invalid(`The archive ${path} is not an absolute path of the server's machine.`)
  if (isOwnPath(dataDir, path)) throw invalid("The archive would be a file of Keyward's data folder.")
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw invalid(`The archive ${path} cannot be read by the server: ${reasonOf(error)}.`)
  })
  const found = await file.stat()
  const room = process.availableMemory() / 2
  if (found.isFile() && found.size > 0 && found.size < room) return { file, sizeBytes: found.size }
  await file.close()
  if (!found.isFile() || found.size === 0) throw invalid(`The archive ${path} is no file, or empty.`)
  throw invalid(
    `The archive has ${found.size} bytes, and is read in memory, of which the machine could give ${Math.floor(room)} to it.`,
  )
}

/** An image in which nothing can be started is of no use. */
async function tryOut(sandbox: Pick<Sandbox, 'run'>, id: string, image: SandboxImage): Promise<void> {
  const spec = { id, env: {}, limits: trialLimits, image }
  const why = await sandbox.run({ ...spec, command: ['/bin/sh', '-c', ':'] }).then(
    ({ exitCode, signal, stderrTail }) =>
      exitCode === 0
        ? undefined
        : `/bin/sh ended with ${signal ?? exitCode}: ${stderrTail.trim().slice(-300)}`,
    (error: unknown) => (error instanceof AppError ? (error.detail ?? error.code) : reasonOf(error)),
  )
  if (why !== undefined)
    throw invalid(
      `No command starts in it. It needs /bin/sh and mkfifo, for this machine's processor. ${why}`,
    )
}
