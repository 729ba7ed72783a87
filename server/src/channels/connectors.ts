import { type ChannelKind, channelSettings, type Risk } from '@keyward/contract'
import { z } from 'zod'
import {
  type ActionContext,
  type Connector,
  type ConnectorAction,
  defineAction,
  type OpenConnection,
} from '../connectors/index.ts'
import { AppError, reasonOf } from '../core/index.ts'
import type { Channel, Notice, Outcome } from './channel.ts'
import { openWithSecret } from './open-channel.ts'
import { settingsOf } from './settings.ts'

type Kind = Exclude<ChannelKind, 'email'>

const risk = z.enum(['low', 'medium', 'high', 'critical'])
const text = z.string().min(1).max(3000)
const facts = z.record(z.string().max(100), z.string().max(500)).default({})
const message = z.strictObject({
  title: z.string().min(1).max(150),
  text: text.optional(),
  facts,
  link: z.url().optional(),
})
const told = z.strictObject({ reference: z.string().nullable() })

const fieldTitles: Readonly<
  Record<Kind, readonly (readonly [name: string, title: string, optional?: true])[]>
> = {
  slack: [['bot-token', 'Token of the bot']],
  teams: [
    ['webhook-url', 'Address of the workflow', true],
    ['app-password', 'Password of the bot', true],
  ],
  webhook: [
    ['key', 'Key that signs (whsec_…)'],
    ['previous-key', 'The key before', true],
  ],
  pagerduty: [['routing-key', 'Integration key']],
}

async function serviceOf(
  kind: Kind,
  connection: OpenConnection & Partial<Pick<ActionContext, 'traceparent'>>,
): Promise<Channel> {
  const { allowPrivate, ...given } = z
    .looseObject({ allowPrivate: z.boolean().default(false) })
    .parse(connection.settings)
  const settings = settingsOf(kind, given)
  const wanted = fieldsFor(kind, settings)
  const values = new Map(
    await Promise.all(wanted.map(async (field) => [field, await connection.secret(field)] as const)),
  )
  const secret = (field: string) => {
    const value = values.get(field)
    if (!value)
      throw new AppError('channel.refused', `the secret of ${connection.name} has no field ${field}`)
    return value
  }
  const { now, traceparent } = connection
  return openWithSecret({ kind, settings, allowPrivate, traceparent }, { secret, now })
}

/** Of Teams, the one that its settings ask for. A connection signs with one key. */
function fieldsFor(kind: Kind, settings: object): string[] {
  if (kind === 'teams') return 'bot' in settings && settings.bot ? ['app-password'] : ['webhook-url']
  return fieldTitles[kind].filter(([, , optional]) => !optional).map(([name]) => name)
}

type Said = {
  title: string
  text?: string | undefined
  facts?: Record<string, string>
  link?: string | undefined
}

/** A task's own words, as a notice. */
function noticeOf({ runId, taskId, now }: ActionContext, said: Said, more: Partial<Notice> = {}): Notice {
  return {
    event: 'message',
    subject: `task:${runId}:${taskId}`,
    at: now(),
    title: said.title,
    facts: Object.entries(said.facts ?? {}),
    risk: 'low',
    stage: 'note',
    link: said.link ?? null,
    preview: said.text ?? null,
    question: null,
    data: { runId, taskId, ...(said.text === undefined ? {} : { text: said.text }) },
    ...more,
  }
}

async function tell(
  kind: Kind,
  context: ActionContext,
  {
    notice,
    reference = null,
    repeatable,
  }: { notice: Notice; reference?: string | null; repeatable: boolean },
): Promise<z.output<typeof told>> {
  const service = await serviceOf(kind, context)
  const { idempotencyKey: id, signal } = context
  const outcome = await service
    .deliver(notice, { id, reference, signal })
    .catch((error: unknown): Outcome => ({ state: 'later', problem: reasonOf(error), unheard: true }))
  if (outcome.state === 'sent') return { reference: outcome.reference }
  throw failureOf(outcome, repeatable)
}

/** A minute, where the service does not say. */
const waitOf = (outcome: Outcome): number =>
  ('retryAfterSeconds' in outcome ? outcome.retryAfterSeconds : undefined) ?? 60

/** What was never sent may be sent again; what nobody heard an answer to may be there. */
function failureOf(outcome: Exclude<Outcome, { state: 'sent' }>, repeatable: boolean): AppError {
  const { problem, status = 0 } = outcome
  if (status === 401 || status === 403) return new AppError('connector.unauthorized', problem)
  if (status === 429)
    return new AppError('connector.rate_limited', problem, { retryAfterSeconds: waitOf(outcome) })
  if (outcome.state === 'never' || (status >= 400 && status < 500))
    return new AppError('connector.refused', problem)
  const neverSent = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|leads to/.test(problem)
  const maybeThere = outcome.unheard === true && !neverSent && !repeatable
  return new AppError(maybeThere ? 'connector.ambiguous' : 'connector.unavailable', problem)
}

const connector = (
  kind: Kind,
  { title, docs, actions }: { title: string; docs: string; actions: readonly ConnectorAction[] },
): Connector => ({
  name: kind,
  title,
  docs,
  settings: channelSettings[kind].extend({
    /** Its address may be one that is not public. */
    allowPrivate: z.boolean().default(false),
  }),
  secretFields: fieldTitles[kind].map(([name, fieldTitle, optional]) => ({
    name,
    title: fieldTitle,
    ...(optional ? { optional } : {}),
  })),
  async health(connection, signal) {
    await (await serviceOf(kind, connection)).probe(signal)
    return { state: 'up', detail: 'it answers' }
  },
  actions,
})

/** Posting cannot be done twice unseen, and the service cannot be asked for it: a person looks. */
const posting = (kind: 'slack' | 'teams', title: string, permissions: readonly string[]): ConnectorAction =>
  defineAction<z.output<typeof message>, z.output<typeof told>>({
    name: `${kind}.post-message`,
    title,
    input: message as z.ZodType<z.output<typeof message>>,
    output: told,
    risk: 'low',
    reversible: false,
    idempotent: false,
    permissions,
    secretFields: fieldTitles[kind].map(([name]) => name),
    preview: async ({ input }) => ({
      post: input.title,
      text: input.text ?? null,
      facts: { ...input.facts },
    }),
    execute: (context) =>
      tell(kind, context, { notice: noticeOf(context, context.input), repeatable: false }),
    reconcile: async () => ({
      effect: 'unknown',
      reason: 'look in the conversation whether the message is there',
    }),
  })

const alert = z.strictObject({
  /** Names the alert: triggered again it stays one, and it is resolved by it. */
  alert: z.string().min(1).max(200),
  title: z.string().min(1).max(500),
  risk: risk.default('high'),
  facts,
})
const resolved = z.strictObject({ alert: z.string().min(1).max(200) })

const onPagerDuty = (name: string): Pick<Notice, 'subject'> => ({ subject: `alert:${name}` })

const trigger = defineAction<
  { alert: string; title: string; risk: Risk; facts: Record<string, string> },
  z.output<typeof told>
>({
  name: 'pagerduty.trigger',
  title: 'Trigger an alert',
  input: alert as z.ZodType<{ alert: string; title: string; risk: Risk; facts: Record<string, string> }>,
  output: told,
  risk: 'low',
  reversible: true,
  idempotent: true,
  permissions: ['Events API v2'],
  secretFields: ['routing-key'],
  preview: async ({ input }) => ({ trigger: input.alert, title: input.title, risk: input.risk }),
  execute: (context) => {
    const { input } = context
    const more = { ...onPagerDuty(input.alert), risk: input.risk, stage: 'open' } as const
    return tell('pagerduty', context, { notice: noticeOf(context, input, more), repeatable: true })
  },
})

const resolve = defineAction<z.output<typeof resolved>, z.output<typeof told>>({
  name: 'pagerduty.resolve',
  title: 'Resolve an alert',
  input: resolved,
  output: told,
  risk: 'low',
  reversible: false,
  idempotent: true,
  permissions: ['Events API v2'],
  secretFields: ['routing-key'],
  preview: async ({ input }) => ({ resolve: input.alert }),
  execute: (context) => {
    const notice = noticeOf(
      context,
      { title: 'resolved' },
      { ...onPagerDuty(context.input.alert), stage: 'closed' },
    )
    return tell('pagerduty', context, { notice, reference: context.input.alert, repeatable: true })
  },
})

const send = defineAction<z.output<typeof message>, z.output<typeof told>>({
  name: 'webhook.send',
  title: 'Send a signed message',
  input: message as z.ZodType<z.output<typeof message>>,
  output: told,
  risk: 'low',
  reversible: false,
  // The receiver tells repeats by the id, which is the same in every attempt.
  idempotent: true,
  permissions: [],
  secretFields: ['key', 'previous-key'],
  preview: async ({ input }) => ({ send: input.title, text: input.text ?? null, facts: { ...input.facts } }),
  execute: (context) =>
    tell('webhook', context, { notice: noticeOf(context, context.input), repeatable: true }),
})

/** The services of channels, for tasks of runs that tell somebody something themselves. */
export const channelConnectors: readonly Connector[] = [
  connector('slack', {
    title: 'Slack',
    docs: 'https://docs.slack.dev/reference/methods/chat.postMessage',
    actions: [posting('slack', 'Post a message in Slack', ['chat:write'])],
  }),
  connector('teams', {
    title: 'Microsoft Teams',
    docs: 'https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-send-and-receive-messages',
    actions: [posting('teams', 'Post a card in Teams', [])],
  }),
  connector('pagerduty', {
    title: 'PagerDuty',
    docs: 'https://developer.pagerduty.com/docs/send-alert-event',
    actions: [trigger, resolve],
  }),
  connector('webhook', {
    title: 'Webhook',
    docs: 'https://www.standardwebhooks.com',
    actions: [send],
  }),
]
