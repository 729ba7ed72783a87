import type { PlannedTask } from './plan.ts'
import type { RunRecord } from './run-record.ts'

/** Of the tasks that share a key, so many run at once, over all runs and whatever carries them. */
export type Shared = { readonly key: string; readonly limit: number }

/** One host's view of the keys. `holder` is the task, by a name that no other task has. */
export type HeldKeys = {
  /** How many more may hold the key, as if `instead` held it no more. */
  room(shared: Shared, instead?: string): number
  holds(shared: Shared, holder: string): boolean
  take(shared: Shared, holder: string): void
  /** The other hosts hear of it. */
  free(shared: Shared, holder: string): void
}

/** Who holds which key, in this process: the only one that runs tasks of this store. */
export type SharedKeys = {
  /** `onFreed`: another host has let go of the key. */
  of(onFreed: (key: string) => void): HeldKeys
}

export function createSharedKeys(): SharedKeys {
  const holders = new Map<string, Set<string>>()
  const hosts: ((key: string) => void)[] = []
  return {
    of(onFreed) {
      hosts.push(onFreed)
      return {
        room({ key, limit }, instead) {
          const held = holders.get(key)
          return limit - (held?.size ?? 0) + (instead !== undefined && held?.has(instead) ? 1 : 0)
        },
        holds: ({ key }, holder) => holders.get(key)?.has(holder) ?? false,
        take({ key }, holder) {
          holders.set(key, (holders.get(key) ?? new Set()).add(holder))
        },
        free({ key }, holder) {
          const held = holders.get(key)
          if (!held?.delete(holder)) return
          if (held.size === 0) holders.delete(key)
          for (const told of hosts) if (told !== onFreed) told(key)
        },
      }
    },
  }
}

/** What a task holds while it runs, as its plan says; undefined when it shares nothing. */
export const sharedBy = ({
  concurrencyKey: key,
  concurrencyLimit: limit = 1,
}: PlannedTask): Shared | undefined => (key === undefined ? undefined : { key, limit })

/** The highest goes first. */
export const priorityOf = ({ plan: { priority = 0 } }: Pick<RunRecord, 'plan'>): number => priority
