import type { Json, PlanDraft, PlanPreview, TaskPreview } from '@keyward/contract'
import { AppError, actorOf, higherRisk, type Principal } from '../core/index.ts'
import type { Reader } from '../store/index.ts'
import type { Action, Offered } from './action.ts'
import { checkedPlan } from './check-plan.ts'
import { referencesIn } from './data.ts'
import { takePreview } from './inputs.ts'
import { type Plan, type PlannedTask, plainJson, planDigestOf, planInvalid, subrunAction } from './plan.ts'
import { durationsOf } from './workflow-store.ts'

export type Planning = {
  /**
   * A plan that somebody brings, made whole: each action says at least as much as it says of itself, and what needs an approval has
   * one. Throws `run.plan_invalid`, also for an action that only Keyward's own flows may name.
   */
  completed(draft: PlanDraft): Promise<Plan>
  /** What each task of a plan would do. Nothing runs. */
  preview(plan: Plan, by: Principal): Promise<PlanPreview>
}

type Needs = { store: Reader; actions: ReadonlyMap<string, Action> }

type Draft = PlanDraft['tasks'][number]

const approvalSeconds = 24 * 3600
const durationsKept = 50

export function createPlanning({ store, actions }: Needs): Planning {
  function offeredOf(name: string, place: string): OfferedAction {
    const action = actions.get(name)
    if (isOffered(action)) return action
    const known = [...actions.values()].filter((action) => action.offered).map((action) => action.name)
    throw planInvalid(place, `there is no action '${name}' for plans. Known: ${known.join(', ') || 'none'}`)
  }

  async function completedTask(draft: Draft, place: string): Promise<PlannedTask> {
    if (draft.subrun) return { ...draft, action: draft.action ?? subrunAction, ...ownWords(draft) }
    const action = draft.action ?? ''
    const known = offeredOf(action, `${place}.action`)
    const { offered } = known
    const about = await aboutOf(offered, draft.args)
    const asked = { target: about.target ?? action, expiresInSeconds: approvalSeconds }
    const asks = (await mustAsk(known, draft.args)) || (await undoAsks(draft, place))
    const approval = draft.approval ?? (asks ? asked : undefined)
    return {
      ...draft,
      action,
      title: draft.title ?? offered.title,
      risk: higherRisk(draft.risk ?? 'low', offered.risk),
      reversible: offered.reversible && draft.reversible !== false,
      secrets: [...new Set([...draft.secrets, ...about.secrets])],
      ...(approval ? { approval } : {}),
    }
  }

  /** What undoes a task is approved with it. */
  const undoAsks = async ({ compensate }: Draft, place: string): Promise<boolean> =>
    compensate !== undefined &&
    mustAsk(offeredOf(compensate.action, `${place}.compensate.action`), compensate.args)

  async function preview(plan: Plan, by: Principal): Promise<PlanPreview> {
    const checked = checkedPlan(plan, actions)
    const tasks = await Promise.all(checked.tasks.map((task) => previewOf(task, actorOf(by))))
    return {
      plan: plainJson<Json>(checked) as PlanPreview['plan'],
      planDigest: planDigestOf(checked),
      tasks,
      expectedSeconds: longestPath(
        checked.tasks,
        new Map(tasks.map((task) => [task.id, task.expectedSeconds])),
      ),
    }
  }

  async function previewOf(task: PlannedTask, requestedBy: string): Promise<TaskPreview> {
    const action = actions.get(task.action)
    const about = action?.offered ? await aboutOf(action.offered, task.args) : undefined
    const undo = task.compensate && actions.get(task.compensate.action)
    return {
      id: task.id,
      title: task.title,
      action: task.action,
      needs: [...task.needs],
      target: task.approval?.target ?? about?.target ?? null,
      risk: task.risk,
      reversible: task.reversible,
      idempotent: action?.idempotent ?? true,
      gated: task.approval !== undefined,
      environment: (await action?.environment?.(task.args)) ?? null,
      permissions: [...(action?.offered?.permissions ?? [])],
      secrets: [...task.secrets],
      expectedSeconds: await expectedSeconds(task),
      cost: action?.offered?.cost ?? null,
      preview: await dryRun(task, action, requestedBy),
      rollback: task.compensate ? (undo?.offered?.title ?? task.compensate.action) : null,
    }
  }

  /** Null where it hangs on what runs before. What cannot be seen now is said, and refuses nothing: it may be there later. */
  async function dryRun(task: PlannedTask, action: Action | undefined, requestedBy: string): Promise<Json> {
    if (!action?.preview || referencesIn(task.args, 'args').length > 0) return null
    try {
      return await takePreview(action, { id: 'plan', requestedBy }, task)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { unavailable: `${error.code}: ${error.detail ?? error.message}` }
    }
  }

  async function expectedSeconds({ action }: PlannedTask): Promise<number | null> {
    const took = (await durationsOf(store, action, durationsKept)).sort((a, b) => a - b)
    const middle = took[Math.floor(took.length / 2)]
    return middle === undefined ? null : middle / 1000
  }

  return {
    async completed(draft) {
      const tasks: PlannedTask[] = []
      for (const [i, task] of draft.tasks.entries()) tasks.push(await completedTask(task, `tasks[${i}]`))
      return checkedPlan({ ...draft, tasks }, actions)
    },
    preview,
  }
}

const ownWords = ({ id, title, risk, reversible }: Draft) => ({
  title: title ?? id,
  risk: risk ?? ('low' as const),
  reversible: reversible ?? true,
})

type OfferedAction = Action & { readonly offered: Offered }
const isOffered = (action: Action | undefined): action is OfferedAction => action?.offered !== undefined

/** Critical, destructive or production-impacting: a person is asked. */
async function mustAsk(action: OfferedAction, args: Json): Promise<boolean> {
  const { risk, reversible } = action.offered
  if (!reversible || risk === 'high' || risk === 'critical') return true
  return action.effect !== 'read' && (await action.environment?.(args)) === 'production'
}

/** Where arguments hang on what runs before, only that is known which does not. */
async function aboutOf(
  offered: Offered,
  args: Json,
): Promise<{ target: string | null; secrets: readonly string[] }> {
  try {
    return (await offered.about?.(args)) ?? { target: null, secrets: [] }
  } catch (error) {
    if (error instanceof AppError)
      throw planInvalid('args', `${error.code}: ${error.detail ?? error.message}`)
    throw error
  }
}

/** Seconds along the path that takes longest; null when a task of it is not known. */
function longestPath(
  tasks: readonly PlannedTask[],
  seconds: ReadonlyMap<string, number | null>,
): number | null {
  const byId = new Map(tasks.map((task) => [task.id, task]))
  const found = new Map<string, number | null>()
  const until = (id: string): number | null => {
    const before = found.get(id)
    if (before !== undefined) return before
    const own = seconds.get(id) ?? null
    const needs = (byId.get(id)?.needs ?? []).map(until)
    const total = needs.reduce<number | null>(
      (most, one) => (most === null || one === null ? null : Math.max(most, one)),
      0,
    )
    const sum = own === null || total === null ? null : own + total
    found.set(id, sum)
    return sum
  }
  const ends = tasks.map(({ id }) => until(id))
  return ends.some((end) => end === null) ? null : Math.max(...ends.map((end) => end ?? 0))
}
