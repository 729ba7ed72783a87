import type { Json } from '@keyward/contract'
import {
  type Approvals,
  approvalsMigrations,
  createApprovals,
  type Directory,
  type MayApprove,
} from '../../src/approvals/index.ts'
import { AppError, type Clock, type Principal, silentLog } from '../../src/core/index.ts'
import {
  type Action,
  createWorkflow,
  type Plan,
  type PlannedTask,
  type Workflow,
  workflowMigrations,
} from '../../src/workflow/index.ts'
import { eventually } from './eventually.ts'
import type { World } from './world.ts'

export const engineMigrations = [...workflowMigrations, ...approvalsMigrations]

export const person = (id: string): Principal => ({ kind: 'person', id, name: id, roles: ['owner'] })
export const olga = person('olga')
export const piet = person('piet')

/** Anybody may answer, the requester only where `solo` is on. */
export const openPolicy: MayApprove = () => ({
  allow: true,
  policies: ['test'],
  reason: 'test',
  mode: 'person',
})

/** Everybody has an account, in no group, and no agent has an owner. */
const everybody: Directory = {
  async person(_, actor) {
    const id = actor.replace('person:', '')
    return { id, name: id, roles: ['owner'], groups: [] }
  },
  ownerOf: async () => undefined,
}

export type Engine = { workflow: Workflow; approvals: Approvals; stop(): Promise<void> }

type Options = {
  actions: readonly Action[]
  mayApprove?: MayApprove
  directory?: Directory
  policyVersion?: () => string
  concurrency?: number
  onBoundary?: NonNullable<Parameters<typeof createWorkflow>[0]['onBoundary']>
  temporal?: Parameters<typeof createWorkflow>[0]['temporal']
  /** Flows that a task can be a run of. */
  flows?: { readonly [name: string]: Plan }
}

/** Workflow and approvals composed as main composes them, not yet running. */
export function createEngine(
  world: Pick<World, 'store' | 'audit' | 'bus'> & { clock: Clock },
  options: Options,
): Engine {
  const { store, audit, bus, clock } = world
  const shared = { store, audit, bus, clock, log: silentLog }
  const { mayApprove = openPolicy, directory = everybody, flows = {}, ...own } = options
  const { policyVersion = () => 'test' } = options
  const workflow: Workflow = createWorkflow({
    ...shared,
    ...own,
    async planFlow({ flow, input }) {
      const plan = flows[flow]
      if (plan) return { ...plan, input }
      throw new AppError('run.plan_invalid', `there is no flow '${flow}'`)
    },
    gate: {
      request: (tx, question) => approvals.request(tx, question),
      redeem: (tx, claim) => approvals.redeem(tx, claim),
      cancelForRun: (tx, runId, reason) => approvals.cancelForRun(tx, runId, reason),
    },
  })
  const approvals: Approvals = createApprovals({
    ...shared,
    workflow,
    directory,
    mayApprove,
    policyVersion,
  })
  return {
    workflow,
    approvals,
    async stop() {
      await approvals.stop()
      await workflow.stop()
    },
  }
}

export const task = (id: string, more: Partial<PlannedTask> = {}): PlannedTask => ({
  id,
  title: `Task ${id}`,
  action: 'test.note',
  args: { note: id },
  needs: [],
  risk: 'low',
  reversible: true,
  secrets: [],
  ...more,
})

export const gate = { target: 'shop', expiresInSeconds: 600 }

export const planOf = (...tasks: PlannedTask[]): Plan => ({
  flow: 'test',
  title: 'A test',
  input: { project: 'shop' },
  tasks,
})

/** An action that says what it did; its preview is whatever `world.preview` is. */
export function noteAction(notes: string[], world: { preview: Json } = { preview: 'same' }): Action {
  return {
    name: 'test.note',
    idempotent: true,
    preview: async () => world.preview,
    async execute({ taskId, attempt, outputs }) {
      notes.push(attempt === 1 ? taskId : `${taskId}#${attempt}`)
      return { output: { from: Object.keys(outputs).sort() } }
    },
  }
}

export const pendingApproval = (approvals: Approvals, runId: string) =>
  eventually(async () => {
    const { items } = await approvals.page({ limit: 500, state: 'pending' })
    return items.find((approval) => approval.runId === runId)
  }, 'the approval')
