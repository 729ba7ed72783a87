// The embedded host with audit log and bus, as in the server, every commit on disk.
import { join } from 'node:path'
import { auditMigrations, createAudit, createFileAnchor } from '../../../server/src/audit/index.ts'
import { busMigrations, createBus } from '../../../server/src/bus/index.ts'
import { silentLog, systemClock } from '../../../server/src/core/index.ts'
import { openStore } from '../../../server/src/store/index.ts'
import type { Action } from '../../../server/src/workflow/index.ts'
import { busyRuns } from '../../../server/src/workflow/workflow-store.ts'
import {
  createEngine,
  engineMigrations,
  gate,
  olga,
  piet,
  planOf,
  task,
} from '../../../server/test/support/engine.ts'
import { type StepId, steps } from './steps.ts'
import type { Carrier, Effect } from './workload.ts'

export type Embedded = Carrier & {
  /** Stores a run and gives its id. */
  start(run: string): Promise<string>
  /** Called once a run has asked for its approval. */
  onAsked(call: () => void): void
  /** One look for work that nobody has told of, as the host has it every few seconds. */
  tick(): Promise<unknown>
}

const planFor = (run: string) =>
  planOf(
    ...steps.map(({ id, needs, ...step }) =>
      task(id, { needs: [...needs], args: { run }, ...('approved' in step ? { approval: gate } : {}) }),
    ),
  )

const counting = (effect: Effect): Action => ({
  name: 'test.note',
  idempotent: true,
  preview: async () => 'same',
  async execute({ args, taskId }) {
    effect((args as { run: string }).run, taskId as StepId)
    return { output: null }
  },
})

/** `answers`: a person approves what is asked for; as they do, with the digest that the page shows. */
export async function openEmbedded(
  dataDir: string,
  effect: Effect,
  { answers } = { answers: true },
): Promise<Embedded> {
  const clock = systemClock
  const store = await openStore({ dataDir })
  await store.migrate([...auditMigrations, ...busMigrations, ...engineMigrations])
  const anchor = createFileAnchor(join(dataDir, 'audit.anchor'))
  const audit = createAudit({ store, clock, anchor, signingKey: async () => undefined })
  const bus = createBus({ store, clock, log: silentLog })
  const { workflow, approvals, stop } = createEngine(
    { store, audit, bus, clock },
    { actions: [counting(effect)] },
  )
  if (answers)
    bus.subscribe(({ type, subject }) => {
      if (type !== 'approval.requested') return
      const id = subject.slice('approval:'.length)
      void approvals.read(id).then(({ digest }) => approvals.approve(piet, id, { digest }))
    })
  await workflow.run()
  await approvals.run()
  const start = async (run: string): Promise<string> => {
    const { id } = await workflow.start(undefined, {
      plan: planFor(run),
      requestedBy: olga,
      unattended: false,
    })
    return id
  }
  return {
    start,
    onAsked: (call) => void bus.subscribe(({ type }) => (type === 'approval.requested' ? call() : undefined)),
    tick: () => Promise.all([busyRuns(store, 'embedded'), approvals.doDue()]),
    async carry(run) {
      const { state, reason } = await workflow.whenEnded(await start(run))
      if (state !== 'Succeeded') throw new Error(`run ${run} ended as ${state}: ${reason}`)
    },
    async stop() {
      await stop()
      await store.close()
    },
  }
}
