import type { Clock } from '../core/index.ts'
import type {
  SandboxDriver,
  SandboxLimits,
  SandboxOwner,
  SandboxProbe,
  SandboxResult,
  SandboxSpec,
  SandboxUsage,
  SandboxWatch,
} from './sandbox.ts'

/** One that runs now. */
export type RunningSandbox = {
  id: string
  driver: string
  level: SandboxProbe['level']
  startedAt: Date
  command: readonly string[]
  limits: SandboxLimits
  owner: SandboxOwner | null
  /** The name of the image; null for the host's own files. */
  image: string | null
  /** Null before it was measured for the first time. */
  usage: SandboxUsage | null
}

type Where = Pick<RunningSandbox, 'driver' | 'level'>

export type Running = {
  /** Runs it by the driver, and keeps it in the list for as long. */
  follow(
    spec: SandboxSpec,
    where: Where,
    watch: SandboxWatch,
    run: SandboxDriver['run'],
  ): Promise<SandboxResult>
  list(): RunningSandbox[]
  end(id: string, reason: string): RunningSandbox | undefined
}

type Kept = { now: RunningSandbox; ending: AbortController; reason: string | undefined }

export function createRunning(clock: Pick<Clock, 'now'>): Running {
  const kept = new Set<Kept>()
  return {
    async follow(spec, where, watch, run) {
      const { id, command, limits, owner = null, image } = spec
      const told = { id, ...where, startedAt: clock.now(), command, limits, owner }
      const now = { ...told, image: image?.name ?? null, usage: null }
      const one: Kept = { now, ending: new AbortController(), reason: undefined }
      const signals = [one.ending.signal, ...(watch.signal ? [watch.signal] : [])]
      kept.add(one)
      try {
        const result = await run(spec, {
          ...watch,
          signal: AbortSignal.any(signals),
          onUsage(usage) {
            one.now = { ...one.now, usage }
            watch.onUsage?.(usage)
          },
        })
        return one.reason === undefined ? result : { ...result, endedBecause: one.reason }
      } finally {
        kept.delete(one)
      }
    },
    list: () => [...kept].map(({ now }) => now),
    end(id, reason) {
      const one = [...kept].find(({ now }) => now.id === id)
      if (!one) return undefined
      one.reason ??= reason
      one.ending.abort()
      return one.now
    },
  }
}
