import { z } from 'zod'
import { json, operation, timestamp } from './operation.ts'
import { runState } from './runs.ts'

/** What a signed delivery led to. */
const deliveryUse = z.enum(['starts', 'wakes', 'ping', 'unused'])

export const hookDelivery = z.object({
  at: timestamp,
  /** As the service names it, for example `pull_request`. */
  event: z.string(),
  action: z.string().nullable(),
  repository: z.string().nullable(),
  use: deliveryUse,
  /** Why it is not used; what is started or woken. */
  detail: z.string().nullable(),
})
export type HookDelivery = z.output<typeof hookDelivery>

/** Where the service of a connection tells of events. */
export const hookView = z.object({
  connectionId: z.string(),
  connection: z.string(),
  /** Below the server's address. */
  address: z.string(),
  issuedBy: z.string(),
  issuedAt: timestamp,
  /** Signed deliveries that were taken, by what they led to. */
  received: z.object({ starts: z.int(), wakes: z.int(), ping: z.int(), unused: z.int() }),
  last: hookDelivery.nullable(),
})
export type HookView = z.output<typeof hookView>

const connectionId = { connectionId: z.string() }

export const hooksApi = {
  list: operation({
    name: 'hooks.list',
    method: 'GET',
    path: '/connection-hooks',
    summary: 'Connections whose services tell of events, with what came last',
    result: z.object({ items: z.array(hookView) }),
  }),
  read: operation({
    name: 'hooks.read',
    method: 'GET',
    path: '/connection-hooks/{connectionId}',
    summary: 'The webhook of one connection with its last deliveries, newest first',
    params: connectionId,
    result: hookView.extend({ deliveries: z.array(hookDelivery) }),
    fails: ['hook.not_found'],
  }),
  issue: operation({
    name: 'hooks.issue',
    method: 'POST',
    path: '/connection-hooks/{connectionId}',
    summary: 'Listen to a connection: a new secret for its webhook, shown once; the one before ends',
    params: connectionId,
    result: z.object({ hook: hookView, secret: z.string() }),
    fails: ['connection.not_found', 'hook.unsupported', 'vault.sealed'],
  }),
  remove: operation({
    name: 'hooks.remove',
    method: 'DELETE',
    path: '/connection-hooks/{connectionId}',
    summary: 'Listen no more; the secret of the webhook ends',
    params: connectionId,
    result: z.object({ removed: z.boolean() }),
    fails: ['hook.not_found'],
  }),
}

export const triggerEvent = z.enum(['push', 'pull_request', 'issues', 'release', 'check_suite'])
export type TriggerEvent = z.output<typeof triggerEvent>

const words = z.array(z.string().min(1).max(100)).max(20)
const filters = {
  /** `owner/name`. */
  repository: z
    .string()
    .max(140)
    .regex(/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/, 'write it as owner/name'),
  /** Of the event, for example `opened` or `completed`; any when there is none. */
  actions: words,
  /** Of a pull request the one that it goes into; `*` stands for any letters. Any when there is none. */
  branches: words,
  /** One of them must be there; any when there is none. */
  labels: words,
  /** Also pull requests whose code lies in another repository: who wrote it may be anybody. */
  forks: z.boolean(),
}

export const triggerFiring = z.object({
  id: z.string(),
  at: timestamp,
  /** `skipped`: there were too many. `refused`: it could not be started, and `reason` says why. */
  state: z.enum(['waiting', 'started', 'skipped', 'refused']),
  /** What the event was about, in words. */
  about: z.string(),
  requestedBy: z.string(),
  runId: z.string().nullable(),
  goalId: z.string().nullable(),
  /** How its run is now. */
  runState: runState.nullable(),
  reason: z.string().nullable(),
})
export type TriggerFiring = z.output<typeof triggerFiring>

const what = {
  /** A flow that is started, with its input. `{"$event": "number"}` in it is a field of the event. */
  flow: z.string().min(1).max(100).nullable(),
  input: z.record(z.string(), json),
  /** In place of a flow: words in which `{number}` is a field of the event. Their plan is proposed; a person starts it. */
  goal: z.string().trim().min(3).max(500).nullable(),
}

export const triggerView = z.object({
  id: z.string(),
  title: z.string(),
  connectionId: z.string(),
  /** Null when the connection is not there any more: then nothing comes. */
  connection: z.string().nullable(),
  event: triggerEvent,
  ...filters,
  ...what,
  paused: z.boolean(),
  createdBy: z.string(),
  createdAt: timestamp,
  /** Who made it, or changed it last: what it starts is theirs, and it may do what they may do at that time. */
  requestedBy: z.string(),
  started: z.int(),
  refused: z.int(),
  last: triggerFiring.nullable(),
})
export type TriggerView = z.output<typeof triggerView>

const triggerId = { triggerId: z.string() }
const title = z.string().trim().min(3).max(200)

export const triggersApi = {
  list: operation({
    name: 'triggers.list',
    method: 'GET',
    path: '/triggers',
    summary: 'What is started when the service of a connection tells of an event',
    result: z.object({ items: z.array(triggerView) }),
  }),
  read: operation({
    name: 'triggers.read',
    method: 'GET',
    path: '/triggers/{triggerId}',
    summary: 'One trigger with what it started last, newest first',
    params: triggerId,
    result: triggerView.extend({ firings: z.array(triggerFiring) }),
    fails: ['trigger.not_found'],
  }),
  create: operation({
    name: 'triggers.create',
    method: 'POST',
    path: '/triggers',
    summary: 'Have a flow started, or a goal proposed, when an event comes: in the name of who asks',
    body: {
      title: title.optional(),
      connectionId: z.string(),
      event: triggerEvent,
      repository: filters.repository,
      actions: filters.actions.default([]),
      branches: filters.branches.default([]),
      labels: filters.labels.default([]),
      forks: filters.forks.default(false),
      flow: what.flow.default(null),
      input: what.input.default({}),
      goal: what.goal.default(null),
    },
    result: triggerView,
    fails: ['connection.not_found', 'hook.unsupported', 'flow.not_found', 'run.plan_invalid'],
  }),
  change: operation({
    name: 'triggers.change',
    method: 'PUT',
    path: '/triggers/{triggerId}',
    summary: 'Pause a trigger or let it go on; or change it, and what it starts is from now on of who asks',
    params: triggerId,
    body: {
      title: title.optional(),
      actions: filters.actions.optional(),
      branches: filters.branches.optional(),
      labels: filters.labels.optional(),
      forks: filters.forks.optional(),
      input: what.input.optional(),
      goal: what.goal.unwrap().optional(),
      paused: z.boolean().optional(),
    },
    result: triggerView,
    fails: ['trigger.not_found', 'flow.not_found', 'run.plan_invalid'],
  }),
  remove: operation({
    name: 'triggers.remove',
    method: 'DELETE',
    path: '/triggers/{triggerId}',
    summary: 'Forget a trigger; what it started stays',
    params: triggerId,
    result: z.object({ removed: z.boolean() }),
    fails: ['trigger.not_found'],
  }),
}
