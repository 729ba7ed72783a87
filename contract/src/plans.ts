import { z } from 'zod'
import { type Json, json } from './operation.ts'
import { groupName } from './people.ts'

export const risk = z.enum(['low', 'medium', 'high', 'critical'])
export type Risk = z.output<typeof risk>

const taskId = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,99}$/)
/** Dotted names and indexes into an output: `repository.owner` or `files.0.path`; the whole output when absent or empty. */
const dataPath = z.string().max(500)
const seconds = (most: number) => z.number().min(1).max(most)
const month = 30 * 24 * 3600

/**
 * A place whose value is not known before the run: it stands in a task's `args` and is replaced right before the preview and the
 * execution. `$from` names a task that this one needs. Within a fanned-out task `$item` is (a part of) its own item.
 */
export const outputReference = z.strictObject({ $from: taskId, path: dataPath.optional() })
export const itemReference = z.strictObject({ $item: dataPath })

/** A question about the output of a needed task, as data. */
export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition }
  | {
      $from: string
      path?: string | undefined
      equals?: Json | undefined
      oneOf?: Json[] | undefined
      exists?: boolean | undefined
      above?: number | undefined
      below?: number | undefined
    }
const operators = ['equals', 'oneOf', 'exists', 'above', 'below'] as const
export const condition: z.ZodType<Condition> = z.lazy(() =>
  z.union([
    z.strictObject({ all: z.array(condition).min(1).max(50) }),
    z.strictObject({ any: z.array(condition).min(1).max(50) }),
    z.strictObject({ not: condition }),
    z
      .strictObject({
        ...outputReference.shape,
        equals: json.optional(),
        oneOf: z.array(json).min(1).max(200).optional(),
        exists: z.boolean().optional(),
        above: z.number().optional(),
        below: z.number().optional(),
      })
      .refine(
        (asked) => operators.filter((operator) => asked[operator] !== undefined).length === 1,
        `one of ${operators.join(', ')} is needed`,
      ),
  ]),
)

/** Who is asked before the task runs. */
export const taskApproval = z.strictObject({
  /** What is acted on, in words for who answers. */
  target: z.string().min(1).max(2000),
  expiresInSeconds: seconds(month),
  /** How many people have to allow it; 1 when absent. */
  quorum: z.int().min(1).max(20).optional(),
  /** Who may answer: people in one of these groups; whoever policy lets when absent. */
  groups: z.array(groupName).min(1).max(20).optional(),
  secondFactor: z.boolean().optional(),
  /** For who answers, in words: what is hit when it goes wrong, and how it is taken back. */
  blastRadius: z.string().max(2000).optional(),
  rollback: z.string().max(2000).optional(),
})

export const taskRetry = z.strictObject({
  maxAttempts: z.int().min(1).max(1000),
  /** Doubles with each failure, up to an hour, and is spread. */
  backoffSeconds: z.number().min(0).max(3600),
  /** Only failures with these error codes are tried again; every one that may pass when absent. */
  codes: z.array(z.string().min(1).max(100)).min(1).max(50).optional(),
})

/** One step. What a plan leaves out (`planDraft`) is taken from the action that the task names. */
export const plannedTask = z.strictObject({
  /** Unique in the plan; with the run's id it is the idempotency key of every effect. */
  id: taskId,
  title: z.string().min(1).max(2000),
  /** What it does; `subrun` for a task that is a run of its own. */
  action: z.string().min(1).max(200),
  args: json,
  /** Ids of the tasks that come before. */
  needs: z.array(taskId),
  risk,
  reversible: z.boolean(),
  /** Paths in the vault; never values. */
  secrets: z.array(z.string()),
  approval: taskApproval.optional(),
  retry: taskRetry.optional(),
  /** An attempt that takes longer is stopped; 900 when absent. */
  timeoutSeconds: seconds(month).optional(),
  /** Fails when it could not begin this long after it might have. */
  startTimeoutSeconds: seconds(month).optional(),
  /** An attempt that says nothing for this long is stopped. */
  heartbeatSeconds: seconds(month).optional(),
  /** Tasks with the same key run so many at once, over all runs; `concurrencyLimit` is 1 when absent. */
  concurrencyKey: z.string().min(1).max(200).optional(),
  concurrencyLimit: z.int().min(1).max(1000).optional(),
  /** Skipped when this does not hold. */
  when: condition.optional(),
  /** Done once for each item of this list, at most 200: as tasks `<id>.0`, `<id>.1` …; its output is the list of theirs. */
  forEach: outputReference.optional(),
  /** Undoes it, as the task `<id>.undo`, when the run fails or is denied after this succeeded: what came last first. */
  compensate: z
    .strictObject({ action: z.string().min(1).max(200), args: json, approval: taskApproval.optional() })
    .optional(),
  /** Runs only when that task failed or was denied. When it succeeds, that end is made good. */
  fallbackFor: taskId.optional(),
  /** With `fallbackFor`: it brings back what was before, and the run is called rolled back. */
  rollsBack: z.boolean().optional(),
  /** `end`: begins when its needs have ended, however they did. */
  after: z.enum(['success', 'end']).optional(),
  /** This task is a run of another flow: cancelled with this one, its output is the outputs of that one's tasks. */
  subrun: z.strictObject({ flow: z.string().min(1).max(100), input: json }).optional(),
})
export type PlannedTaskDocument = z.output<typeof plannedTask>

const plan = {
  version: z.literal(1).default(1),
  flow: z.string().min(1).max(100),
  title: z.string().min(1).max(2000),
  /** What it is for, in the words of who wants it. */
  goal: z.string().max(2000).optional(),
  /** Tasks of a higher one begin first when not all can; 0 when absent. */
  priority: z.int().min(-100).max(100).optional(),
  input: json,
}

/** A run as data, before it runs: everything that a person can be shown and that an approval is bound to. */
export const planDocument = z.strictObject({ ...plan, tasks: z.array(plannedTask).min(1).max(1000) })
export type PlanDocument = z.output<typeof planDocument>

/** A plan as somebody writes it: what an action says about itself need not be repeated. */
export const planDraft = z.strictObject({
  ...plan,
  flow: plan.flow.default('plan'),
  input: json.default({}),
  tasks: z
    .array(
      plannedTask.extend({
        title: plannedTask.shape.title.optional(),
        action: plannedTask.shape.action.optional(),
        args: json.default({}),
        needs: plannedTask.shape.needs.default([]),
        secrets: plannedTask.shape.secrets.default([]),
        risk: risk.optional(),
        reversible: z.boolean().optional(),
      }),
    )
    .min(1)
    .max(1000),
})
export type PlanDraft = z.output<typeof planDraft>

/** What a task would do, as far as that is known before anything runs. */
export const taskPreview = z.object({
  id: z.string(),
  title: z.string(),
  action: z.string(),
  needs: z.array(z.string()),
  /** What it acts on. */
  target: z.string().nullable(),
  /** What the service belongs to that it acts on, for example `production`; null when nobody has said so. */
  environment: z.string().nullish(),
  risk,
  reversible: z.boolean(),
  idempotent: z.boolean(),
  /** Waits for a person's answer. */
  gated: z.boolean(),
  /** As the services name them. */
  permissions: z.array(z.string()),
  secrets: z.array(z.string()),
  /** The median of how long this action took; null when it has not run. */
  expectedSeconds: z.number().nullable(),
  /** What somebody is billed for, in words; null where that is nothing. */
  cost: z.string().nullish(),
  /** What the dry run of the action says; null where it has none, or where it hangs on what runs before. */
  preview: json.nullable(),
  /** The task that undoes it, in words; null when nothing does. */
  rollback: z.string().nullable(),
})
export type TaskPreview = z.output<typeof taskPreview>

export const planPreview = z.object({
  plan: planDocument,
  planDigest: z.string(),
  tasks: z.array(taskPreview),
  /** Along the longest path; null when a task on it has never run. Waiting for people is not counted. */
  expectedSeconds: z.number().nullable(),
})
export type PlanPreview = z.output<typeof planPreview>
