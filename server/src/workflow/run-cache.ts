import type { Tx } from '../store/index.ts'
import type { RunRecord } from './run-record.ts'
import { isRunEnded } from './run-status.ts'

/**
 * The runs that were written last, as this process wrote them: a step then need not read and parse what the step before it has written.
 * Of runs that wait for a person those are kept that were just asked about; a run with long outputs is not, nor one that has ended.
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
      if (isRunEnded(run.status.state) || lengthOf(run) > mostCharacters) return
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
