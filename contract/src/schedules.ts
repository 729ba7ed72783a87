import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

export const pushProvider = z.enum(['github', 'gitlab'])

const rhythm = {
  /** Five fields of cron; null: not by the clock. */
  cron: z.string().trim().min(1).max(200).nullable(),
  /** As of the IANA, for example Europe/Zurich. */
  timeZone: z.string().min(1).max(100),
  /** `new`: of the history only what no earlier scan has seen. */
  history: z.enum(['all', 'new', 'none']),
  /** Whether files are looked at as they change. */
  watch: z.boolean(),
  /** Whether what a scan newly finds is proposed for import: a run that waits for a person. */
  propose: z.boolean(),
}

const push = z.object({
  provider: pushProvider,
  /** The only repository whose pushes count, as the provider names it: `owner/name`. */
  repository: z
    .string()
    .max(300)
    .regex(/^[\w.-]+(?:\/[\w.-]+)+$/, 'write it as owner/name'),
})

export const scheduleView = z.object({
  id: z.string(),
  /** The folder on the server. */
  path: z.string(),
  ...rhythm,
  push: push.nullable(),
  /** Where the provider sends pushes to, below the server's address; null without `push`. */
  hook: z.string().nullable(),
  /** Whether a secret has been issued for the hook; without one it refuses everything. */
  hookReady: z.boolean(),
  paused: z.boolean(),
  createdBy: z.string(),
  createdAt: timestamp,
  nextAt: timestamp.nullable(),
  /** How watching the folder stands; null when it is not asked for. */
  watching: z.object({ state: z.enum(['on', 'off', 'failing']), problem: z.string().nullable() }).nullable(),
  runs: z.int(),
  failures: z.int(),
  last: z
    .object({
      /** Null while it is at work, and when it could not begin. */
      scanId: z.string().nullable(),
      state: z.enum(['running', 'finished', 'failed']),
      startedAt: timestamp,
      finishedAt: timestamp.nullable(),
      opened: z.int(),
      fixed: z.int(),
      problem: z.string().nullable(),
    })
    .nullable(),
})
export type ScheduleView = z.output<typeof scheduleView>

const scheduleId = { scheduleId: z.string() }

export const schedulesApi = {
  list: operation({
    name: 'schedules.list',
    method: 'GET',
    path: '/schedules',
    summary: 'When folders are scanned again: by the clock, as files change, after a push',
    result: z.object({ items: z.array(scheduleView) }),
  }),
  create: operation({
    name: 'schedules.create',
    method: 'POST',
    path: '/schedules',
    summary: 'Have a folder of the server scanned again and again',
    body: {
      path: z.string().min(1),
      cron: rhythm.cron.default(null),
      timeZone: rhythm.timeZone.default('UTC'),
      history: rhythm.history.default('new'),
      watch: rhythm.watch.default(false),
      propose: rhythm.propose.default(true),
      push: push.nullable().default(null),
    },
    result: scheduleView,
    fails: ['scan.path_unreadable', 'schedule.exists'],
  }),
  change: operation({
    name: 'schedules.change',
    method: 'PUT',
    path: '/schedules/{scheduleId}',
    summary: 'Change a schedule, pause it or let it go on',
    params: scheduleId,
    body: {
      cron: rhythm.cron.optional(),
      timeZone: rhythm.timeZone.optional(),
      history: rhythm.history.optional(),
      watch: rhythm.watch.optional(),
      propose: rhythm.propose.optional(),
      paused: z.boolean().optional(),
    },
    result: scheduleView,
    fails: ['schedule.not_found'],
  }),
  remove: operation({
    name: 'schedules.remove',
    method: 'DELETE',
    path: '/schedules/{scheduleId}',
    summary: 'Forget a schedule; its findings stay',
    params: scheduleId,
    result: z.object({ removed: z.boolean() }),
    fails: ['schedule.not_found'],
  }),
  run: operation({
    name: 'schedules.run',
    method: 'POST',
    path: '/schedules/{scheduleId}/run',
    summary: 'Scan its folder now',
    params: scheduleId,
    result: scheduleView,
    fails: ['schedule.not_found', 'schedule.busy'],
  }),
  secret: operation({
    name: 'schedules.secret',
    method: 'POST',
    path: '/schedules/{scheduleId}/secret',
    summary: 'A new secret for its webhook, shown once; the one before ends',
    params: scheduleId,
    result: z.object({ secret: z.string() }),
    fails: ['schedule.not_found', 'schedule.no_push'],
  }),
}
