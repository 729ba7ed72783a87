import type { Json, Risk } from '@keyward/contract'
import type { z } from 'zod'
import type { Tx } from '../store/index.ts'

/** What a task can do. Flows declare their own; a plan names them. */
export type Action = {
  readonly name: string
  /** True when a second execution with the same idempotency key does no harm: then a lost attempt simply runs again. */
  readonly idempotent: boolean
  /** `read`: it changes nothing, whatever a plan says of it. Absent: `write`. */
  readonly effect?: 'read' | 'write'
  /** Where it would act, for example "production", as far as its arguments say; undefined when nobody has said so. */
  environment?(args: Json): Promise<string | undefined>
  /** What its arguments must be and what it gives: plans are checked against them before they run. */
  readonly input?: z.ZodType
  readonly output?: z.ZodType
  /** With this a plan that somebody brings may name the action. Without it only Keyward's own flows do. */
  readonly offered?: Offered
  /** What an approver is shown, secrets masked. Taken again right before the execution: a difference voids the approval. */
  preview?(args: Json, about: PreviewContext): Promise<Json>
  execute(context: TaskContext): Promise<TaskResult>
  /**
   * Called in the transaction in which an attempt ends, however it ends, and once more when an attempt that was given up
   * returns late: leases end here. Only its database effects count; it may be called again after a rollback.
   */
  ended?(tx: Tx, attempt: { runId: string; taskId: string; reason: string }): Promise<void>
  /** For what may not run twice: finds out whether a lost attempt had its effect. Without it such a task becomes Ambiguous. */
  reconcile?(context: TaskContext): Promise<Reconciled>
}

/** What an action says about itself; a plan that somebody brings cannot say less. */
export type Offered = {
  readonly title: string
  readonly risk: Risk
  readonly reversible: boolean
  /** As the service names them. */
  readonly permissions: readonly string[]
  /** What somebody is billed for, in words; absent where that is nothing beside the time that it takes. */
  readonly cost?: string | undefined
  /** What it would act on, and the secrets that it would use, by their paths. Called while a plan is checked: changes nothing. */
  about?(args: Json): Promise<{ readonly target: string | null; readonly secrets: readonly string[] }>
}

export type Reconciled =
  | { readonly effect: 'done'; readonly result: TaskResult }
  | { readonly effect: 'none' }
  | { readonly effect: 'unknown'; readonly reason: string }

/** For whom a preview is taken: what it reads outside is read for them. */
export type PreviewContext = Pick<TaskContext, 'runId' | 'taskId' | 'requestedBy'>

export type TaskContext = {
  readonly runId: string
  readonly taskId: string
  readonly attempt: number
  /** `<runId>:<taskId>`: the same for every attempt, and another once what went through is done once more. */
  readonly idempotencyKey: string
  readonly args: Json
  /** As the plan says it, and as whoever approved it was shown. */
  readonly risk: Risk
  /** Of the tasks that this one needs, by their id. */
  readonly outputs: Readonly<Record<string, Json>>
  /**
   * The preview that was approved, for a gated task. A first attempt starts only if the world still looks like it; a later
   * attempt continues work that may be half done, and has to compare piece by piece.
   */
  readonly approvedPreview: Json | null
  /** Aborted by the timeout, a cancel or the end of the server. The reason says which. */
  readonly signal: AbortSignal
  /** Says that it goes on; a task with `heartbeatSeconds` that is silent for longer is stopped. */
  heartbeat(): void
  /** `<kind>:<id>` of who asked for the run. */
  readonly requestedBy: string
}

export type TaskResult = {
  /** Stored and shown: references and facts, never a secret. */
  readonly output: Json
  /** Runs in the very transaction that completes the task: what it writes happens exactly once. It may be called again after a rollback. */
  readonly commit?: (tx: Tx) => Promise<void>
}
