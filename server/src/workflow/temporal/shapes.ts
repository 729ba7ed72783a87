import type { Command } from '../run-status.ts'

/** What the workflow and the worker of Temporal say to each other: ids, numbers and kinds of commands, nothing else. */

/** What is due for a run, as its rows say. */
export type Seen = {
  readonly ended: boolean
  readonly commands: readonly Command[]
  /** Attempts that are on disk as running. One that the workflow has not in hand was lost with its host. */
  readonly running: readonly Attempted[]
  /** Set when a task has to wait for something that is unavailable; milliseconds. */
  readonly againMs: number | null
}

export type Attempted = { readonly taskId: string; readonly attempt: number }
export type TaskCommand = Extract<Command, { readonly taskId: string }>

/** What a worker does for a run. Each may be told twice: what is no longer due is not done again. */
export type Activities = {
  look(runId: string): Promise<Seen>
  /** Asks for an approval, or runs an attempt to its end. */
  carryOut(runId: string, command: TaskCommand): Promise<Seen>
  retryDue(runId: string, attempted: Attempted): Promise<Seen>
  /** The host that ran the attempt is gone. */
  takeUp(runId: string, attempted: Attempted): Promise<Seen>
}

export type RunSettings = {
  /** After this long without a word from the worker an attempt counts as lost with it. */
  readonly heartbeatSeconds: number
  /** Events after which a run goes on in a new history. A run that was begun before there was such a limit has none. */
  readonly longHistory?: number
}

export const workflowType = 'keywardRun'
export const wokenSignal = 'woken'
