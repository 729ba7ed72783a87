// Flows that are started by the clock: one that may not be started, one that was changed and pauses.
import type { FlowView, RunScheduleView } from '@keyward/contract'
import type { Handlers } from './console-server.ts'
import { ago } from './made-up.ts'
import { run } from './run-fixtures.ts'

const schedule: RunScheduleView = {
  id: 'sch_21',
  title: 'Look at the shop each morning',
  flow: 'diagnose',
  input: { service: 'shop' },
  cron: '0 7 * * 1-5',
  timeZone: 'Europe/Zurich',
  missed: 'once',
  overlap: 'skip',
  paused: false,
  createdBy: 'person:olga',
  createdAt: ago(30),
  requestedBy: 'person:olga',
  nextAt: ago(-0.4),
  started: 3,
  refused: 1,
  last: {
    dueAt: ago(0.6),
    cause: 'clock',
    state: 'refused',
    requestedBy: 'person:olga',
    runId: null,
    runState: null,
    reason: 'policy.denied: person:olga has no account that may act',
  },
}

const runSchedules: RunScheduleView[] = [
  schedule,
  {
    ...schedule,
    id: 'sch_22',
    title: 'Deploy the release train',
    flow: 'deploy-feature',
    input: { pullRequest: 123, reviewers: ['ada', 'grace'], monitor: { connection: 'metrics' } },
    cron: '15 6,18 * * 1-5',
    missed: 'skip',
    overlap: 'queue',
    paused: true,
    nextAt: null,
    started: 12,
    refused: 0,
    last: {
      dueAt: ago(700),
      cause: 'clock',
      state: 'started',
      requestedBy: 'person:olga',
      runId: run.id,
      runState: 'Succeeded',
      reason: null,
    },
  },
]

const flow: FlowView = {
  name: 'diagnose',
  title: 'Find out what is wrong with a service',
  origin: 'code',
  goals: [],
  input: {
    type: 'object',
    properties: { service: { type: 'string' }, sinceMinutes: { type: 'integer', default: 60 } },
    required: ['service'],
  },
  version: null,
  savedBy: null,
  savedAt: null,
}

const flows: FlowView[] = [
  flow,
  {
    ...flow,
    name: 'deploy-feature',
    title: 'Deploy the feature of a pull request',
    input: {
      type: 'object',
      properties: {
        pullRequest: { type: 'integer' },
        method: { type: 'string', enum: ['merge', 'squash'], default: 'merge' },
        reviewers: { type: 'array', items: { type: 'string' } },
        isDraft: { type: 'boolean', description: 'Whether it may be a draft' },
        monitor: { type: 'object' },
      },
      required: ['pullRequest'],
    },
  },
]

export const scheduleHandlers = (): Handlers => ({
  'flows.list': () => ({ items: flows }),
  'run_schedules.list': () => ({ items: runSchedules }),
  'run_schedules.create': () => schedule,
  'run_schedules.change': ({ paused }) => ({ ...schedule, paused: paused === true }),
  'run_schedules.remove': () => ({ removed: true }),
  'run_schedules.run': () => schedule,
  'run_schedules.times': ({ timeZone }) => ({
    timeZone,
    items: ['2026-01-05', '2026-01-06', '2026-01-07'].map((day) => `${day}T06:00:00.000Z`),
  }),
})

export const emptyScheduleHandlers = (): Handlers => ({ 'run_schedules.list': () => ({ items: [] }) })
