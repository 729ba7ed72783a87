import type { Secret } from '../core/index.ts'
import type { Needs } from './lend.ts'
import { byTask, liveLeases } from './lend-store.ts'

export function createValuesForTask({ store, vault, clock }: Pick<Needs, 'store' | 'vault' | 'clock'>) {
  return async (runId: string, taskId: string): Promise<Secret[]> => {
    const rows = await liveLeases(store, byTask(runId, taskId), clock.now().getTime())
    const secrets = await Promise.all(rows.map(({ secret_path }) => vault.kv.read(secret_path)))
    return rows.flatMap(({ field }, i) => {
      const data = secrets[i]?.data
      const value = data && Object.hasOwn(data, field) ? data[field] : undefined
      return value ? [value] : []
    })
  }
}
