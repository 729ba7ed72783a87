import type { Secret } from '../core/index.ts'
import type { Needs } from './lend.ts'
import { byTask, liveLeases } from './lend-store.ts'

export function createValuesForTask({ store, vault, clock }: Pick<Needs, 'store' | 'vault' | 'clock'>) {
  return async (runId: string, taskId: string): Promise<Secret[]> => {
    const rows = await liveLeases(store, byTask(runId, taskId), clock.now().getTime())
    // An account that a database makes is known when it is made.
    const stored = rows.filter(({ secret_path }) => !vault.accounts?.has(secret_path))
    const secrets = await Promise.all(stored.map(({ secret_path }) => vault.kv.read(secret_path)))
    return stored.flatMap(({ field }, i) => {
      const data = secrets[i]?.data
      const value = data && Object.hasOwn(data, field) ? data[field] : undefined
      return value ? [value] : []
    })
  }
}
