import type { Json } from '@keyward/contract'
import { AppError, canonicalJson } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Action } from './action.ts'
import { referencesIn } from './data.ts'
import type { ApprovalGate } from './gate.ts'
import { filledIn, isChangeable, questionOf, takePreview } from './inputs.ts'
import { type PlannedTask, plainJson } from './plan.ts'
import { plannedOf, type RunRecord } from './run-record.ts'
import type { Transitions } from './transition.ts'
import { readRun } from './workflow-store.ts'

/** Other arguments for a task that waits for an approval. */
export type Change = {
  readonly runId: string
  readonly taskId: string
  /** The question that is open, and that the new one takes the place of. */
  readonly approvalId: string
  readonly args: Json
  /** `<kind>:<id>`. */
  readonly by: string
  readonly reason: string
}

export type Changing = {
  /**
   * Asks anew with these arguments and gives the id of the new question; the one before ends as superseded. Throws
   * `approval.fixed`, `approval.arguments`, `run.state`, and what the action's preview throws.
   * @param assertOpen in the same transaction, before anything is written
   */
  change(change: Change, assertOpen: (tx: Tx) => Promise<void>): Promise<string>
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  transitions: Transitions
  gate: Pick<ApprovalGate, 'request'>
  actions: ReadonlyMap<string, Action>
  /** The run was changed in this transaction: somebody may have to go on with it. */
  onChanged: (tx: Tx, run: RunRecord) => Promise<void>
}

export function createChanging({ store, transitions, gate, actions, onChanged }: Needs): Changing {
  return {
    async change({ runId, taskId, approvalId, args, by, reason }, assertOpen) {
      const run = await readRun(store, runId)
      const before = waitingTask(run, taskId, approvalId)
      const action = actions.get(before.planned.action)
      const asked = filledIn(before.run, before.planned, action)
      const planned: PlannedTask = { ...asked, args: plainJson<Json>(args) }
      await assertAllowed(asked, planned, action)
      const preview = await takePreview(action, before.run, planned)
      return store.write(async (tx) => {
        await assertOpen(tx)
        const transition = await transitions.open(tx, runId)
        waitingTask(transition?.run, taskId, approvalId)
        if (!transition) throw notWaiting(runId, taskId)
        const question = questionOf(transition.run, planned, { action, preview })
        const next = await gate.request(tx, { ...question, change: { approvalId, by, reason } })
        const facts = { preview: JSON.stringify(preview), changedArgs: JSON.stringify(planned.args) }
        const event = { type: 'ApprovalReplaced', taskId, replaces: approvalId, approvalId: next } as const
        transitions.tell(transition, event, facts)
        await transitions.save(tx, transition)
        await onChanged(tx, transition.run)
        return next
      })
    },
  }
}

function waitingTask(run: RunRecord | undefined, taskId: string, approvalId: string) {
  const status = run?.status.tasks.get(taskId)
  const planned = run && plannedOf(run, taskId)
  if (!run || !planned || status?.state !== 'AwaitingApproval' || status.approvalId !== approvalId)
    throw notWaiting(run?.id ?? '', taskId)
  return { run, planned }
}

const notWaiting = (runId: string, taskId: string): AppError =>
  new AppError('run.state', `task '${taskId}' of run ${runId} does not wait for this approval any more`)

/** How it is done may change, not what it is done to or with which secrets: that would be another request. */
async function assertAllowed(
  asked: PlannedTask,
  planned: PlannedTask,
  action: Action | undefined,
): Promise<void> {
  if (!action || !isChangeable(asked, action))
    throw new AppError(
      'approval.fixed',
      `${asked.action}: ${whyFixed(asked)}. Deny it, and ask for what is wanted`,
    )
  const wrong = issuesOf(planned.args, action)
  if (wrong.length > 0) throw new AppError('approval.arguments', wrong.join('; '))
  if (canonicalJson(planned.args) === canonicalJson(asked.args))
    throw new AppError('approval.arguments', 'args: nothing is changed')
  const about = action.offered?.about
  if (!about) return
  const [was, is] = [await about(asked.args), await about(planned.args)]
  if (was.target !== is.target)
    throw new AppError(
      'approval.arguments',
      `args: this is for ${is.target}, and ${was.target} was asked for`,
    )
  const more = is.secrets.find((secret) => !was.secrets.includes(secret) && !asked.secrets.includes(secret))
  if (more !== undefined)
    throw new AppError('approval.arguments', `args: this would use the secret ${more}, too`)
}

const whyFixed = ({ compensate }: PlannedTask): string =>
  compensate ? 'the plan says how it is undone as it stands' : 'it does not say what arguments it takes'

/** What is wrong with them, each with its place: `args.files[0].path: …`. */
function issuesOf(args: Json, { input }: Action): string[] {
  const [reference] = referencesIn(args, 'args')
  if (reference) return [`${reference.place}: what a task gave cannot be named here; write the value`]
  const parsed = input?.safeParse(args)
  if (parsed?.error) return parsed.error.issues.map(({ path, message }) => `${placeOf(path)}: ${message}`)
  return unknownIn(args, parsed?.data).map((name) => `args.${name}: the action knows no such argument`)
}

const placeOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (place, part) => (typeof part === 'number' ? `${place}[${part}]` : `${place}.${String(part)}`),
    'args',
  )

/** A misspelt name must not pass for one that is left out. */
function unknownIn(args: Json, parsed: unknown): string[] {
  if (!isRecord(args) || !isRecord(parsed)) return []
  return Object.keys(args).filter((name) => !(name in parsed))
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
