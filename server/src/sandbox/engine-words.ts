import { dirname, join } from 'node:path'
import type { EngineName } from './engine-client.ts'
import { mostFiles } from './entry.ts'
import type { Places } from './frames.ts'
import { accountFiles, groupLimits, insidePaths, processLimits, writablePlaces } from './inside.ts'
import type { OwnRuntime } from './own-runtime.ts'
import type { RootFile } from './root-files.ts'
import type { SandboxSpec } from './sandbox.ts'
import { type TarEntry, tarOf } from './tar.ts'

// What a container of ours is made of: an image of a few links and empty folders, the host's /usr and a few more places
// read-only, and one writable file system in memory.

/** The folder that everything writable lies in; the image's own /tmp, /workspace and so on are links to it. */
const writable = '/writable'
/** Made by Podman's driver before the container starts; elsewhere by the guest. */
const places = [
  { name: 'workspace', mode: 0o700 },
  { name: 'home', mode: 0o700 },
  { name: 'etc', mode: 0o755 },
  { name: 'tmp', mode: 0o1777 },
  { name: 'vartmp', mode: 0o1777 },
]
/** Files that differ from one sandbox to the next. */
const written = { passwd: '/etc/passwd', group: '/etc/group', certificates: insidePaths.certificates }

/** As an archive that the engine imports: the same for all root files that have the same links. */
export function baseImage(guest: Buffer, files: readonly RootFile[]): Buffer {
  const folder = (path: string, mode = 0o755): TarEntry => ({ kind: 'folder', path, mode })
  const link = (path: string, target: string): TarEntry => ({ kind: 'link', path: path.slice(1), target })
  const folders = [
    'dev',
    'etc',
    'home',
    'opt',
    'opt/keyward',
    'opt/keyward/egress',
    'proc',
    'sys',
    'usr',
    'var',
  ]
  const links = Object.entries(writablePlaces).filter(([name]) => name !== 'shm' && name !== 'run')
  return tarOf([
    ...folders.map((path) => folder(path)),
    ...[writable.slice(1), 'run'].map((path) => folder(path, 0o1777)),
    ...links.map(([name, path]) => link(path, join(writable, name))),
    ...Object.entries(written).map(([name, path]) => link(path, join(writable, 'etc', name))),
    ...files.flatMap((file) => ('target' in file && isShort(file) ? [link(file.path, file.target)] : [])),
    { kind: 'file', path: 'etc/hosts', mode: 0o444, content: Buffer.from(accountFiles(0).hosts) },
    { kind: 'file', path: insidePaths.guest.slice(1), mode: 0o444, content: guest },
  ])
}

/** As long as the archive's format takes. */
const isShort = ({ path, target }: { path: string; target: string }): boolean =>
  Buffer.byteLength(path) <= 100 && Buffer.byteLength(target) <= 100

/** What the guest makes first. */
export function placesFor(user: number, certificates: string): Places {
  const { passwd, group } = accountFiles(user)
  const texts = Object.entries({ passwd, group, certificates })
  return {
    root: writable,
    folders: places,
    texts: texts.map(([name, text]) => ({ path: join(writable, 'etc', name), text })),
  }
}

type Container = {
  engine: EngineName
  spec: SandboxSpec
  name: string
  labels: Record<string, string>
  user: number
  /** By its digest. */
  image: string
  nodePath: string
  seccompFile: string
  /** Whether the system calls of the container never reach the host's kernel. */
  ownKernel: boolean
  /** Of the runtime, where the engine takes it as an option of each container. */
  runtime: string | undefined
  /** Where Podman finds the writable memory that its driver has mounted. */
  mountPoint: string
  /** What the command finds as the system's files. */
  files: readonly RootFile[]
  /** What starts the guest where an image stands in for the host's files. */
  runtimeOfGuest: OwnRuntime | undefined
}

/** The words after the engine's name. No secret is among them, and no text of the task but the paths that it mounts. */
export function runWords(container: Container): string[] {
  const { engine, name, labels, user, image, runtimeOfGuest } = container
  const node = runtimeOfGuest?.start(insidePaths.node) ?? [insidePaths.node]
  return [
    ...['run', '--interactive', '--name', name, '--hostname', 'sandbox', '--workdir', '/'],
    ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    ...['--pull', 'never', '--log-driver', 'none', '--user', `${user}:${user}`],
    ...['--env', 'PATH=/opt/keyward:/usr/bin:/bin'],
    ...isolationWords(container),
    ...limitWords(container),
    ...(engine === 'podman' ? podmanWords(container) : dockerWords(container)),
    ...mounts(container).flatMap(({ from, to }) => ['--mount', mountWord(from, to)]),
    image,
    // The first process of a container cannot be ended from the inside; the guest can, and its end has to be seen.
    ...['/bin/sh', '-c', '"$@"; exit $?', 'sh', ...node, insidePaths.guest, 'stdio'],
  ]
}

const isolationWords = ({ engine, seccompFile, ownKernel, runtime }: Container): string[] => [
  ...['--network', 'none', '--read-only', '--cap-drop', 'ALL'],
  ...['--security-opt', 'no-new-privileges'],
  ...(ownKernel ? [] : ['--security-opt', `seccomp=${seccompFile}`]),
  ...(runtime === undefined ? [] : ['--runtime', runtime]),
  ...(ownKernel ? [] : hidingWords[engine]),
]

/** /sys tells of the host's hardware, modules and control groups, and /proc where in those the container is. */
const hidingWords: Record<EngineName, readonly string[]> = {
  podman: ['--cgroupns', 'private', '--security-opt', 'mask=/sys'],
  docker: ['--cgroupns', 'private', '--tmpfs', '/sys:ro,size=4k', '--tmpfs', '/sys/fs/cgroup:ro,size=4k'],
}

/** What a runtime with a kernel of its own takes for itself in the same groups. */
export const ownKernelNeeds = { memoryBytes: 256 * 1024 ** 2, processes: 256 }

function limitWords({ spec: { limits }, ownKernel }: Container): string[] {
  const extra = ownKernel ? ownKernelNeeds : { memoryBytes: 0, processes: 0 }
  const memoryBytes = groupLimits(limits).memoryBytes + extra.memoryBytes
  const processes = groupLimits(limits).processes + extra.processes
  return [
    ...['--memory', String(memoryBytes), '--memory-swap', String(memoryBytes)],
    ...['--pids-limit', String(processes), '--cpu-shares', '512'],
    ...processLimits(limits, true).flatMap(([name, soft, hard]) => ['--ulimit', `${name}=${soft}:${hard}`]),
  ]
}

/** Its driver has mounted the writable memory, with a limit on files, which Podman itself does not take. */
const podmanWords = ({ mountPoint, spec }: Container): string[] => [
  ...['--read-only-tmpfs=false', '--no-hosts', '--passwd=false'],
  // Ends what a killed server has left, should its guest not.
  ...['--timeout', String(spec.limits.wallSeconds + 60)],
  ...['--volume', `${mountPoint}:${writable}:rw,nosuid,nodev`],
  ...['--volume', `${join(mountPoint, 'run')}:${writablePlaces.run}:rw,nosuid,nodev`],
  ...['--volume', `${join(mountPoint, 'shm')}:${writablePlaces.shm}:rw,nosuid,nodev`],
]

/** For /run and /dev/shm, which may not be links. */
const smallBytes = 1024 ** 2
const shareOf = (diskBytes: number): number => Math.max(smallBytes, Math.floor(diskBytes / 4))

function dockerWords({ spec }: Container): string[] {
  const { diskBytes } = spec.limits
  const common = 'rw,nosuid,nodev,exec,mode=1777'
  return [
    ...['--tmpfs', `${writable}:${common},size=${diskBytes},nr_inodes=${mostFiles(diskBytes)}`],
    ...['--tmpfs', `${writablePlaces.run}:${common},size=${smallBytes},nr_inodes=256`],
    ...['--shm-size', String(shareOf(diskBytes))],
    // Otherwise the addresses of the host's resolvers stand in a file.
    ...['--dns', '127.0.0.1'],
  ]
}

type Mount = { from: string; to: string }

function mounts({ spec, nodePath, files, runtimeOfGuest }: Container): Mount[] {
  const same = (path: string): Mount => ({ from: path, to: path })
  const own = runtimeOfGuest?.files ?? [{ from: nodePath, path: insidePaths.node }]
  return [
    ...[...files, ...own].flatMap((file) => ('from' in file ? [{ from: file.from, to: file.path }] : [])),
    ...(spec.readOnly ?? []).map(same),
    ...(spec.egress ? [{ from: dirname(spec.egress.socketPath), to: insidePaths.egress }] : []),
  ]
}

/** A line of comma-separated values, as both engines read it. */
function mountWord(from: string, to: string): string {
  const field = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  return ['type=bind', field(`source=${from}`), field(`destination=${to}`), 'readonly'].join(',')
}
