import type { Tx } from '../store/index.ts'
import type { RunRecord } from './run-record.ts'

/**
 * The runs that go on, as this process wrote them last: a step then need not read and parse what the step before it has written. A run
 * that waits for a person is not kept, nor one with long outputs.
 */
export type RunCache = {
  /** To be used only while the database still says the same revision. */
  get(runId: string): RunRecord | undefined
  /** As it is once this transaction is committed; forgotten when it is not. */
  put(tx: Pick<Tx, 'afterCommit' | 'afterEnd'>, run: RunRecord): void
}

const mostRuns = 256
const mostCharacters = 64 * 1024

export function createRunCache(): RunCache {
  const runs = new Map<string, RunRecord>()
  return {
    get: (runId) => runs.get(runId),
    put(tx, run) {
      const { id } = run
      runs.delete(id)
      if (run.status.state !== 'Running' || lengthOf(run) > mostCharacters) return
      runs.set(id, run)
      const [oldest] = runs.keys()
      if (runs.size > mostRuns && oldest !== undefined) runs.delete(oldest)
      let committed = false
      tx.afterCommit(() => {
        committed = true
      })
      tx.afterEnd(() => {
        if (!committed) runs.delete(id)
      })
    },
  }
}

function lengthOf({ facts }: RunRecord): number {
  let length = 0
  for (const { output, preview } of facts.values()) length += (output?.length ?? 0) + (preview?.length ?? 0)
  return length
}
