import type { LiveEvent } from '@keyward/contract'
import { z } from 'zod'

/** What the bus says of runs, as far as watchers read it. Times are in milliseconds. */
export type Happening =
  | { readonly kind: 'run-started'; readonly at: number; readonly runId: string; readonly flow: string }
  | {
      readonly kind: 'run-finished'
      readonly at: number
      readonly runId: string
      readonly flow: string
      readonly state: string
      readonly startedAt: number
    }
  | {
      readonly kind: 'task-finished'
      readonly at: number
      readonly runId: string
      readonly taskId: string
      readonly action: string
      /** `Pending` when it is tried again. */
      readonly state: string
      readonly attempt: number
      /** When the attempt began that has ended; null when none has. */
      readonly startedAt: number | null
    }
  | {
      readonly kind: 'approval-ended'
      readonly at: number
      readonly approvalId: string
      readonly runId: string
      readonly taskId: string
      readonly outcome: string
      readonly channel: string
      readonly startedAt: number
    }
  | {
      readonly kind: 'model-asked'
      readonly at: number
      readonly outcome: string
      readonly inputTokens: number
      readonly outputTokens: number
    }

const time = z.string().transform((text) => Date.parse(text))
const ofRun = { runId: z.string() }
const ofTask = { ...ofRun, taskId: z.string() }
const shapes = {
  started: z.object({ ...ofRun, flow: z.string() }),
  finished: z.object({ ...ofRun, flow: z.string(), state: z.string(), startedAt: time }),
  task: z.object({
    ...ofTask,
    action: z.string(),
    state: z.string(),
    attempt: z.int(),
    startedAt: time.nullable(),
  }),
  model: z.object({ outcome: z.string(), inputTokens: z.int(), outputTokens: z.int() }),
  approval: z.object({
    ...ofTask,
    approvalId: z.string(),
    state: z.string(),
    channel: z.string().nullable(),
    requestedAt: time,
  }),
}

/** Undefined for what is not watched, and for events of earlier versions that say less. */
export function happeningOf({ type, at: when, data }: LiveEvent): Happening | undefined {
  const at = Date.parse(when)
  switch (type) {
    case 'run.started': {
      const said = shapes.started.safeParse(data).data
      return said && { kind: 'run-started', at, ...said }
    }
    case 'run.finished': {
      const said = shapes.finished.safeParse(data).data
      return said && { kind: 'run-finished', at, ...said }
    }
    case 'task.finished': {
      const said = shapes.task.safeParse(data).data
      return said && { kind: 'task-finished', at, ...said }
    }
    case 'goal.model_asked': {
      const said = shapes.model.safeParse(data).data
      return said && { kind: 'model-asked', at, ...said }
    }
    case 'approval.approved':
    case 'approval.denied':
    case 'approval.expired':
    case 'approval.cancelled':
    case 'approval.voided':
    case 'approval.superseded': {
      const said = shapes.approval.safeParse(data).data
      if (!said) return undefined
      const { requestedAt: startedAt, state: outcome, channel, ...about } = said
      return { kind: 'approval-ended', at, ...about, outcome, channel: channel ?? 'none', startedAt }
    }
    default:
      return undefined
  }
}
