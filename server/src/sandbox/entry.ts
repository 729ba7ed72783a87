// How a process gets from the server into namespaces of its own, before bubblewrap takes over. Each mode is one way that
// some machines allow and others do not; the driver takes the first that works.

export type Mode = 'root' | 'subordinate' | 'root-user-namespace' | 'user'

/** Best first. `root*` only when the server runs as root, `subordinate` only when it does not. */
export function modesFor(isRoot: boolean): readonly Mode[] {
  return isRoot ? ['root', 'root-user-namespace', 'user'] : ['subordinate', 'user']
}

/** Whether no other process of the machine runs under the sandbox's user id. */
export const hasOwnUser = (mode: Mode): boolean => mode !== 'user'

/** Whether the command's user is entered by `setpriv` inside, or by one more user namespace around. */
export const dropsInside = (mode: Mode): boolean => mode === 'root' || mode === 'subordinate'

/** The user id in the namespace where the command runs; on the host, too, as root. `random` is in [0, 1). */
export function userIn(mode: Mode, random: number): number {
  if (mode === 'root' || mode === 'root-user-namespace')
    return ownRange.first + Math.floor(random * ownRange.size)
  return mode === 'subordinate' ? 1000 + Math.floor(random * 60_000) : insideUser
}

/** Below 2^31 and above every range that Linux distributions give to accounts, containers or services. */
const ownRange = { first: 1_900_000_000, size: 100_000_000 }
const insideUser = 1000

/** How many files and folders a sandbox may keep, so that empty ones do not fill memory. */
export const mostFiles = (diskBytes: number): number => Math.max(4096, Math.floor(diskBytes / 4096))

type Entry = {
  mode: Mode
  user: number
  /** An empty host folder, on which the sandbox's writable memory is mounted in a mount namespace of its own. */
  mountPoint: string
  diskBytes: number
  joinFiles: readonly string[]
}

/** Joins the control groups first, while it still may. Exit code 125 says that it could not. */
const joinScript = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'

const mountScript = [
  'set -eu',
  'umask 022',
  'mount -t tmpfs -o "$2" keyward "$1"',
  'cd "$1"',
  // Two programs, not five: each costs a millisecond of every start.
  'mkdir -m 1777 tmp vartmp shm',
  'if [ "$3" = 0 ]; then mkdir -m 0700 workspace home run etc',
  'else install -d -m 0700 -o "$3" -g "$3" workspace home run etc; fi',
  'shift 3',
  'cd /',
  'exec "$@"',
].join('\n')

/** The words before bubblewrap's own. */
export function entryWords({ mode, user, mountPoint, diskBytes, joinFiles }: Entry): string[] {
  const owner = dropsInside(mode) ? user : 0
  const options = `size=${diskBytes},nr_inodes=${mostFiles(diskBytes)},mode=0755,nosuid,nodev`
  const alone = ['--mount', '--propagation', 'private']
  const namespaces: Record<Mode, string[]> = {
    root: ['unshare', ...alone, '--'],
    subordinate: ['unshare', '--user', '--map-root-user', '--map-auto', ...alone, '--'],
    'root-user-namespace': [
      ...['setpriv', '--reuid', String(user), '--regid', String(user), '--clear-groups', '--'],
      ...['unshare', '--user', '--map-root-user', ...alone, '--'],
    ],
    user: ['unshare', '--user', '--map-root-user', ...alone, '--'],
  }
  return [
    ...['/bin/sh', '-c', joinScript, 'keyward', ...joinFiles, '--'],
    ...namespaces[mode],
    ...['/bin/sh', '-c', mountScript, 'keyward', mountPoint, options, String(owner)],
  ]
}
