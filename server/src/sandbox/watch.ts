import { readdir, readFile } from 'node:fs/promises'
import type { Clock } from '../core/index.ts'
import type { Cgroup } from './cgroups.ts'
import type { SandboxLimit, SandboxLimits } from './sandbox.ts'

const periodMs = 250

type Watched = {
  clock: Clock
  limits: SandboxLimits
  cgroup: Cgroup
  /** The process that all others of the sandbox descend from. */
  rootPid: number
  onLimit: (limit: SandboxLimit) => void
}

/**
 * Watches what no kernel limit bounds as a whole: processor time of all processes together, and their memory where no
 * memory group is writable. Returns what stops it.
 */
export function watchUsage({ clock, limits, cgroup, rootPid, onLimit }: Watched): () => void {
  const groupBoundsMemory = cgroup.controllers.includes('memory')
  let cancel = () => {}
  let stopped = false

  async function look(): Promise<void> {
    const { cpuSeconds, outOfMemory } = await cgroup.usage()
    if (cpuSeconds !== undefined && cpuSeconds > limits.cpuSeconds) onLimit('cpu')
    // Version 1 ends one process of the group; what is left of the command would wait for it.
    if (outOfMemory) onLimit('memory')
    if (!groupBoundsMemory && (await memoryOf(rootPid)) > limits.memoryBytes) onLimit('memory')
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

/** Bytes of anonymous memory of a process and all below it, plus the largest shared part. */
async function memoryOf(rootPid: number): Promise<number> {
  const children = new Map<number, number[]>()
  const memory = new Map<number, { anonymous: number; shared: number }>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '')
    const field = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
    const parent = field('PPid')
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
    memory.set(Number(name), { anonymous: field('RssAnon') * 1024, shared: field('RssShmem') * 1024 })
  }
  let anonymous = 0
  let shared = 0
  for (const queue = [rootPid]; queue.length > 0; ) {
    const pid = queue.pop() ?? 0
    anonymous += memory.get(pid)?.anonymous ?? 0
    shared = Math.max(shared, memory.get(pid)?.shared ?? 0)
    queue.push(...(children.get(pid) ?? []))
  }
  return anonymous + shared
}
