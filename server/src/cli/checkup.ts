import { execFile } from 'node:child_process'
import { lstat, readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** One thing that was looked at: how it is, and what to do when it is not well. */
export type Check = {
  readonly name: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly detail: string
  readonly todo?: string
}

const wantedNode = 24

export function checkNode(version: string): Check {
  const major = Number(version.split('.')[0])
  const detail = `Node ${version}`
  if (major >= wantedNode) return { name: 'node', state: 'ok', detail }
  return { name: 'node', state: 'fail', detail, todo: 'Install Node 24 or newer' }
}

const programTimeoutMilliseconds = 5000

/** A program that is started by name, and its first line about itself. */
export async function checkProgram(
  name: string,
  arguments_: readonly string[],
  todo: string,
): Promise<Check> {
  try {
    const { stdout } = await run(name, [...arguments_], { timeout: programTimeoutMilliseconds })
    return { name, state: 'ok', detail: stdout.split('\n')[0]?.trim() || 'works' }
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return { name, state: 'warn', detail: missing ? 'not found' : 'does not work here', todo }
  }
}

/** What shows that a driver's program is there and works, by the name that `KEYWARD_SANDBOX` has for it. */
const driverPrograms: Readonly<Record<string, readonly [string, ...string[]]>> = {
  podman: ['podman', 'version', '--format', '{{.Client.Version}}'],
  docker: ['docker', 'version', '--format', '{{.Server.Version}}'],
  gvisor: ['runsc', '--version'],
}

/** A namespace of its own for a program that does nothing: what the sandbox asks of the kernel first. */
export function checkIsolation(driver: string | undefined): Promise<Check> {
  const [program, ...words] = driverPrograms[driver ?? ''] ?? []
  if (program !== undefined) {
    const todo = `Sandboxed tasks will be refused, because KEYWARD_SANDBOX is ${driver}. Install it, or choose another`
    return checkProgram(program, words, todo).then((check) => ({ ...check, name: 'sandbox' }))
  }
  const arguments_ = ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', 'true']
  const todo =
    'Sandboxed tasks will be refused. Install bubblewrap (apt-get install bubblewrap), and allow user namespaces: sysctl kernel.unprivileged_userns_clone=1'
  return checkProgram('bwrap', arguments_, todo).then((check) => ({ ...check, name: 'sandbox' }))
}

/** The data folder belongs to this user alone, and so does everything in it that holds keys or data. */
export async function checkDataFolder(path: string): Promise<Check> {
  const name = 'data folder'
  const folder = await stat(path).catch(() => undefined)
  if (!folder) return { name, state: 'ok', detail: `${path} does not exist yet; the server makes it` }
  if (!folder.isDirectory())
    return { name, state: 'fail', detail: `${path} is not a folder`, todo: 'Name another with --data' }
  const uid = process.getuid?.()
  if (uid !== undefined && folder.uid !== uid) {
    return {
      name,
      state: 'warn',
      detail: `${path} belongs to another user`,
      todo: "Run doctor as the server's user",
    }
  }
  const open = await openToOthers(path, folder.mode)
  if (open.length === 0) return { name, state: 'ok', detail: `${path} is private` }
  return {
    name,
    state: 'fail',
    detail: `others can read ${open.slice(0, 3).join(', ')}${open.length > 3 ? ` and ${open.length - 3} more` : ''}`,
    todo: `chmod -R go= '${path}'`,
  }
}

async function openToOthers(path: string, mode: number): Promise<string[]> {
  const isOpen = (bits: number): boolean => (bits & 0o077) !== 0
  if (!isOpen(mode)) return []
  const open = [path]
  for (const entry of await readdir(path)) {
    const inside = join(path, entry)
    // A link has no mode of its own, and what is gone meanwhile none at all.
    const found = await lstat(inside).catch(() => undefined)
    if (found && !found.isSymbolicLink() && isOpen(found.mode)) open.push(inside)
  }
  return open
}

const enoughBytes = 1024 ** 3
const tooFewBytes = 64 * 1024 ** 2

export async function checkDisk(path: string): Promise<Check> {
  const free = await freeBytes(path)
  if (free === undefined) return { name: 'disk', state: 'warn', detail: 'free space is not known here' }
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${path}`
  if (free >= enoughBytes) return { name: 'disk', state: 'ok', detail }
  return {
    name: 'disk',
    state: free < tooFewBytes ? 'fail' : 'warn',
    detail,
    todo: 'Make space: a full disk stops every change',
  }
}

/** Of the nearest folder that exists: the data folder may have to be made yet. */
async function freeBytes(path: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  } catch {
    return dirname(path) === path ? undefined : freeBytes(dirname(path))
  }
}

const toleratedSeconds = 30

/** Leases and codes live by the clock: ours is compared with the server's, as its answer told it. */
export function checkClock(here: Date, there: Date | undefined): Check {
  const name = 'clock'
  if (!there) return { name, state: 'ok', detail: `${here.toISOString()}; not compared, no server answered` }
  const seconds = Math.round((here.getTime() - there.getTime()) / 1000)
  if (Math.abs(seconds) <= toleratedSeconds) return { name, state: 'ok', detail: `agrees with the server's` }
  const detail = `${Math.abs(seconds)} seconds ${seconds > 0 ? 'ahead of' : 'behind'} the server's`
  return { name, state: 'warn', detail, todo: 'Set both by NTP: leases and sign-in codes are short' }
}
