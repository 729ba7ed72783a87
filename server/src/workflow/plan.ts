import type { Json, PlanDocument, PlannedTaskDocument } from '@keyward/contract'
import { AppError, digestOf } from '../core/index.ts'

/** A run as data, before it runs: everything that a person can be shown and that an approval is bound to. */
export type Plan = Readonly<Omit<PlanDocument, 'version' | 'tasks'>> & {
  /** Plans that were stored before there were versions have none; they are of the first. */
  readonly version?: PlanDocument['version']
  readonly tasks: readonly PlannedTask[]
}
export type PlannedTask = Readonly<Omit<PlannedTaskDocument, 'needs' | 'secrets' | 'approval'>> & {
  readonly approval?: GateRules | undefined
  readonly needs: readonly string[]
  readonly secrets: readonly string[]
}

/** How a gated task is asked for. A rule of the server may ask for more than the plan does, never for less. */
export type GateRules = Readonly<Omit<TaskApproval, 'groups'>> & {
  readonly groups?: readonly string[] | undefined
}
type TaskApproval = NonNullable<PlannedTaskDocument['approval']>

/** The name that stands for an action in a task that is a run of its own. */
export const subrunAction = 'subrun'

/** How long an attempt may take; 15 minutes unless its plan says otherwise. */
export const timeoutSecondsOf = ({ timeoutSeconds = 900 }: Pick<PlannedTask, 'timeoutSeconds'>): number =>
  timeoutSeconds

export const planDigestOf = (plan: Plan): string => digestOf(plainJson<Json>(plan))

/** What a value is after it was stored as JSON: the only form that may be hashed, because it is the form that is read again. */
export function plainJson<T extends Json | Plan>(value: Json | Plan): T {
  return JSON.parse(JSON.stringify(value ?? null))
}

export const planInvalid = (place: string, what: string): AppError =>
  new AppError('run.plan_invalid', `${place}: ${what}`)
