import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { ArtifactRef } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import {
  AppError,
  type Clock,
  type FileTree,
  type Log,
  newId,
  reasonOf,
  type TreeTaker,
} from '../core/index.ts'
import type { Reader, Store, Tx } from '../store/index.ts'
import {
  artifactById,
  artifactIds,
  deleteArtifact,
  dueArtifacts,
  expireRun,
  insertArtifact,
  keptBytes,
  openRuns,
} from './artifacts-store.ts'
import { createPacker, unpacked } from './pack.ts'
import { createSealedFile, readSealedFile } from './sealed-file.ts'

/** Files that a task leaves for a later one of its run. They may hold secrets, so nothing shows them. */
export type Artifacts = {
  /** Takes files; they are an artifact once `finish` resolves, and nothing before. Throws `artifact.full`. */
  create(owner: { runId: string; taskId: string }): Promise<ArtifactMaker>
  /**
   * The files, of an artifact of this run. Throws `artifact.not_found` when there is none of this id and digest, at once, and
   * `artifact.corrupt` while it is read.
   */
  open(runId: string, ref: Pick<ArtifactRef, 'id' | 'digest'>): Promise<FileTree>
  /** Throws `artifact.not_found` as `open` does. */
  check(runId: string, ref: Pick<ArtifactRef, 'id' | 'digest'>): Promise<void>
  /** Removes what is past its time. */
  expireDue(): Promise<void>
  /** Removes what a killed server left behind, and from now on what ended runs leave. Returns what stops it. */
  start(): Promise<() => void>
}

export type ArtifactMaker = TreeTaker & {
  finish(): Promise<ArtifactRef>
  /** Forgets what was taken. */
  discard(): Promise<void>
}

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  bus: Pick<Bus, 'subscribe'>
  clock: Pick<Clock, 'now'>
  log: Log
  /** Encrypted by the barrier: the key of each artifact. */
  sealed: {
    get(path: string, reader?: Reader): Promise<Buffer | undefined>
    put(tx: Tx, path: string, bytes: Uint8Array): Promise<void>
    delete(tx: Tx, path: string): Promise<void>
  }
  /** Of the artifacts alone. */
  folder: string
  /** Whether nothing of the run will run any more. */
  isRunOver: (runId: string) => Promise<boolean>
  /** In bytes: of all artifacts together; 4 GiB unless told. */
  mostBytes?: number
}

/** After its run's end an artifact is kept for a day, for those who look into what happened. */
const retentionMs = 24 * 3600 * 1000
const freeBytes = 256 * 1024 * 1024
const keyPath = (id: string): string => `artifacts/${id}`

export function createArtifacts(needs: Needs): Artifacts {
  const { store, bus, clock, log, sealed, folder, isRunOver, mostBytes = 4 * 1024 ** 3 } = needs
  const fileOf = (id: string): string => join(folder, id)
  /** Files that are being written: they have no row yet. */
  const underWay = new Set<string>()

  async function assertRoom(): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const { bavail, bsize } = await statfs(folder)
    if ((await keptBytes(store)) < mostBytes && bavail * bsize > freeBytes) return
    throw new AppError(
      'artifact.full',
      'what tasks have left takes all the room that there is; runs that end make some',
    )
  }

  async function found(runId: string, { id, digest }: Pick<ArtifactRef, 'id' | 'digest'>) {
    const row = await artifactById(store, id)
    const key = row && (await sealed.get(keyPath(id)))
    if (!row || !key || row.run_id !== runId || row.digest !== digest)
      throw new AppError(
        'artifact.not_found',
        `run ${runId} has no artifact ${id} of this digest, or has it no more`,
      )
    return { row, key }
  }

  async function remove(id: string): Promise<void> {
    // Without its key the file is noise, so the key goes first.
    await store.write(async (tx) => {
      await sealed.delete(tx, keyPath(id))
      await deleteArtifact(tx, id)
    })
    await rm(fileOf(id), { force: true })
  }

  const end = (runId: string): Promise<unknown> =>
    store.write((tx) => expireRun(tx, runId, clock.now().getTime() + retentionMs))

  const endQuietly = (runId: string): void => {
    end(runId).catch((error: unknown) =>
      log.error({ runId, reason: reasonOf(error) }, 'artifacts of an ended run are kept until a restart'),
    )
  }

  async function sweep(): Promise<void> {
    const known = new Set(await artifactIds(store))
    const names = await readdir(folder).catch(() => [])
    for (const name of names)
      if (!known.has(name) && !underWay.has(name)) await rm(fileOf(name), { force: true })
    for (const runId of await openRuns(store)) if (await isRunOver(runId)) await end(runId)
  }

  async function expireDue(): Promise<void> {
    for (const id of await dueArtifacts(store, clock.now().getTime())) await remove(id)
  }

  return {
    async create({ runId, taskId }) {
      await assertRoom()
      const now = clock.now()
      const id = newId('art', now)
      const key = randomBytes(32)
      underWay.add(id)
      const file = await createSealedFile(fileOf(id), key)
      const { facts, ...taker } = createPacker(file.write)
      return {
        ...taker,
        async finish() {
          await file.finish()
          const { digest, sizeBytes } = facts()
          await store.write(async (tx) => {
            await sealed.put(tx, keyPath(id), key)
            await insertArtifact(tx, {
              id,
              run_id: runId,
              task_id: taskId,
              digest,
              size_bytes: sizeBytes,
              created_at: now.getTime(),
              expires_at: null,
            })
          })
          underWay.delete(id)
          return { id, digest, sizeBytes }
        },
        async discard() {
          await file.close()
          await rm(fileOf(id), { force: true })
          underWay.delete(id)
        },
      }
    },
    async open(runId, ref) {
      const { row, key } = await found(runId, ref)
      return unpacked(readSealedFile(fileOf(row.id), key), row.digest)
    },
    async check(runId, ref) {
      await found(runId, ref)
    },
    expireDue,
    async start() {
      await sweep()
      return bus.subscribe(({ type, subject }) => {
        if (type === 'run.finished' || type === 'run.cancelled') endQuietly(subject.replace(/^run:/, ''))
      })
    },
  }
}
