// The services of channels as connectors: the suite of all connectors where an action may be repeated, and what is particular.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { newSecret } from '../../test/support/channels-world.ts'
import { startService, startSlack, wordsOf } from '../../test/support/chat-servers.ts'
import { connectorSuite, type OpenedService, type Wrong } from '../../test/support/connector-suite.ts'
import { firstAttempt, openConnectorWorld, secretPath } from '../../test/support/connector-world.ts'
import { traceparentOf } from '../core/index.ts'
import { channelConnectors } from './index.ts'

const answers: Readonly<Record<Wrong, { status: number; headers?: Record<string, string>; body?: unknown }>> =
  {
    unauthorized: { status: 403 },
    'rate-limited': { status: 429, headers: { 'retry-after': '7' } },
    refused: { status: 400 },
    unavailable: { status: 503 },
    silent: { status: 0 },
  }

type Particular = {
  readonly secret: Record<string, string>
  readonly settings: (url: string) => Record<string, Json>
  readonly inputs: OpenedService['inputs']
}

/** `take` is what the service keeps of a request. */
async function openService(
  t: TestContext,
  { secret, settings, inputs }: Particular,
  take: (headers: Readonly<Record<string, unknown>>, text: string) => [key: string, value: string],
): Promise<OpenedService> {
  const kept = new Map<string, string>()
  const service = await startService(t, ({ method, headers, text }) => {
    if (method === 'POST') kept.set(...take(headers, text))
    return { status: 202, body: { status: 'success' } }
  })
  const world = await openConnectorWorld(t, channelConnectors)
  world.secrets.set(secretPath, secret)
  const given = { ...settings(service.url), allowPrivate: true }
  await world.connect({ connector: Object.keys(inputs)[0]?.split('.')[0] ?? '', settings: given })
  return {
    world,
    secretValues: () => Object.values(secret),
    inputs,
    asked: () => service.seen.length,
    state: () => Object.fromEntries(kept),
    goWrong: (wrong) => void service.next.push(answers[wrong]),
  }
}

const named = (name: string) => {
  const found = channelConnectors.find((connector) => connector.name === name)
  assert.ok(found)
  return found
}

connectorSuite(named('pagerduty'), (t) =>
  openService(
    t,
    {
      secret: { 'routing-key': newSecret() },
      settings: (eventsUrl) => ({ eventsUrl }),
      inputs: {
        'pagerduty.trigger': { alert: 'shop', title: 'The shop is slow' },
        'pagerduty.resolve': { alert: 'shop' },
      },
    },
    (_, text) => {
      const { dedup_key, event_action } = JSON.parse(text)
      return [dedup_key, event_action]
    },
  ),
)

connectorSuite(named('webhook'), (t) =>
  openService(
    t,
    {
      secret: {
        key: `whsec_${randomBytes(32).toString('base64')}`,
        'previous-key': `whsec_${randomBytes(32).toString('base64')}`,
      },
      settings: (url) => ({ url }),
      inputs: { 'webhook.send': { title: 'Deployed', text: 'Version 7', facts: { shop: 'yes' } } },
    },
    (headers, text) => [String(headers['webhook-id']), JSON.parse(text).data.title],
  ),
)

test('CONN-1: slack.post-message posts; what nobody heard an answer to is not posted again blindly', async (t) => {
  const token = `xoxb-${newSecret()}`
  const slack = await startSlack(t, token)
  const world = await openConnectorWorld(t, channelConnectors)
  world.secrets.set(secretPath, { 'bot-token': token, 'signing-secret': newSecret() })
  await world.connect({
    connector: 'slack',
    settings: { conversation: 'C01', apiUrl: slack.apiUrl, allowPrivate: true },
  })
  const args = { connection: 'main', title: 'Deployed', text: 'Version 7', facts: { Shop: 'up' } }
  const preview = await world.preview('slack.post-message', args)
  assert.match(JSON.stringify(preview), /"post":"Deployed"/)
  assert.equal(slack.posts.length, 0)
  await world.execute('slack.post-message', args)
  const [post] = slack.posts
  assert.ok(post)
  assert.match(wordsOf(post), /Deployed[\s\S]*Shop[\s\S]*up[\s\S]*Version 7/)
  slack.next.push({ status: 0 })
  await assert.rejects(world.execute('slack.post-message', args), { code: 'connector.ambiguous' })
  slack.next.push({ status: 429, headers: { 'retry-after': '9' } })
  await assert.rejects(world.execute('slack.post-message', args), {
    code: 'connector.rate_limited',
    retryAfterSeconds: 9,
  })
  world.secrets.set(secretPath, { 'bot-token': newSecret() })
  await assert.rejects(world.execute('slack.post-message', args), { code: 'connector.unauthorized' })
})

test('CONN-1: teams.post-message posts a card to the address of a workflow', async (t) => {
  const service = await startService(t, () => ({ status: 202, body: '' }))
  const world = await openConnectorWorld(t, channelConnectors)
  world.secrets.set(secretPath, { 'webhook-url': `${service.url}${newSecret()}` })
  await world.connect({ connector: 'teams', settings: { allowPrivate: true } })
  world.traces.sent = true
  await world.execute('teams.post-message', { connection: 'main', title: 'Deployed' })
  const { runId, taskId, attempt } = firstAttempt(null)
  assert.equal(service.seen.at(-1)?.headers['traceparent'], traceparentOf({ runId, taskId, attempt }))
  const { attachments } = JSON.parse(service.seen.at(-1)?.text ?? '{}')
  assert.equal(attachments[0].contentType, 'application/vnd.microsoft.card.adaptive')
})
