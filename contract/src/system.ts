import { z } from 'zod'
import { eventNames } from './events.ts'
import { json, operation, timestamp } from './operation.ts'
import { openConnections } from './reach.ts'
import { runHost } from './runs.ts'

export const healthState = z.enum(['ok', 'degraded', 'failing'])
export const systemStatus = z.object({
  version: z.string(),
  startedAt: timestamp,
  vault: z.object({
    initialised: z.boolean(),
    sealed: z.boolean(),
    seal: z.enum(['keyfile', 'shamir', 'transit', 'awskms']),
  }),
  store: z.object({ dialect: z.enum(['sqlite', 'postgres']), health: healthState }),
  audit: z.object({ health: healthState, seq: z.int() }),
  sandbox: z.object({
    level: z.enum(['full', 'no-cgroup', 'none']),
    reasons: z.array(z.string()),
    /** What isolates: `bubblewrap`, `podman`, `docker`, `gvisor (…)` or `kubernetes`; absent before one has been found. */
    driver: z.string().optional(),
    /** How many run now. */
    running: z.int(),
    /** How many wait, started ahead of their tasks. */
    waiting: z.int().optional(),
  }),
  proxy: z.object({ health: healthState }),
  /** Requests of sandboxes since the server started. `misused`: a placeholder was sent where it was not lent for. */
  egress: z.object({ allowed: z.int(), denied: z.int(), misused: z.int(), failed: z.int() }).optional(),
  /** Connections through the egress proxy now; none while it is started again. */
  open: openConnections.optional(),
  /** Where agents on other machines come. `entered`, and why others did not, since the server started. */
  front: z
    .object({
      address: z.string().nullable(),
      entered: z.int(),
      refused: z.record(z.string(), z.int()),
    })
    .optional(),
  counts: z.object({
    openFindings: z.int(),
    importedFindings: z.int(),
    pendingApprovals: z.int(),
    activeRuns: z.int(),
    agents: z.int(),
    activeLeases: z.int(),
  }),
  /** Leases of the vault's engines: how many there are, and those that should have ended and have not. */
  vaultLeases: z
    .object({
      count: z.int(),
      backlog: z.int(),
      oldestAt: timestamp.nullable(),
      nextTryAt: timestamp.nullable(),
      error: z.string().nullable(),
    })
    .optional(),
  /** Secrets that agents have asked for, and nobody has answered. */
  openAsks: z.int().optional(),
  /** Leases whose end could not be shown, or was shown not to hold. */
  leaseProofs: z.object({ unproved: z.int(), oldestAt: timestamp.nullable() }).optional(),
  /** Passwords of databases that could not be changed when their time had come. */
  failingRotations: z.int().optional(),
  /** Scans that come again: how many, those whose last one failed, and what came of them. */
  schedules: z
    .object({
      count: z.int(),
      failing: z.int(),
      runs: z.int(),
      failures: z.int(),
      lastFinishedAt: timestamp.nullable(),
      lastSeconds: z.number().nullable(),
    })
    .optional(),
  /** Flows that are started by the clock: how many, paused, with a last time that was refused; and what came of their times. */
  runSchedules: z
    .object({
      ...{ count: z.int(), paused: z.int(), failing: z.int(), started: z.int(), refused: z.int() },
      /** Those of which an earlier run waits for a person, so that none starts. */
      held: z.int().optional(),
      skipped: z.int().optional(),
      missedSpans: z.int().optional(),
    })
    .optional(),
  /** What events of connected services start: how many, paused, with a last event that was refused; and what came of the events. */
  triggers: z
    .object({
      count: z.int(),
      paused: z.int(),
      failing: z.int(),
      started: z.int(),
      refused: z.int(),
      /** Signed deliveries that were taken, by what they led to. */
      deliveries: z.object({ starts: z.int(), wakes: z.int(), ping: z.int(), unused: z.int() }),
    })
    .optional(),
  /** Messages to people: waiting to be sent, sent in the last month, and given up. */
  channels: z.object({ count: z.int(), waiting: z.int(), sent: z.int(), dead: z.int() }).optional(),
  /** Connected services by their kind: how they were when they were last asked. */
  connections: z
    .array(
      z.object({
        connector: z.string(),
        up: z.int(),
        degraded: z.int(),
        down: z.int(),
        /** Not asked yet. */
        unknown: z.int(),
        slowestMs: z.int().nullable(),
      }),
    )
    .optional(),
  /** What carries runs: for new ones, how many of each have not ended, and how Temporal is where there is one. */
  hosts: z
    .object({
      forNewRuns: runHost,
      active: z.object({ embedded: z.int(), temporal: z.int() }),
      temporal: z
        .object({
          address: z.string(),
          namespace: z.string(),
          state: z.enum(['up', 'connecting', 'sealed', 'stopped']),
          problem: z.string().nullable(),
          /** Runs of whose news Temporal is yet to hear. */
          untold: z.int(),
          /** Attempts that run in this process. */
          running: z.int(),
        })
        .nullable(),
    })
    .optional(),
  backup: z
    .object({ state: z.enum(['unconfigured', 'ok', 'failing']), lastDoneAt: timestamp.nullable() })
    .optional(),
})
export type SystemStatus = z.output<typeof systemStatus>

/** One line of the live stream (server-sent events at /api/v1/events): something changed, read it again. */
export const liveEvent = z.object({
  seq: z.int(),
  type: z.enum(eventNames),
  subject: z.string(),
  at: timestamp,
  data: json,
})
export type LiveEvent = z.output<typeof liveEvent>

export const policyFile = z.object({
  name: z.string(),
  text: z.string(),
  /** `default` policies ship with Keyward; `custom` ones were written by an owner. */
  origin: z.enum(['default', 'custom']),
})
export const systemApi = {
  status: operation({
    name: 'system.status',
    method: 'GET',
    path: '/status',
    summary: 'How the server and its parts are',
    result: systemStatus,
  }),
  policies: operation({
    name: 'policies.list',
    method: 'GET',
    path: '/policies',
    summary: 'The Cedar policies and schema in force',
    result: z.object({ schema: z.string(), policies: z.array(policyFile) }),
  }),
}
