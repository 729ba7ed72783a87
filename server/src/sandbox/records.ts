import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import { removeGroups } from './cgroups.ts'

// One small file per running sandbox, so that a server that was killed can be cleaned up after. Written before the
// sandbox starts and again when its process is known; removed when it has ended.

const recordShape = z.object({
  server: z.object({ pid: z.int(), startTime: z.string() }),
  process: z.object({ pid: z.int(), startTime: z.string() }).nullable(),
  cgroupFolders: z.array(z.string()),
})
export type SandboxRecord = z.infer<typeof recordShape>
export type ProcessMark = { pid: number; startTime: string }

export type Records = {
  /** An empty folder that exists only to be mounted upon, in other mount namespaces than this one. */
  mountPoint: string
  /** Throws when a sandbox of this id is recorded already. */
  open(id: string, record: SandboxRecord): Promise<void>
  update(id: string, record: SandboxRecord): Promise<void>
  remove(id: string): Promise<void>
  ids(): Promise<string[]>
  sweep(): Promise<number>
}

export function createRecords(stateDir: string): Records {
  const folder = join(stateDir, 'running')
  const fileOf = (id: string) => join(folder, `${id}.json`)

  async function sweepOne(name: string): Promise<number> {
    const file = join(folder, name)
    const parsed = recordShape.safeParse(parseJson(await readFile(file, 'utf8').catch(() => '')))
    if (parsed.success) {
      const { server, process: child, cgroupFolders } = parsed.data
      if (await isAlive(server)) return 0
      // It leads a process group of its own.
      if (child && (await isAlive(child))) process.kill(-child.pid, 'SIGKILL')
      await removeGroups(cgroupFolders.filter((path) => path.includes('/keyward-')))
    }
    await rm(file, { force: true })
    return 1
  }

  return {
    mountPoint: join(stateDir, 'mount'),
    async open(id, record) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeFile(fileOf(id), JSON.stringify(record), { mode: 0o600, flag: 'wx' })
    },
    update: (id, record) => writeFile(fileOf(id), JSON.stringify(record), { mode: 0o600 }),
    remove: (id) => rm(fileOf(id), { force: true }),
    ids: async () => (await readdir(folder).catch(() => [])).map((name) => name.replace(/\.json$/, '')),
    async sweep() {
      let swept = 0
      for (const name of await readdir(folder).catch(() => [])) swept += await sweepOne(name)
      return swept
    },
  }
}

/** Before its process is known. */
export type NewRecord = Omit<SandboxRecord, 'process'>

export async function openRecord(records: Records, id: string, record: NewRecord): Promise<void> {
  try {
    await records.open(id, { ...record, process: null })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    throw new AppError('sandbox.failed', `A sandbox with the id ${id} is running already. Use each id once.`)
  }
}

/** Adds the process that leads the sandbox, as soon as it is known. */
export async function noteProcess(
  records: Records,
  id: string,
  record: NewRecord,
  { pid }: { pid?: number | undefined },
): Promise<void> {
  const mark = pid === undefined ? undefined : await markOf(pid)
  // Failing here leaves the first record, which still names the control groups and the server.
  await records.update(id, { ...record, process: mark ?? null }).catch(() => undefined)
}

const labelFile = (stateDir: string): string => join(stateDir, 'engine-label')

/** Absent when nothing has been labelled yet. */
export const savedLabel = (stateDir: string): Promise<string | undefined> =>
  readFile(labelFile(stateDir), 'utf8').catch(() => undefined)

/** Marks what belongs to this data folder: an engine may serve more than one data folder, in more than one container. */
export async function labelOf(stateDir: string, random: () => number): Promise<string> {
  const file = labelFile(stateDir)
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const made = `${random().toString(36).slice(2)}${random().toString(36).slice(2)}`
  await writeFile(file, made, { flag: 'wx', mode: 0o600 }).catch(() => undefined)
  return readFile(file, 'utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A process id is used again; its start time, in clock ticks since boot, tells one from the next. */
export async function markOf(pid: number): Promise<ProcessMark | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const startTime = fields[18]
  // Z and X: it has ended, and only waits for its parent to notice.
  return startTime === undefined || state === 'Z' || state === 'X' ? undefined : { pid, startTime }
}

async function isAlive(mark: ProcessMark): Promise<boolean> {
  return (await markOf(mark.pid))?.startTime === mark.startTime
}
