import { z } from 'zod'
import { eventNames } from './events.ts'
import { operation, timestamp } from './operation.ts'
import { risk } from './plans.ts'

export const channelKind = z.enum(['slack', 'teams', 'email', 'webhook', 'pagerduty'])
export type ChannelKind = z.output<typeof channelKind>

const address = z.url({ protocol: /^https?$/ }).max(500)
const place = {
  /** A certificate authority (PEM) that the service may use besides the well-known ones. */
  caPem: z.string().max(100_000).optional(),
}

/** What a channel holds besides its secret: addresses and ids, never a secret. */
export const channelSettings = {
  slack: z.strictObject({
    ...place,
    /** Where messages go, by its id: `C0123456789`. */
    conversation: z
      .string()
      .regex(/^[CDG][A-Z0-9]{2,30}$/, 'give the id of the channel, for example C0123456789'),
    apiUrl: address.default('https://slack.com/api/'),
  }),
  teams: z.strictObject({
    ...place,
    /** Of the bot; absent: cards are posted to a workflow's address and cannot be answered. */
    bot: z
      .strictObject({
        appId: z.uuid(),
        serviceUrl: address.default('https://smba.trafficmanager.net/teams/'),
        conversationId: z.string().min(1).max(300),
        tokenUrl: address.default('https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token'),
        openIdMetadataUrl: address.default(
          'https://login.botframework.com/v1/.well-known/openidconfiguration',
        ),
      })
      .optional(),
  }),
  email: z.strictObject({
    ...place,
    host: z.string().min(1).max(253),
    port: z.int().min(1).max(65_535).default(587),
    /** `starttls`: a plain connection that must become TLS before anything is said. */
    tls: z.enum(['starttls', 'implicit']).default('starttls'),
    user: z.string().min(1).max(320).optional(),
    from: z.email().max(320),
    to: z.array(z.email().max(320)).min(1).max(50),
  }),
  webhook: z.strictObject({ ...place, url: address }),
  pagerduty: z.strictObject({ ...place, eventsUrl: address.default('https://events.pagerduty.com/') }),
} as const

/** What is told: of these events, of these risks and flows. Absent or empty: all of them. */
export const channelRoute = z.strictObject({
  events: z.array(z.enum(eventNames)).min(1).max(50),
  risks: z.array(risk).max(4).default([]),
  flows: z.array(z.string().min(1).max(100)).max(50).default([]),
})
export type ChannelRoute = z.output<typeof channelRoute>

const fields = {
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'small letters, digits and hyphens'),
  /** Where in the vault its secret lies: `secret/channels/slack`. */
  secretPath: z.string().min(1).max(512).nullable(),
  /** Its address may be one that is not public. */
  allowPrivate: z.boolean(),
  paused: z.boolean(),
}
const routes = z.array(channelRoute).max(50)

export const channelHealth = z.object({
  state: z.enum(['up', 'down', 'unknown']),
  detail: z.string().nullable(),
  latencyMs: z.number().nullable(),
  checkedAt: timestamp.nullable(),
})

export const channelView = z.object({
  id: z.string(),
  kind: channelKind,
  ...fields,
  settings: z.record(z.string(), z.json()),
  routes,
  /** Whether people can answer in it what is of low risk. */
  answers: z.boolean(),
  createdBy: z.string(),
  createdAt: timestamp,
  health: channelHealth,
  lastSentAt: timestamp.nullable(),
  sent: z.int(),
  /** Still to be sent. */
  waiting: z.int(),
  /** Given up after too many tries. */
  dead: z.int(),
})
export type ChannelView = z.output<typeof channelView>

export const deliveryView = z.object({
  id: z.string(),
  channelId: z.string(),
  event: z.enum(eventNames).or(z.literal('test')),
  subject: z.string(),
  state: z.enum(['waiting', 'sent', 'dead']),
  attempts: z.int(),
  createdAt: timestamp,
  /** When it is tried next; null once it is sent or given up. */
  nextAt: timestamp.nullable(),
  sentAt: timestamp.nullable(),
  problem: z.string().nullable(),
})
export type DeliveryView = z.output<typeof deliveryView>

export const channelAccountView = z.object({
  id: z.string(),
  kind: channelKind,
  /** The workspace or tenant, and who it is there, as the service numbers them. */
  workspace: z.string(),
  account: z.string(),
  person: z.string(),
  personName: z.string(),
  linkedAt: timestamp,
})
export type ChannelAccountView = z.output<typeof channelAccountView>

const channelId = { channelId: z.string() }

export const channelsApi = {
  list: operation({
    name: 'channels.list',
    method: 'GET',
    path: '/channels',
    summary: 'Where people are told what happens, and how these places are',
    result: z.object({ items: z.array(channelView) }),
  }),
  create: operation({
    name: 'channels.create',
    method: 'POST',
    path: '/channels',
    summary: 'Add a channel: Slack, Microsoft Teams, e-mail, webhook or PagerDuty',
    body: {
      kind: channelKind,
      name: fields.name,
      settings: z.record(z.string(), z.json()),
      secretPath: fields.secretPath.default(null),
      allowPrivate: fields.allowPrivate.default(false),
      /** Absent: as is usual for its kind. */
      routes: routes.optional(),
    },
    result: channelView,
    fails: ['channel.exists'],
  }),
  change: operation({
    name: 'channels.change',
    method: 'PUT',
    path: '/channels/{channelId}',
    summary: 'Change a channel and what it is told, pause it or let it go on',
    params: channelId,
    body: {
      settings: z.record(z.string(), z.json()).optional(),
      secretPath: fields.secretPath.optional(),
      allowPrivate: fields.allowPrivate.optional(),
      routes: routes.optional(),
      paused: fields.paused.optional(),
    },
    result: channelView,
    fails: ['channel.not_found'],
  }),
  remove: operation({
    name: 'channels.remove',
    method: 'DELETE',
    path: '/channels/{channelId}',
    summary: 'Forget a channel and what waits for it',
    params: channelId,
    result: z.object({ removed: z.boolean() }),
    fails: ['channel.not_found'],
  }),
  test: operation({
    name: 'channels.test',
    method: 'POST',
    path: '/channels/{channelId}/test',
    summary: 'Send a message that says it is a test, now',
    params: channelId,
    result: deliveryView,
    fails: ['channel.not_found', 'channel.unavailable', 'channel.refused', 'vault.sealed'],
  }),
  check: operation({
    name: 'channels.check',
    method: 'POST',
    path: '/channels/{channelId}/check',
    summary: 'Whether the service answers and knows the secret; sends nothing to people',
    params: channelId,
    result: channelView,
    fails: ['channel.not_found'],
  }),
  deliveries: operation({
    name: 'channels.deliveries',
    method: 'GET',
    path: '/channels/{channelId}/deliveries',
    summary: 'What was sent, waits or was given up, newest first',
    params: channelId,
    query: {
      state: deliveryView.shape.state.optional(),
      limit: z.coerce.number().int().min(1).max(200).default(50),
    },
    result: z.object({ items: z.array(deliveryView) }),
    fails: ['channel.not_found'],
  }),
  retry: operation({
    name: 'channels.retry',
    method: 'POST',
    path: '/channels/{channelId}/retry',
    summary: 'Try again what was given up',
    params: channelId,
    result: z.object({ revived: z.int() }),
    fails: ['channel.not_found'],
  }),
  link: operation({
    name: 'channels.link',
    method: 'POST',
    path: '/channel-accounts/code',
    summary: 'A code that links a chat account to who asks for it, once',
    result: z.object({ code: z.string(), expiresAt: timestamp }),
  }),
  accounts: operation({
    name: 'channels.accounts',
    method: 'GET',
    path: '/channel-accounts',
    summary: 'Chat accounts that are linked to people',
    result: z.object({ items: z.array(channelAccountView) }),
  }),
  unlink: operation({
    name: 'channels.unlink',
    method: 'DELETE',
    path: '/channel-accounts/{accountId}',
    summary: 'Part a chat account from its person',
    params: { accountId: z.string() },
    result: z.object({ removed: z.boolean() }),
    fails: ['channel.account_not_found'],
  }),
}
