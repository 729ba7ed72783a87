import type { Json, PlanDraft, PlanPreview, RunDetail } from '@keyward/contract'
import { z } from 'zod'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { createCatalogue, createFlowDocuments, type Flow, type FlowDocuments } from '../catalogue/index.ts'
import { AppError, type Clock, type Log, type Principal, reasonOf } from '../core/index.ts'
import type { Findings } from '../findings/index.ts'
import { type Identity, principalNamed } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { ActionNature, Rollout } from '../rollout/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Plan, PlannedTask, Workflow } from '../workflow/index.ts'
import { planPulumi, planTerraform } from './infrastructure.ts'
import { leakedKeyInput, planLeakedKey } from './leaked-key.ts'
import { borrowedBy } from './sandbox-command.ts'

export type Flows = {
  /** Everything that a run can be started from. */
  all(): Promise<readonly Flow[]>
  /** Throws `flow.not_found`. */
  find(name: string): Promise<Flow>
  /** Throws `run.plan_invalid` for an unknown flow or input, and what the flow says when it cannot be planned now. */
  plan(wanted: { flow: string; input: Json; by: Principal }): Promise<Plan>
  /** Starts a flow, or a plan that somebody brings, as a durable run. Throws `run.plan_invalid` for an unknown flow, input or action. */
  start(request: StartFlow): Promise<RunDetail>
  /** Starts a plan as it is, when policy lets each of its tasks run for who asks: else `policy.denied`. */
  startPlan(request: StartPlan): Promise<RunDetail>
  /** What it would do; nothing runs. Throws as `start` does. */
  preview(request: Wanted): Promise<PlanPreview>
  /** A plan that somebody brings, made whole, if they may lend what it borrows. Throws `run.plan_invalid` and `policy.denied`. */
  completed(draft: PlanDraft, by: Principal): Promise<Plan>
  /** Plans a run that is a task of another one: for who asked for that, as far as policy lets them start it now. */
  planSubrun(request: { flow: string; input: Json; requestedBy: string }): Promise<Plan>
  readonly documents: FlowDocuments
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
type Starting = {
  readonly unattended: boolean
  readonly idempotencyKey?: string | undefined
  /** The key is for this very plan. */
  readonly exactly?: boolean | undefined
  readonly traceparent?: string | undefined
}
type StartFlow = Wanted & Starting
type StartPlan = Starting & {
  readonly plan: Plan
  readonly by: Principal
  /** In the transaction that stores the run: when it throws, there is no run. */
  readonly along?: (tx: Tx, run: RunDetail) => Promise<void>
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'subscribe' | 'publish'>
  clock: Pick<Clock, 'now'>
  policy: Pick<Policy, 'decide'>
  log: Log
  findings: Pick<Findings, 'preview' | 'release' | 'importingRuns'>
  workflow: Pick<Workflow, 'start' | 'read' | 'startedBefore' | 'planning'>
  identity: Pick<Identity, 'person' | 'agent'>
  rollout: Pick<Rollout, 'judge'>
  natureOf: (task: Pick<PlannedTask, 'action' | 'args' | 'risk'>) => Promise<ActionNature>
  /** Flows in code beside `leaked-key`. */
  more: readonly Flow[]
}

export function createFlows(needs: Needs): Flows {
  const { store, bus, policy, log, findings, workflow, identity, rollout, natureOf } = needs
  const own: readonly Flow[] = [
    {
      name: 'leaked-key',
      title: 'Move leaked keys into the vault',
      goals: [],
      input: leakedKeyInput,
      plan: (input, by) => planLeakedKey(findings, input, (path) => assertMayLend(by, path)),
    },
    {
      name: 'pulumi-preview-and-up',
      title: 'Preview a change with Pulumi, and make it once it is approved',
      goals: [],
      input: z.json(),
      plan: async (input) => planPulumi(input),
    },
    {
      name: 'terraform-plan-and-apply',
      title: 'Plan a change with Terraform, and apply it once it is approved',
      goals: [],
      input: z.json(),
      plan: async (input) => planTerraform(input),
    },
    ...needs.more,
  ]
  const ownNames = own.map(({ name }) => name)
  const documents = createFlowDocuments({
    ...needs,
    taken: ownNames,
    completed,
    planOf: (name, input, by) => catalogue.plan(name, input, by),
  })
  const catalogue = createCatalogue({ own, saved: documents.flows })

  function assertMayLend(principal: Principal, path: string): void {
    const { allow, reason } = policy.decide({
      principal,
      action: 'leases.grant',
      resource: { type: 'Secret', id: path, attributes: { path } },
    })
    if (!allow) throw new AppError('policy.denied', reason)
  }

  async function completed(draft: PlanDraft, by: Principal): Promise<Plan> {
    const plan = await workflow.planning.completed(draft)
    // No approval of a task stands in for the right to lend what it borrows.
    for (const path of lentIn(plan)) assertMayLend(by, path)
    return plan
  }

  /** The flow's name. A plan that somebody brings does not pass for a flow of Keyward's own. */
  function nameOf({ flow, plan }: Wanted): string {
    const name = flow ?? plan?.flow
    if (name === undefined || (flow !== undefined && plan !== undefined))
      throw new AppError('run.plan_invalid', 'give a flow by its name, or a plan')
    if (plan && ownNames.includes(name))
      throw new AppError('run.plan_invalid', `flow: '${name}' is one of Keyward's own flows`)
    return name
  }

  async function planned(wanted: Wanted): Promise<Plan> {
    const flow = nameOf(wanted)
    if (wanted.plan) {
      if (wanted.by.kind === 'agent')
        throw new AppError(
          'policy.denied',
          'an agent starts flows; a plan of its own is for a person to start',
        )
      return completed(wanted.plan, wanted.by)
    }
    // The input as it was given: by this the same request is known again.
    return { ...(await catalogue.plan(flow, wanted.input, wanted.by)), input: wanted.input }
  }

  async function startPlan({ plan, by, along, ...how }: StartPlan): Promise<RunDetail> {
    const tasks = await Promise.all(
      plan.tasks.map(async (task) => ({ id: task.id, action: task.action, ...(await natureOf(task)) })),
    )
    const { observed, judgements } = await rollout.judge(by, plan.title, tasks)
    const reasons = new Map(judgements.map(({ taskId, reason }) => [taskId, `observed: ${reason}`]))
    const request = { plan, requestedBy: by, ...how, ...(observed ? { observed: reasons } : {}) }
    if (!along) return workflow.start(undefined, request)
    return store.write(async (tx) => {
      const run = await workflow.start(tx, request)
      await along(tx, run)
      return run
    })
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
        { runId, reason: reasonOf(error) },
        'findings of an ended run are still reserved; a restart frees them',
      ),
    )
  }

  return {
    all: catalogue.all,
    find: catalogue.find,
    plan: ({ flow, input, by }) => catalogue.plan(flow, input, by),
    async start({ unattended, idempotencyKey, traceparent, ...wanted }) {
      const { by } = wanted
      const flow = nameOf(wanted)
      const input = wanted.plan?.input ?? wanted.input
      const before =
        idempotencyKey === undefined || wanted.plan
          ? undefined
          : await workflow.startedBefore({ by, idempotencyKey, flow, input })
      if (before) return before
      const exactly = wanted.plan !== undefined
      return startPlan({
        plan: await planned(wanted),
        ...{ by, unattended, idempotencyKey, exactly, traceparent },
      })
    },
    completed,
    startPlan,
    preview: async (wanted) => workflow.planning.preview(await planned(wanted), wanted.by),
    async planSubrun({ flow, input, requestedBy }) {
      const by = await principalNamed(identity, requestedBy)
      const resource = { type: 'Run', id: '*', attributes: { flow, requestedBy } } as const
      const { allow, reason } = policy.decide({ principal: by, action: 'runs.start', resource })
      if (!allow) throw new AppError('policy.denied', reason)
      return planned({ flow, input, by })
    },
    documents,
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
