import { z } from 'zod'
import { json, operation, timestamp } from './operation.ts'
import { runState } from './runs.ts'

const rhythm = {
  /** Five fields of cron. */
  cron: z.string().trim().min(1).max(200),
  /** As of the IANA, for example Europe/Zurich. */
  timeZone: z.string().min(1).max(100),
  /** What becomes of times that went by while the server was away, or its vault sealed: none of them, one run for all, the last 24. */
  missed: z.enum(['skip', 'once', 'all']),
  /** What happens while an earlier run has not ended: nothing, the next one waits for its end, both run. */
  overlap: z.enum(['skip', 'queue', 'allow']),
}

export const runFiring = z.object({
  /** Its time, by the clock or by a person; unique within its schedule. */
  dueAt: timestamp,
  cause: z.enum(['clock', 'person']),
  /** `waiting`: for the end of an earlier run, or for its turn. `refused`: it could not be started, and `reason` says why. */
  state: z.enum(['waiting', 'started', 'skipped', 'missed', 'refused']),
  /** In whose name, as `<kind>:<id>`. */
  requestedBy: z.string(),
  runId: z.string().nullable(),
  /** How its run is now. */
  runState: runState.nullable(),
  reason: z.string().nullable(),
})
export type RunFiring = z.output<typeof runFiring>

export const runScheduleView = z.object({
  id: z.string(),
  title: z.string(),
  flow: z.string(),
  input: json,
  ...rhythm,
  paused: z.boolean(),
  createdBy: z.string(),
  createdAt: timestamp,
  /** Who made it, or changed it last: its runs are theirs, and it may do what they may do at that time. */
  requestedBy: z.string(),
  nextAt: timestamp.nullable(),
  /** Runs that it has started, and times at which it could not. */
  started: z.int(),
  refused: z.int(),
  last: runFiring.nullable(),
  /** Times at which it started nothing because an earlier run went on, and spans of times that went by while the server was away. */
  skipped: z.int().optional(),
  missedSpans: z.int().optional(),
  /** An earlier run that waits for a person, and keeps later times from starting until then. */
  heldBy: z.object({ runId: z.string(), runState }).nullable().optional(),
})
export type RunScheduleView = z.output<typeof runScheduleView>

const scheduleId = { scheduleId: z.string() }
const title = z.string().trim().min(3).max(200)

export const runSchedulesApi = {
  list: operation({
    name: 'run_schedules.list',
    method: 'GET',
    path: '/run-schedules',
    summary: 'Flows that are started by the clock',
    result: z.object({ items: z.array(runScheduleView) }),
  }),
  read: operation({
    name: 'run_schedules.read',
    method: 'GET',
    path: '/run-schedules/{scheduleId}',
    summary: 'One schedule with its last times, newest first',
    params: scheduleId,
    result: runScheduleView.extend({ firings: z.array(runFiring) }),
    fails: ['schedule.not_found'],
  }),
  times: operation({
    name: 'run_schedules.times',
    method: 'GET',
    path: '/run-schedule-times',
    summary: 'When a schedule would be due next, before it is made',
    query: { cron: rhythm.cron, timeZone: rhythm.timeZone.default('UTC') },
    /** The next five, and the zone as the IANA writes it. */
    result: z.object({ timeZone: z.string(), items: z.array(timestamp) }),
  }),
  create: operation({
    name: 'run_schedules.create',
    method: 'POST',
    path: '/run-schedules',
    summary: 'Have a flow started by the clock, in the name of who asks',
    body: {
      title: title.optional(),
      flow: z.string().min(1).max(100),
      input: z.record(z.string(), json).default({}),
      cron: rhythm.cron,
      timeZone: rhythm.timeZone.default('UTC'),
      missed: rhythm.missed.default('once'),
      overlap: rhythm.overlap.default('skip'),
    },
    result: runScheduleView,
    fails: ['flow.not_found', 'run.plan_invalid'],
  }),
  change: operation({
    name: 'run_schedules.change',
    method: 'PUT',
    path: '/run-schedules/{scheduleId}',
    summary: 'Pause a schedule or let it go on; or change it, and its runs are from now on those of who asks',
    params: scheduleId,
    body: {
      title: title.optional(),
      input: z.record(z.string(), json).optional(),
      cron: rhythm.cron.optional(),
      timeZone: rhythm.timeZone.optional(),
      missed: rhythm.missed.optional(),
      overlap: rhythm.overlap.optional(),
      paused: z.boolean().optional(),
    },
    result: runScheduleView,
    fails: ['schedule.not_found', 'flow.not_found', 'run.plan_invalid'],
  }),
  remove: operation({
    name: 'run_schedules.remove',
    method: 'DELETE',
    path: '/run-schedules/{scheduleId}',
    summary: 'Forget a schedule; its runs stay',
    params: scheduleId,
    result: z.object({ removed: z.boolean() }),
    fails: ['schedule.not_found'],
  }),
  run: operation({
    name: 'run_schedules.run',
    method: 'POST',
    path: '/run-schedules/{scheduleId}/run',
    summary: 'Start it now, in the name of who asks',
    params: scheduleId,
    result: runScheduleView,
    fails: ['schedule.not_found', 'schedule.busy'],
  }),
}
