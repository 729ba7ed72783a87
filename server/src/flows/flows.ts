import type { Json, PlanDraft, PlanPreview, RunDetail } from '@keyward/contract'
import type { Bus } from '../bus/index.ts'
import { AppError, type Log, type Principal, reasonOf } from '../core/index.ts'
import type { Findings } from '../findings/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Store } from '../store/index.ts'
import type { Plan, Workflow } from '../workflow/index.ts'
import { planPulumi, planTerraform } from './infrastructure.ts'
import { planLeakedKey } from './leaked-key.ts'
import { principalNamed } from './principal-named.ts'
import { borrowedBy } from './sandbox-command.ts'

export type Flows = {
  /** Starts a flow, or a plan that somebody brings, as a durable run. Throws `run.plan_invalid` for an unknown flow, input or action. */
  start(request: StartFlow): Promise<RunDetail>
  /** What it would do; nothing runs. Throws as `start` does. */
  preview(request: Wanted): Promise<PlanPreview>
  /** Plans a run that is a task of another one: for who asked for that, as far as policy lets them start it now. */
  planSubrun(request: { flow: string; input: Json; requestedBy: string }): Promise<Plan>
  /** Gives back, from now on and for runs that ended while nobody listened, what failed runs had reserved. */
  watch(): Promise<() => void>
}

type Wanted = {
  /** A flow with its input, or a plan. */
  readonly flow?: string | undefined
  readonly input: Json
  readonly plan?: PlanDraft | undefined
  readonly by: Principal
}
type StartFlow = Wanted & {
  readonly unattended: boolean
  readonly idempotencyKey?: string | undefined
}

type Needs = {
  store: Pick<Store, 'write'>
  bus: Pick<Bus, 'subscribe'>
  policy: Pick<Policy, 'decide'>
  log: Log
  findings: Pick<Findings, 'preview' | 'release' | 'importingRuns'>
  workflow: Pick<Workflow, 'start' | 'read' | 'startedBefore' | 'planning'>
  identity: Pick<Identity, 'person' | 'agent'>
}

export function createFlows(needs: Needs): Flows {
  const { store, bus, policy, log, findings, workflow, identity } = needs
  // A map, because a name comes from outside: an object would also answer to `constructor`, and its answer would pass for a plan.
  const planners: ReadonlyMap<string, (input: Json, by: Principal) => Promise<Plan>> = new Map([
    [
      'leaked-key',
      (input: Json, by: Principal) => planLeakedKey(findings, input, (path) => assertMayLend(by, path)),
    ],
    ['pulumi-preview-and-up', async (input: Json) => planPulumi(input)],
    ['terraform-plan-and-apply', async (input: Json) => planTerraform(input)],
  ])

  function assertMayLend(principal: Principal, path: string): void {
    const { allow, reason } = policy.decide({
      principal,
      action: 'leases.grant',
      resource: { type: 'Secret', id: path, attributes: { path } },
    })
    if (!allow) throw new AppError('policy.denied', reason)
  }

  function plannerOf(flow: string) {
    const plan = planners.get(flow)
    if (plan) return plan
    const known = [...planners.keys()].join(', ')
    throw new AppError('run.plan_invalid', `there is no flow '${flow}'. Known: ${known}`)
  }

  /** The flow's name. A plan that somebody brings does not pass for a flow of Keyward's own. */
  function nameOf({ flow, plan }: Wanted): string {
    if ((flow === undefined) === (plan === undefined))
      throw new AppError('run.plan_invalid', 'give a flow by its name, or a plan')
    if (plan && planners.has(plan.flow))
      throw new AppError('run.plan_invalid', `flow: '${plan.flow}' is one of Keyward's own flows`)
    if (plan) return plan.flow
    plannerOf(flow ?? '')
    return flow ?? ''
  }

  async function planned(wanted: Wanted): Promise<Plan> {
    const flow = nameOf(wanted)
    if (!wanted.plan) return plannerOf(flow)(wanted.input, wanted.by)
    // What an agent may do is judged by its phase, task by task, and a plan of its own is not judged so.
    if (wanted.by.kind === 'agent')
      throw new AppError('policy.denied', 'an agent starts flows; a plan of its own is for a person to start')
    const plan = await workflow.planning.completed(wanted.plan)
    // No approval of a task stands in for the right to lend what it borrows.
    for (const path of lentIn(plan)) assertMayLend(wanted.by, path)
    return plan
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
    async start({ unattended, idempotencyKey, ...wanted }) {
      const { by, input } = wanted
      const flow = nameOf(wanted)
      const before =
        idempotencyKey === undefined || wanted.plan
          ? undefined
          : await workflow.startedBefore({ by, idempotencyKey, flow, input })
      if (before) return before
      return workflow.start(undefined, {
        plan: await planned(wanted),
        requestedBy: by,
        unattended,
        idempotencyKey,
        exactly: wanted.plan !== undefined,
      })
    },
    preview: async (wanted) => workflow.planning.preview(await planned(wanted), wanted.by),
    async planSubrun({ flow, input, requestedBy }) {
      const by = await principalNamed(identity, requestedBy)
      const resource = { type: 'Run', id: '*', attributes: { flow, requestedBy } } as const
      const { allow, reason } = policy.decide({ principal: by, action: 'runs.start', resource })
      if (!allow) throw new AppError('policy.denied', reason)
      return planned({ flow, input, by })
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

/** By the commands of a plan that somebody brings, those that undo others among them. */
const lentIn = ({ tasks }: Plan): string[] =>
  tasks
    .flatMap(({ action, args, compensate }) => [{ action, args }, ...(compensate ? [compensate] : [])])
    .flatMap(({ action, args }) => (action === 'sandbox.command' ? borrowedBy(args) : []))
