import { lstatSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { dropsInside, type Mode } from './entry.ts'
import type { SandboxLimits, SandboxSpec } from './sandbox.ts'

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
  certificates: 11,
} as const

export const insidePaths = {
  node: '/opt/keyward/node',
  guest: '/opt/keyward/guest.mjs',
  egress: '/opt/keyward/egress',
  certificates: '/opt/keyward/ca.pem',
} as const

export const relayPort = 3128
const home = '/home/agent'

/** What programs need of /etc, and nothing that could hold a key of the host. */
const shownOfEtc = [
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'alternatives',
  'ssl/certs',
  'ssl/openssl.cnf',
  'localtime',
  'timezone',
  'mime.types',
  'services',
  'protocols',
  'debian_version',
  'os-release',
]

const accountFiles = (user: number) => ({
  passwd: `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:${user}:${user}:agent:${home}:/bin/sh\n`,
  group: `root:x:0:\nagent:x:${user}:\n`,
  hosts: '127.0.0.1 localhost sandbox\n',
})

type Inside = {
  spec: SandboxSpec
  mode: Mode
  user: number
  /** Where the writable memory is mounted on the host side of the namespace. */
  mountPoint: string
  nodePath: string
}

/** The small generated files of the sandbox, by name of their descriptor. */
export const filesFor = (user: number, guest: Buffer, certificates: string | undefined) => ({
  ...accountFiles(user),
  guest,
  ...(certificates === undefined ? {} : { certificates }),
})

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
    ...['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'].flatMap(rootEntry),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...shownOfEtc.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]),
  ]
}

/** On a merged /usr these are links; elsewhere folders. */
function rootEntry(name: string): string[] {
  const path = join('/', name)
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return []
  return found.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path]
}

function ownArguments({ spec, mountPoint, nodePath }: Inside): string[] {
  const writable: Record<string, string> = {
    workspace: '/workspace',
    home,
    tmp: '/tmp',
    vartmp: '/var/tmp',
    shm: '/dev/shm',
    run: '/run',
  }
  const data = (fd: number, path: string) => ['--perms', '0444', '--ro-bind-data', String(fd), path]
  return [
    ...Object.entries(writable).flatMap(([name, path]) => ['--bind', join(mountPoint, name), path]),
    ...data(descriptors.passwd, '/etc/passwd'),
    ...data(descriptors.group, '/etc/group'),
    ...data(descriptors.hosts, '/etc/hosts'),
    ...['--ro-bind', nodePath, insidePaths.node],
    ...data(descriptors.guest, insidePaths.guest),
    ...(spec.readOnly ?? []).flatMap(readOnlyMount),
    ...(spec.egress
      ? [
          ...['--ro-bind', dirname(spec.egress.socketPath), insidePaths.egress],
          ...data(descriptors.certificates, insidePaths.certificates),
        ]
      : []),
  ]
}

/** Bubblewrap follows a link in the source, but not in the place. */
function readOnlyMount(path: string): string[] {
  const ancestors: string[] = []
  for (let folder = dirname(path); folder !== '/'; folder = dirname(folder)) ancestors.unshift(folder)
  return [...ancestors.flatMap((folder) => ['--perms', '0755', '--dir', folder]), '--ro-bind', path, path]
}

const sealArguments = (): string[] => ['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/']

/** Threads of the guest, which runs under the command's user. */
const guestProcesses = 24
/** What Node sets aside without using it; the kernel's count of a process's data includes it. */
const reservedBytes = 512 * 1024 * 1024

/** What the control groups allow: the command's limits and the guest; written files count as memory. */
export const groupLimits = (limits: SandboxLimits) => ({
  memoryBytes: limits.memoryBytes + limits.diskBytes + 96 * 1024 * 1024,
  processes: limits.processes + guestProcesses,
})

type GuestStart = { mode: Mode; user: number; limits: SandboxLimits; groupBoundsMemory: boolean }

/** The words after bubblewrap's: become the sandbox's user, take on the limits, start the guest. */
export function guestWords({ mode, user, limits, groupBoundsMemory }: GuestStart): string[] {
  const id = String(user)
  const become = [
    ...['/usr/bin/setpriv', '--reuid', id, '--regid', id, '--clear-groups', '--no-new-privs'],
    ...['--inh-caps=-all', '--bounding-set=-all', '--'],
  ]
  const limit = (name: string, value: number) => `--${name}=${value}:${value}`
  return [
    ...(dropsInside(mode) ? become : []),
    '/usr/bin/prlimit',
    limit('core', 0),
    // The first signal can be told apart; whoever ignores it is killed a second later.
    `--cpu=${limits.cpuSeconds}:${limits.cpuSeconds + 1}`,
    limit('nproc', limits.processes + guestProcesses + 8),
    limit('nofile', limits.openFiles),
    limit('fsize', limits.fileBytes),
    ...(groupBoundsMemory ? [] : [limit('data', limits.memoryBytes + reservedBytes)]),
    limit('msgqueue', 819_200),
    limit('memlock', 65_536),
    '--',
    insidePaths.node,
    insidePaths.guest,
  ]
}

/** The command's environment. Whoever asks may set anything but where the proxy and its certificates are. */
export function commandEnvironment(spec: SandboxSpec): Record<string, string> {
  const proxy = `http://127.0.0.1:${relayPort}`
  const { certificates } = insidePaths
  return {
    PATH: '/opt/keyward:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: home,
    USER: 'agent',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...spec.env,
    ...(spec.egress
      ? {
          HTTP_PROXY: proxy,
          HTTPS_PROXY: proxy,
          ALL_PROXY: proxy,
          http_proxy: proxy,
          https_proxy: proxy,
          all_proxy: proxy,
          NO_PROXY: '',
          no_proxy: '',
          NODE_USE_ENV_PROXY: '1',
          NODE_EXTRA_CA_CERTS: certificates,
          SSL_CERT_FILE: certificates,
          CURL_CA_BUNDLE: certificates,
          REQUESTS_CA_BUNDLE: certificates,
          AWS_CA_BUNDLE: certificates,
          GIT_SSL_CAINFO: certificates,
          PIP_CERT: certificates,
        }
      : {}),
  }
}
