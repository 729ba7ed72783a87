// OpenWorkflow on SQLite.
//   node openworkflow.ts <folder of the peers> <rounds>

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { print } from '../figures.ts'
import { approver, peer } from './peers.ts'
import { carried, type StepId } from './steps.ts'
import { atOnce, type Carrier, type Effect, measure } from './workload.ts'

const [folder = '', rounds = '3'] = process.argv.slice(2)
/**
 * How often one looks whether a run that has come to its end is stored as that. Its own way to wait looks once a second, and looking
 * before would take the database from those who work.
 */
const lookMilliseconds = 5

async function open(effect: Effect): Promise<Carrier> {
  const { OpenWorkflow } = await peer(folder, 'openworkflow/dist/index.js')
  const { BackendSqlite } = await peer(folder, 'openworkflow/dist/sqlite.js')
  const place = mkdtempSync(join(tmpdir(), 'keyward-bench-'))
  const backend = BackendSqlite.connect(join(place, 'runs.db'))
  const ow = new OpenWorkflow({ backend })
  const signalOf = (run: string): string => `approval-${run}`
  const ask = approver(async (run) => {
    // One that comes before the run waits for it is lost.
    for (;;) {
      const { workflowRunIds } = await ow.sendSignal({ signal: signalOf(run), data: 'yes' })
      if (workflowRunIds.length > 0) return
      await sleep(lookMilliseconds)
    }
  })
  type Given = {
    input: string
    step: {
      run(config: { name: string }, work: () => unknown): Promise<unknown>
      waitForSignal(options: { signal: string }): Promise<{ data: unknown } | null>
    }
  }
  const ends = new Map<string, () => void>()
  const workflow = ow.defineWorkflow({ name: 'bench' }, async ({ input: run, step }: Given) => {
    await carried({
      task: (id: StepId) => step.run({ name: id }, () => effect(run, id)),
      async approval() {
        ask(run)
        if ((await step.waitForSignal({ signal: signalOf(run) }))?.data !== 'yes')
          throw new Error('not approved')
      },
    })
    ends.get(run)?.()
  })
  const worker = ow.newWorker({ concurrency: atOnce })
  await worker.start()
  return {
    async carry(run) {
      const ended = new Promise<void>((resolve) => ends.set(run, resolve))
      const { workflowRun } = await workflow.run(run)
      await ended
      for (;;) {
        const { status } = await backend.getWorkflowRun({ workflowRunId: workflowRun.id })
        if (status === 'completed' || status === 'succeeded') return
        if (status === 'failed' || status === 'canceled') throw new Error(`run ${run} ended as ${status}`)
        await sleep(lookMilliseconds)
      }
    },
    async stop() {
      await worker.stop()
      await backend.stop()
      rmSync(place, { recursive: true })
    },
  }
}

print(await measure(open, Number(rounds)))
process.exit()
