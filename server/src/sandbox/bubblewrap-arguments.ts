import { basename, dirname, join } from 'node:path'
import type { Shape } from './box.ts'
import { dropsInside, type Mode } from './entry.ts'
import { accountFiles, insidePaths, processLimits, writablePlaces } from './inside.ts'
import { type OwnRuntime, ownRuntime } from './own-runtime.ts'
import { hostRootFiles, imageRootFiles, type RootFile } from './root-files.ts'
import type { SandboxLimits } from './sandbox.ts'

/** File descriptors, as bubblewrap sees them. The guest's control channel is the only one that reaches the guest. */
export const descriptors = {
  arguments: 3,
  seccomp: 4,
  status: 5,
  control: 6,
  guest: 7,
  passwd: 8,
  group: 9,
  hosts: 10,
} as const

type Inside = {
  shape: Shape
  mode: Mode
  user: number
  /** Where the writable memory is mounted on the host side of the namespace. */
  mountPoint: string
  nodePath: string
  /** What starts Keyward's own programs, where an image stands in for the host's files. */
  runtime: OwnRuntime | undefined
}

/** The small generated files of the sandbox, by name of their descriptor. */
export const filesFor = (user: number, guest: Buffer) => ({ ...accountFiles(user), guest })

/** What goes through `--args`: no host path of it shows in a command line inside. */
export function bubblewrapArguments(inside: Inside): string[] {
  return [
    ...namespaceArguments(inside),
    ...systemArguments(inside),
    ...ownArguments(inside),
    ...sealArguments(),
  ]
}

function namespaceArguments({ mode }: Inside): string[] {
  // Just enough to become the sandbox's user, which gives them up.
  const kept = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP'].flatMap((name) => ['--cap-add', name])
  const user = dropsInside(mode) ? kept : ['--unshare-user', '--uid', '1000', '--gid', '1000']
  return [
    ...['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--hostname', 'sandbox', '--clearenv'],
    ...['--json-status-fd', String(descriptors.status), '--seccomp', String(descriptors.seccomp)],
    ...['--cap-drop', 'ALL', ...user],
  ]
}

/** Where something is mounted in the end, so that they must be there. */
const ownFolders = ['/etc', '/home', '/opt/keyward', '/run', '/tmp', '/var/tmp', '/workspace']

function systemArguments({ shape, runtime }: Inside): string[] {
  const files = shape.imageRoot === undefined ? hostRootFiles() : imageRootFiles(shape.imageRoot)
  const own = runtime?.files ?? []
  const above = [...ownFolders, ...[...files, ...own].map(({ path }) => dirname(path))].flatMap(foldersTo)
  return [
    // Made by name, because a folder that a mount brings along could be entered by its maker only.
    ...[...new Set(above)].flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...files.flatMap(place),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...own.flatMap(place),
  ]
}

const place = (file: RootFile): string[] =>
  'from' in file ? ['--ro-bind', file.from, file.path] : ['--symlink', file.target, file.path]

/** The folder and all above it, from the top. */
function foldersTo(path: string): string[] {
  return path === '/' ? [] : [...foldersTo(dirname(path)), path]
}

function ownArguments({ shape, mountPoint, nodePath, runtime }: Inside): string[] {
  const data = (fd: number, path: string) => ['--perms', '0444', '--ro-bind-data', String(fd), path]
  return [
    ...Object.entries(writablePlaces).flatMap(([name, path]) => ['--bind', join(mountPoint, name), path]),
    ...data(descriptors.passwd, '/etc/passwd'),
    ...data(descriptors.group, '/etc/group'),
    ...data(descriptors.hosts, '/etc/hosts'),
    ...(runtime ? [] : ['--ro-bind', nodePath, insidePaths.node]),
    ...data(descriptors.guest, insidePaths.guest),
    ...shape.readOnly.flatMap(readOnlyMount),
    ...(shape.egressFolder === undefined ? [] : egressMount(shape.egressFolder)),
  ]
}

/** The certificates lie beside the socket. */
const egressMount = (folder: string): string[] => [
  ...['--ro-bind', folder, insidePaths.egress],
  ...['--symlink', join(insidePaths.egress, basename(insidePaths.certificates)), insidePaths.certificates],
]

/** Bubblewrap follows a link in the source, but not in the place. */
const readOnlyMount = (path: string): string[] => [
  ...foldersTo(dirname(path)).flatMap((folder) => ['--perms', '0755', '--dir', folder]),
  ...['--ro-bind', path, path],
]

const sealArguments = (): string[] => ['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/']

type GuestStart = {
  mode: Mode
  user: number
  limits: SandboxLimits
  groupBoundsMemory: boolean
  runtime: OwnRuntime | undefined
}

const setpriv = '/usr/bin/setpriv'
const prlimit = '/usr/bin/prlimit'

/** Where these are inside, beside Node, when an image stands in for the host's files. */
const brought = {
  setpriv: join(insidePaths.programs, 'setpriv'),
  prlimit: join(insidePaths.programs, 'prlimit'),
}

/** What is brought along then. */
export const broughtAlong = (nodePath: string): OwnRuntime =>
  ownRuntime({ [insidePaths.node]: nodePath, [brought.setpriv]: setpriv, [brought.prlimit]: prlimit })

/** The words after bubblewrap's: become the sandbox's user, take on the limits, start the guest. */
export function guestWords({ mode, user, limits, groupBoundsMemory, runtime }: GuestStart): string[] {
  const id = String(user)
  const program = (host: string, inside: string): string[] => runtime?.start(inside) ?? [host]
  const become = [
    ...program(setpriv, brought.setpriv),
    ...['--reuid', id, '--regid', id, '--clear-groups', '--no-new-privs'],
    ...['--inh-caps=-all', '--bounding-set=-all', '--'],
  ]
  return [
    ...(dropsInside(mode) ? become : []),
    ...program(prlimit, brought.prlimit),
    ...processLimits(limits, groupBoundsMemory).map(([name, soft, hard]) => `--${name}=${soft}:${hard}`),
    '--',
    ...program(insidePaths.node, insidePaths.node),
    insidePaths.guest,
  ]
}
