import { basename, join } from 'node:path'
import { egressVariables } from '../core/index.ts'
import type { SandboxLimits, SandboxSpec } from './sandbox.ts'

// How a sandbox looks from the inside and what it may use, whichever driver makes it.

export const insidePaths = {
  own: '/opt/keyward',
  node: '/opt/keyward/node',
  guest: '/opt/keyward/guest.mjs',
  egress: '/opt/keyward/egress',
  programs: '/opt/keyward/bin',
  certificates: '/opt/keyward/ca.pem',
} as const

const relayPort = 3128
const home = '/home/agent'

/** Where the guest finds the egress socket. */
const socketInside = (socketPath: string): string => join(insidePaths.egress, basename(socketPath))

/** Where each folder of the one writable file system appears. */
export const writablePlaces = {
  workspace: '/workspace',
  home,
  tmp: '/tmp',
  vartmp: '/var/tmp',
  shm: '/dev/shm',
  run: '/run',
} as const

export const accountFiles = (user: number) => ({
  passwd: `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nagent:x:${user}:${user}:agent:${home}:/bin/sh\n`,
  group: `root:x:0:\nagent:x:${user}:\n`,
  hosts: '127.0.0.1 localhost sandbox\n',
})

/** For a command that does nothing. */
export const trialLimits: SandboxLimits = {
  wallSeconds: 20,
  cpuSeconds: 10,
  memoryBytes: 256 * 1024 ** 2,
  processes: 16,
  openFiles: 64,
  fileBytes: 1024 ** 2,
  diskBytes: 1024 ** 2,
  outputBytes: 64 * 1024,
}

/** Threads of the guest, which runs under the command's user. */
const guestProcesses = 24
/** What Node sets aside without using it; the kernel's count of a process's data includes it. */
const reservedBytes = 512 * 1024 * 1024

/** What the control groups allow: the command's limits and the guest; written files count as memory. */
export const groupLimits = (limits: SandboxLimits) => ({
  memoryBytes: limits.memoryBytes + limits.diskBytes + 96 * 1024 * 1024,
  processes: limits.processes + guestProcesses,
})

/** Name, soft and hard value of what each process may use; names as `prlimit` and container engines know them. */
export function processLimits(
  limits: SandboxLimits,
  groupBoundsMemory: boolean,
): [name: string, soft: number, hard: number][] {
  const both = (name: string, value: number): [string, number, number] => [name, value, value]
  return [
    both('core', 0),
    // The first signal can be told apart; whoever ignores it is killed a second later.
    ['cpu', limits.cpuSeconds, limits.cpuSeconds + 1],
    both('nproc', limits.processes + guestProcesses + 8),
    both('nofile', limits.openFiles),
    both('fsize', limits.fileBytes),
    ...(groupBoundsMemory ? [] : [both('data', limits.memoryBytes + reservedBytes)]),
    both('msgqueue', 819_200),
    both('memlock', 65_536),
  ]
}

/** What the guest is told besides the command: its ways out, and what lies in the home folder. */
export function guestOrder(spec: SandboxSpec) {
  const { egress, home: files } = spec
  const relay = egress && {
    port: relayPort,
    socketPath: socketInside(egress.socketPath),
    ways: egress.ways ?? [],
  }
  return { env: commandEnvironment(spec), ...(relay ? { relay } : {}), ...(files ? { home: files } : {}) }
}

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The command's environment. Whoever asks may set anything but where the proxy and its certificates are. */
function commandEnvironment(spec: SandboxSpec): Record<string, string> {
  const proxy = `http://127.0.0.1:${relayPort}`
  const { certificates, own } = insidePaths
  const { image } = spec
  return {
    ...image?.environment,
    // The host's Node needs the host's libraries.
    PATH: image ? (image.environment['PATH'] ?? usualPath) : `${own}:${usualPath}`,
    HOME: home,
    USER: 'agent',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    ...spec.env,
    ...(spec.egress ? egressVariables(proxy, { whole: certificates, added: certificates, direct: '' }) : {}),
  }
}
