import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

// Control groups, version 1 and 2, below the group that the server itself is in: what bounds the server bounds its
// sandboxes too.

export type Controller = 'memory' | 'pids' | 'cpu' | 'cpuacct'

/** The folder of each controller in which groups can be made. Version 2 has one folder for all. */
export type CgroupBase = { version: 1 | 2; folders: Partial<Record<Controller, string>> }

type CgroupLimits = { memoryBytes: number; processes: number }

export type CgroupUsage = {
  outOfMemory: boolean
  outOfProcesses: boolean
  cpuSeconds: number | undefined
  /** Written files count as memory. */
  memoryBytes: number | undefined
  /** What processes keep besides files and what they share. */
  anonymousBytes: number | undefined
  /** Threads count too. */
  processes: number | undefined
}

export type Cgroup = {
  /** Files that a process writes its own id into to join. */
  joinFiles: readonly string[]
  folders: readonly string[]
  controllers: readonly Controller[]
  usage(): Promise<CgroupUsage>
  remove(): Promise<void>
}

const controllers: readonly Controller[] = ['memory', 'pids', 'cpu', 'cpuacct']

const read = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')
const tryWrite = (file: string, text: string): Promise<boolean> =>
  writeFile(file, text).then(
    () => true,
    () => false,
  )

/** Where this process may make groups. Nothing found gives no folders. `procFolder` and the mounts differ in tests only. */
export async function findCgroups(procFolder = '/proc/self'): Promise<CgroupBase> {
  const mounts = parseMounts(await read(join(procFolder, 'mountinfo')))
  const own = parseOwn(await read(join(procFolder, 'cgroup')))
  const unified = mounts.find((mount) => mount.type === 'cgroup2')
  const unifiedPath = own.get('')
  if (unified && unifiedPath !== undefined) {
    const folder = await unifiedFolder(unified, unifiedPath)
    if (folder) return { version: 2, folders: { memory: folder, pids: folder, cpu: folder, cpuacct: folder } }
  }
  const folders: Partial<Record<Controller, string>> = {}
  for (const controller of controllers) {
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller))
    const path = own.get(controller)
    if (!mount || path === undefined) continue
    const folder = join(mount.point, below(mount.root, path))
    if (await canMakeGroup(folder)) folders[controller] = folder
  }
  return { version: 1, folders }
}

/**
 * Version 2 hands controllers down only from a group without processes of its own. Tried in turn: the server's group as it
 * is; the same after the server, or everybody in its container, has moved into a leaf; a group of Keyward's own at the top.
 */
async function unifiedFolder({ root, point }: Mount, path: string): Promise<string | undefined> {
  const own = join(point, below(root, path))
  if (!(await hasControllers(own))) return undefined
  if (await handsDown(own)) return own
  const members = (await read(join(own, 'cgroup.procs'))).trim().split('\n')
  const alone = members.length === 1 && members[0] === String(process.pid)
  // Only the top of a container has a type: the real top is nobody's to rearrange.
  const container = path === '/' && (await read(join(own, 'cgroup.type'))) !== ''
  if ((alone || container) && (await moveToLeaf(own, members)) && (await handsDown(own))) return own
  const top = join(point, 'keyward')
  await mkdir(top).catch(() => undefined)
  if ((await handsDown(point)) && (await handsDown(top))) return top
  return undefined
}

async function handsDown(folder: string): Promise<boolean> {
  const available = (await read(join(folder, 'cgroup.controllers'))).trim().split(' ')
  if (!available.includes('memory') || !available.includes('pids') || !(await canMakeGroup(folder)))
    return false
  const control = join(folder, 'cgroup.subtree_control')
  const enabled = (await read(control)).trim().split(' ')
  const missing = ['memory', 'pids', 'cpu'].filter(
    (name) => available.includes(name) && !enabled.includes(name),
  )
  return missing.length === 0 || tryWrite(control, missing.map((name) => `+${name}`).join(' '))
}

const controllersOf = async (folder: string): Promise<string[]> =>
  (await read(join(folder, 'cgroup.controllers'))).trim().split(' ')

async function hasControllers(folder: string): Promise<boolean> {
  const available = await controllersOf(folder)
  return available.includes('memory') && available.includes('pids')
}

async function moveToLeaf(folder: string, members: readonly string[]): Promise<boolean> {
  const leaf = join(folder, 'keyward-server')
  await mkdir(leaf).catch(() => undefined)
  const moved = await Promise.all(members.map((pid) => tryWrite(join(leaf, 'cgroup.procs'), pid)))
  return moved.every(Boolean)
}

type Mount = { root: string; point: string; type: string; options: string[] }

function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root = '/', point = ''] = before.split(' ')
    const [type = '', , options = ''] = after.split(' ')
    return type.startsWith('cgroup') ? [{ root, point, type, options: options.split(',') }] : []
  })
}

/** Controller → path of this process; the unified hierarchy has the empty name. */
function parseOwn(text: string): Map<string, string> {
  const paths = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (path !== undefined) for (const name of (names ?? '').split(',')) paths.set(name, path)
  }
  return paths
}

/** In a container the mount shows a part of the hierarchy: its root is taken off the path. */
const below = (root: string, path: string): string =>
  root !== '/' && path.startsWith(root) ? path.slice(root.length) : path

async function canMakeGroup(folder: string): Promise<boolean> {
  const trial = join(folder, `keyward-try-${process.pid}`)
  try {
    await mkdir(trial)
    await rmdir(trial)
    return true
  } catch {
    return false
  }
}

/** The folders that a group of this name will have. */
export function groupFolders(base: CgroupBase, name: string): string[] {
  return [...new Set(Object.values(groupsOf(base, name)))]
}

function groupsOf(base: CgroupBase, name: string): Groups {
  const groups: Groups = {}
  for (const controller of controllers) {
    const parent = base.folders[controller]
    if (parent) groups[controller] = join(parent, name)
  }
  return groups
}

export async function createCgroup(base: CgroupBase, name: string, limits: CgroupLimits): Promise<Cgroup> {
  const groups = groupsOf(base, name)
  const folders = groupFolders(base, name)
  const made: string[] = []
  try {
    for (const folder of folders) {
      await mkdir(folder)
      made.push(folder)
    }
    await setLimits(base.version, groups, limits)
  } catch (error) {
    // Only its own: a group that was there belongs to a sandbox of the same name.
    await removeGroups(made)
    throw error
  }
  return {
    folders,
    controllers: controllers.filter((controller) => groups[controller] !== undefined),
    joinFiles: folders.map((folder) => join(folder, 'cgroup.procs')),
    usage: () => usageOf(base.version, groups),
    remove: () => removeGroups(folders),
  }
}

/**
 * What the groups of another process say: one that a container engine has put into groups of its own making. Undefined where
 * they cannot be seen from here, and after they are gone.
 */
export async function usageOfProcess(
  pid: number,
  /** A part of the groups' path, by which the process is known to be the right one. */
  mark: string,
  procFolder = '/proc',
): Promise<(() => Promise<CgroupUsage | undefined>) | undefined> {
  const mounts = parseMounts(await read(join(procFolder, 'self/mountinfo')))
  const membership = await read(join(procFolder, String(pid), 'cgroup'))
  if (mark === '' || !membership.includes(mark)) return undefined
  // Version 1 shows a process that is ending in the root of each hierarchy, also in the midst of this reading.
  const paths = new Map([...parseOwn(membership)].filter(([, path]) => path.includes(mark)))
  const groups: Groups = {}
  for (const controller of controllers) {
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(controller))
    const path = paths.get(controller)
    if (mount && path !== undefined) groups[controller] = join(mount.point, below(mount.root, path))
  }
  const unified = mounts.find(({ type }) => type === 'cgroup2')
  const path = paths.get('')
  const version = groups.memory === undefined ? 2 : 1
  if (version === 2 && unified && path !== undefined) {
    const folder = join(unified.point, below(unified.root, path))
    for (const controller of controllers) groups[controller] = folder
  }
  const present = async () =>
    groups.memory !== undefined &&
    (await readFile(join(groups.memory, 'cgroup.procs')).then(
      () => true,
      () => false,
    ))
  if (!(await present())) return undefined
  return async () => {
    const usage = await usageOf(version, groups)
    return (await present()) ? usage : undefined
  }
}

type Groups = Partial<Record<Controller, string>>

async function setLimits(version: 1 | 2, groups: Groups, limits: CgroupLimits): Promise<void> {
  if (groups.pids) await writeFile(join(groups.pids, 'pids.max'), String(limits.processes))
  const memory = String(limits.memoryBytes)
  if (version === 2 && groups.memory) {
    await writeFile(join(groups.memory, 'memory.max'), memory)
    await tryWrite(join(groups.memory, 'memory.swap.max'), '0')
    await tryWrite(join(groups.memory, 'memory.oom.group'), '1')
    await tryWrite(join(groups.memory, 'cpu.weight'), '50')
  } else if (groups.memory) {
    await writeFile(join(groups.memory, 'memory.limit_in_bytes'), memory)
    await tryWrite(join(groups.memory, 'memory.memsw.limit_in_bytes'), memory)
    if (groups.cpu) await tryWrite(join(groups.cpu, 'cpu.shares'), '512')
  }
}

const counter = (text: string, name: string): number =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)

async function usageOf(version: 1 | 2, groups: Groups): Promise<CgroupUsage> {
  const file = (folder: string | undefined, name: string) => (folder ? read(join(folder, name)) : '')
  const pids = await file(groups.pids, 'pids.events')
  const memory = await file(groups.memory, version === 2 ? 'memory.events' : 'memory.oom_control')
  const cpu = await file(groups.cpuacct, version === 2 ? 'cpu.stat' : 'cpuacct.usage')
  const cpuSeconds = version === 2 ? counter(cpu, 'usage_usec') / 1e6 : Number(cpu) / 1e9
  return {
    outOfMemory: counter(memory, 'oom_kill') > 0,
    outOfProcesses: counter(pids, 'max') > 0,
    cpuSeconds: cpu === '' ? undefined : cpuSeconds,
    memoryBytes: numberIn(
      await file(groups.memory, version === 2 ? 'memory.current' : 'memory.usage_in_bytes'),
    ),
    anonymousBytes: anonymousIn(await file(groups.memory, 'memory.stat')),
    processes: numberIn(await file(groups.pids, 'pids.current')),
  }
}

/** Of the group and those below it: version 2 has one name for it, version 1 another. */
const anonymousIn = (text: string): number | undefined =>
  numberIn(/^(?:anon|total_rss) (\d+)$/m.exec(text)?.[1] ?? '')

const numberIn = (text: string): number | undefined => (text === '' ? undefined : Number(text))

const attempts = 50
const longestPauseMs = 20

/** Ends whoever is still inside, then removes the groups. One that does not empty is left for the next sweep. */
export async function removeGroups(folders: readonly string[]): Promise<void> {
  await Promise.all(folders.map(removeGroup))
}

async function removeGroup(folder: string): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (await removed(folder)) return
    await killMembers(folder)
    // Most are empty a moment later.
    const pauseMs = Math.min(2 ** attempt, longestPauseMs)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

async function removed(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
  }
}

async function killMembers(folder: string): Promise<void> {
  if (await tryWrite(join(folder, 'cgroup.kill'), '1')) return
  for (const line of (await read(join(folder, 'cgroup.procs'))).split('\n')) {
    const pid = Number(line)
    if (pid <= 1) continue
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself in between.
    }
  }
}
