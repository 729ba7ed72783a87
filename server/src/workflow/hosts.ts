import type { Reader, Tx } from '../store/index.ts'
import type { Host } from './host.ts'
import type { HostName, RunRecord } from './run-record.ts'
import type { TemporalCondition, TemporalHost } from './temporal/index.ts'
import { activeRunsByHost } from './workflow-store.ts'

/** What carries the runs: each run stays with the host that it began with. */
export type Hosts = {
  readonly forNewRuns: HostName
  /** News of a run, in the transaction that makes them. */
  tell(tx: Tx, run: Pick<RunRecord, 'id' | 'host'>): Promise<void>
  condition(): Promise<HostsCondition>
  run(): Promise<void>
  stop(): Promise<void>
}

export type HostsCondition = {
  readonly forNewRuns: HostName
  /** Runs that have not ended, by what carries them. */
  readonly active: Readonly<Record<HostName, number>>
  readonly temporal: TemporalCondition | null
}

type Needs = { store: Reader; embedded: Host; temporal: TemporalHost | undefined }

export function createHosts({ store, embedded, temporal }: Needs): Hosts {
  return {
    forNewRuns: temporal ? 'temporal' : 'embedded',
    async tell(tx, { id, host }) {
      if (host === 'temporal') await temporal?.tell(tx, id)
      else tx.afterCommit(() => embedded.wake(id))
    },
    condition: async () => ({
      forNewRuns: temporal ? 'temporal' : 'embedded',
      active: await activeRunsByHost(store),
      temporal: (await temporal?.condition()) ?? null,
    }),
    async run() {
      await embedded.run()
      await temporal?.run()
    },
    async stop() {
      await Promise.all([embedded.stop(), temporal?.stop()])
    },
  }
}
