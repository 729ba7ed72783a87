import type { Json, RunDetail } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import { AppError, type Log, type Principal, reasonOf } from '../core/index.ts'
import type { Findings } from '../findings/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Store } from '../store/index.ts'
import type { Plan, Workflow } from '../workflow/index.ts'
import { planLeakedKey } from './leaked-key.ts'

export type Flows = {
  /** Plans a flow from its input and starts it as a durable run. Throws `run.plan_invalid` for an unknown flow or input. */
  start(request: StartFlow): Promise<RunDetail>
  /** Gives back, from now on and for runs that ended while nobody listened, what failed runs had reserved. */
  watch(): Promise<() => void>
}

type StartFlow = {
  readonly flow: string
  readonly input: Json
  readonly by: Principal
  readonly unattended: boolean
  readonly idempotencyKey?: string | undefined
}

type Needs = {
  store: Pick<Store, 'write'>
  bus: Pick<Bus, 'subscribe'>
  policy: Pick<Policy, 'decide'>
  log: Log
  findings: Pick<Findings, 'preview' | 'release' | 'importingRuns'>
  workflow: Pick<Workflow, 'start' | 'read' | 'startedBefore'>
}

export function createFlows({ store, bus, policy, log, findings, workflow }: Needs): Flows {
  // A map, because a name comes from outside: an object would also answer to `constructor`, and its answer would pass for a plan.
  const planners: ReadonlyMap<string, (input: Json, by: Principal) => Promise<Plan>> = new Map([
    [
      'leaked-key',
      (input: Json, by: Principal) => planLeakedKey(findings, input, (path) => assertMayLend(by, path)),
    ],
  ])

  function assertMayLend(principal: Principal, path: string): void {
    const { allow, reason } = policy.decide({
      principal,
      action: 'leases.grant',
      resource: { type: 'Secret', id: path, attributes: { path } },
    })
    if (!allow) throw new AppError('policy.denied', reason)
  }

  async function releaseEnded(runId: string): Promise<void> {
    const run = await workflow.read(runId)
    if (run.state !== 'Failed' && run.state !== 'Cancelled') return
    const reason =
      run.tasks.find((task) => task.state === 'Failed')?.reason ??
      `run ${runId} was ${run.state.toLowerCase()}`
    await store.write((tx) => findings.release(tx, runId, reason))
  }

  const releaseQuietly = (runId: string): void => {
    releaseEnded(runId).catch((error: unknown) =>
      log.error(
        { run: runId, reason: reasonOf(error) },
        'findings of an ended run are still reserved; a restart frees them',
      ),
    )
  }

  return {
    async start({ flow, input, by, unattended, idempotencyKey }) {
      const plan = planners.get(flow)
      if (!plan)
        throw new AppError(
          'run.plan_invalid',
          `there is no flow '${flow}'. Known: ${[...planners.keys()].join(', ')}`,
        )
      const before =
        idempotencyKey === undefined
          ? undefined
          : await workflow.startedBefore({ by, idempotencyKey, flow, input })
      if (before) return before
      return workflow.start(undefined, {
        plan: await plan(input, by),
        requestedBy: by,
        unattended,
        idempotencyKey,
      })
    },
    async watch() {
      const end = bus.subscribe(({ type, subject }) => {
        if (type === 'run.finished' || type === 'run.cancelled') releaseQuietly(subject.replace(/^run:/, ''))
      })
      for (const runId of await findings.importingRuns()) await releaseEnded(runId)
      return end
    },
  }
}
