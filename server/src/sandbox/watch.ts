import { readdir, readFile, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../core/index.ts'
import type { Cgroup } from './cgroups.ts'
import type { SandboxLimit, SandboxLimits, SandboxUsage } from './sandbox.ts'

const periodMs = 250

type Watched = {
  clock: Clock
  limits: SandboxLimits
  cgroup: Pick<Cgroup, 'controllers' | 'usage'>
  /** The process that all others of the sandbox descend from. */
  rootPid: number
  /** Where the writable memory is mounted in the mount namespace of that process. */
  mountPoint: string
  onLimit: (limit: SandboxLimit) => void
  onUsage: ((usage: SandboxUsage) => void) | undefined
}

/**
 * Watches what no kernel limit bounds as a whole: processor time of all processes together, and their memory, which a
 * memory group bounds only together with the files that they may write. Tells, on the way, what is used. Returns what
 * stops it.
 */
export function watchUsage(watched: Watched): () => void {
  const { clock, limits, cgroup, rootPid, onLimit, onUsage } = watched
  const groupBoundsMemory = cgroup.controllers.includes('memory')
  let cancel = () => {}
  let stopped = false

  async function look(): Promise<void> {
    const group = await cgroup.usage()
    if ((group.cpuSeconds ?? 0) > limits.cpuSeconds) onLimit('cpu')
    // Version 1 ends one process of the group; what is left of the command would wait for it.
    if (group.outOfMemory) onLimit('memory')
    const below = groupBoundsMemory ? undefined : await usageBelow(rootPid)
    if ((below?.memoryBytes ?? group.anonymousBytes ?? 0) > limits.memoryBytes) onLimit('memory')
    onUsage?.(usageFrom(group, below, await diskUsage(watched)))
  }

  function again(): void {
    if (stopped) return
    cancel = clock.after(periodMs, () => void look().then(again, again))
  }

  again()
  return () => {
    stopped = true
    cancel()
  }
}

/** The group's own word where it has one. It counts written files as memory. */
function usageFrom(
  group: Awaited<ReturnType<Cgroup['usage']>>,
  below: Below | undefined,
  diskBytes: number | undefined,
): SandboxUsage {
  const ofGroup =
    group.memoryBytes === undefined ? undefined : Math.max(0, group.memoryBytes - (diskBytes ?? 0))
  return {
    cpuSeconds: group.cpuSeconds ?? below?.cpuSeconds ?? null,
    memoryBytes: ofGroup ?? below?.memoryBytes ?? null,
    processes: group.processes ?? below?.processes ?? null,
    diskBytes: diskBytes ?? null,
  }
}

/** Bytes that the sandbox has written; undefined where this process may not look into its namespace, or it has ended. */
async function diskUsage({ rootPid, mountPoint }: Watched): Promise<number | undefined> {
  const found = await statfs(join(`/proc/${rootPid}/root`, mountPoint)).catch(() => undefined)
  return found?.type === tmpfs ? (found.blocks - found.bfree) * found.bsize : undefined
}

/** TMPFS_MAGIC of linux/magic.h: before it is mounted, the host's own file system is there. */
const tmpfs = 0x0102_1994

/** USER_HZ, which is 100 on every architecture that there is a filter for: the unit of times in /proc/<pid>/stat. */
const ticksPerSecond = 100

type Below = { memoryBytes: number; processes: number; cpuSeconds: number }

type Measured = { parent: number; anonymous: number; shared: number; threads: number; ticks: number }

/** A process and all below it: anonymous memory plus the largest shared part, threads, processor time. */
async function usageBelow(rootPid: number): Promise<Below> {
  const children = new Map<number, number[]>()
  const measured = new Map<number, Measured>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const one = await measure(Number(name))
    children.set(one.parent, [...(children.get(one.parent) ?? []), Number(name)])
    measured.set(Number(name), one)
  }
  const sum = { anonymous: 0, shared: 0, threads: 0, ticks: 0 }
  for (const queue = [rootPid]; queue.length > 0; ) {
    const pid = queue.pop() ?? 0
    const one = measured.get(pid)
    sum.anonymous += one?.anonymous ?? 0
    sum.shared = Math.max(sum.shared, one?.shared ?? 0)
    sum.threads += one?.threads ?? 0
    sum.ticks += one?.ticks ?? 0
    queue.push(...(children.get(pid) ?? []))
  }
  return {
    memoryBytes: sum.anonymous + sum.shared,
    processes: sum.threads,
    cpuSeconds: sum.ticks / ticksPerSecond,
  }
}

async function measure(pid: number): Promise<Measured> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const field = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  // proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17; the name before them may hold blanks.
  const times = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
  return {
    parent: field('PPid'),
    anonymous: field('RssAnon') * 1024,
    shared: field('RssShmem') * 1024,
    threads: field('Threads'),
    ticks: times.reduce((sum, ticks) => sum + Number(ticks), 0),
  }
}
