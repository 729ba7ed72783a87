import { basename, dirname, join } from 'node:path'
import type { Shape } from './box.ts'
import { dropsInside, type Mode } from './entry.ts'
import {
  accountFiles,
  insidePaths,
  processLimits,
  rootEntries,
  shownOfEtc,
  writablePlaces,
} from './inside.ts'
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
}

/** The small generated files of the sandbox, by name of their descriptor. */
export const filesFor = (user: number, guest: Buffer) => ({ ...accountFiles(user), guest })

/** What goes through `--args`: no host path of it shows in a command line inside. */
export function bubblewrapArguments(inside: Inside): string[] {
  return [...namespaceArguments(inside), ...systemArguments(), ...ownArguments(inside), ...sealArguments()]
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

function systemArguments(): string[] {
  const folders = [
    '/etc',
    '/etc/ssl',
    '/home',
    '/opt',
    '/opt/keyward',
    '/run',
    '/tmp',
    '/var',
    '/var/tmp',
    '/workspace',
  ]
  return [
    // Made by name, because a folder that a mount brings along could be entered by its maker only.
    ...folders.flatMap((path) => ['--perms', '0755', '--dir', path]),
    ...['--ro-bind', '/usr', '/usr'],
    ...rootEntries().flatMap(({ path, target }) =>
      target === undefined ? ['--ro-bind', path, path] : ['--symlink', target, path],
    ),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...shownOfEtc.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]),
  ]
}

function ownArguments({ shape, mountPoint, nodePath }: Inside): string[] {
  const data = (fd: number, path: string) => ['--perms', '0444', '--ro-bind-data', String(fd), path]
  return [
    ...Object.entries(writablePlaces).flatMap(([name, path]) => ['--bind', join(mountPoint, name), path]),
    ...data(descriptors.passwd, '/etc/passwd'),
    ...data(descriptors.group, '/etc/group'),
    ...data(descriptors.hosts, '/etc/hosts'),
    ...['--ro-bind', nodePath, insidePaths.node],
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
function readOnlyMount(path: string): string[] {
  const ancestors: string[] = []
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) ancestors.unshift(folder)
  return [...ancestors.flatMap((folder) => ['--perms', '0755', '--dir', folder]), '--ro-bind', path, path]
}

const sealArguments = (): string[] => ['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/']

type GuestStart = { mode: Mode; user: number; limits: SandboxLimits; groupBoundsMemory: boolean }

/** The words after bubblewrap's: become the sandbox's user, take on the limits, start the guest. */
export function guestWords({ mode, user, limits, groupBoundsMemory }: GuestStart): string[] {
  const id = String(user)
  const become = [
    ...['/usr/bin/setpriv', '--reuid', id, '--regid', id, '--clear-groups', '--no-new-privs'],
    ...['--inh-caps=-all', '--bounding-set=-all', '--'],
  ]
  return [
    ...(dropsInside(mode) ? become : []),
    '/usr/bin/prlimit',
    ...processLimits(limits, groupBoundsMemory).map(([name, soft, hard]) => `--${name}=${soft}:${hard}`),
    '--',
    insidePaths.node,
    insidePaths.guest,
  ]
}
