// What holds for every kind of channel, each against a server that speaks its service's documented language.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { ChannelKind, Json } from '@keyward/contract'
import { newSecret } from '../../test/support/channels-world.ts'
import { type Service, startService, startSlack } from '../../test/support/chat-servers.ts'
import { startSmtp } from '../../test/support/smtp-server.ts'
import { Secret } from '../core/index.ts'
import type { Channel, Notice } from './channel.ts'
import { openChannel } from './open-channel.ts'
import { type OpenChannel, settingsOf } from './settings.ts'

const now = new Date('2026-01-01T00:00:00.000Z')
const digest = 'd'.repeat(64)
const asked: Notice = {
  event: 'approval.requested',
  subject: 'approval:apr_1',
  at: now,
  title: 'Approve? Merge <b>it</b> & go',
  facts: [
    ['Target', 'shop'],
    ['Risk', 'low, reversible'],
  ],
  risk: 'high',
  stage: 'open',
  link: 'https://keyward.example/approvals/apr_1',
  preview: '{ "merge": 1 }',
  question: { approvalId: 'apr_1', digest },
  data: { id: 'apr_1' },
}
const decided: Notice = {
  ...asked,
  event: 'approval.approved',
  title: 'Merge it: approved',
  stage: 'closed',
  question: null,
  preview: null,
}
const first = { id: 'dlv_1', reference: null, signal: AbortSignal.timeout(60_000) }
const second = { id: 'dlv_2', signal: AbortSignal.timeout(60_000) }

type Subject = {
  readonly kind: ChannelKind
  readonly settings: Json
  readonly secret: Record<string, string>
  /** How many times people were told. */
  readonly told: () => number
  /** Lets the next attempt fail in a way that passes, and in one that does not. */
  readonly failOnce: () => void
  readonly refuseOnce: () => void
}
type Make = (t: TestContext) => Promise<Subject>

const failing = (service: Pick<Service, 'next'>, refusal: { status?: number; body?: unknown }) => ({
  failOnce: () => void service.next.push({ status: 503, headers: { 'retry-after': '7' }, body: '' }),
  refuseOnce: () => void service.next.push(refusal),
})

const newWebhookKey = (): string => `whsec_${randomBytes(32).toString('base64')}`

const kinds: Readonly<Record<ChannelKind, Make>> = {
  async slack(t) {
    const token = `xoxb-${newSecret()}`
    const slack = await startSlack(t, token)
    return {
      kind: 'slack',
      settings: { conversation: 'C01', apiUrl: slack.apiUrl },
      secret: { 'bot-token': token },
      told: () => slack.posts.length,
      ...failing(slack, { body: { ok: false, error: 'not_in_channel' } }),
    }
  },
  async teams(t) {
    const service = await startService(t, () => ({ status: 202, body: '' }))
    const told = () => service.seen.filter(({ method }) => method === 'POST').length
    return {
      kind: 'teams',
      settings: {},
      secret: { 'webhook-url': `${service.url}workflows/${newSecret()}` },
      told,
      ...failing(service, { status: 404, body: '' }),
    }
  },
  async email(t) {
    const password = newSecret()
    const server = await startSmtp(t, { user: 'keyward', password })
    return {
      kind: 'email',
      settings: {
        host: 'localhost',
        port: server.port,
        caPem: server.caPem,
        user: 'keyward',
        from: 'keyward@shop.example',
        to: ['ops@shop.example'],
      },
      secret: { password },
      told: () => server.mails.length,
      failOnce: () => void server.next.push('451 later'),
      refuseOnce: () => void server.next.push('550 nobody'),
    }
  },
  async webhook(t) {
    const service = await startService(t, () => ({ status: 204 }))
    return {
      kind: 'webhook',
      settings: { url: `${service.url}hook` },
      secret: { key: newWebhookKey() },
      told: () => service.seen.filter(({ method }) => method === 'POST').length,
      ...failing(service, { status: 410 }),
    }
  },
  async pagerduty(t) {
    const service = await startService(t, () => ({ status: 202, body: { status: 'success' } }))
    return {
      kind: 'pagerduty',
      settings: { eventsUrl: service.url },
      secret: { 'routing-key': newSecret() },
      told: () => service.seen.filter(({ method }) => method === 'POST').length,
      ...failing(service, { status: 400, body: { status: 'invalid event' } }),
    }
  },
}

function opened(subject: Subject, { allowPrivate = true, secret = subject.secret } = {}): Promise<Channel> {
  const { kind, settings } = subject
  const channel = {
    id: 'chn_1',
    name: kind,
    kind,
    settings: settingsOf(kind, settings),
    secretPath: 'secret/channel',
    allowPrivate,
    paused: false,
    routes: [],
    createdAt: 0,
  } as OpenChannel
  const data = Object.fromEntries(Object.entries(secret).map(([field, value]) => [field, new Secret(value)]))
  const kv = { read: async () => ({ version: 1, createdAt: now, data }) }
  return openChannel(channel, { vault: { kv }, clock: { now: () => now } })
}

for (const [kind, make] of Object.entries(kinds)) {
  test(`CONN-1: ${kind} tells people, and answers a check`, async (t) => {
    const subject = await make(t)
    const channel = await opened(subject)
    await channel.probe(AbortSignal.timeout(60_000))
    assert.equal(subject.told(), 0, 'people see nothing of a check')
    const outcome = await channel.deliver(asked, first)
    assert.equal(outcome.state, 'sent')
    assert.equal(subject.told(), 1)
    const reference = outcome.state === 'sent' ? outcome.reference : null
    const end = await channel.deliver(decided, { ...second, reference })
    assert.equal(end.state, 'sent')
  })

  test(`CONN-1: ${kind} tells what passes by itself from what somebody has to mend`, async (t) => {
    const subject = await make(t)
    const channel = await opened(subject)
    subject.failOnce()
    const later = await channel.deliver(asked, first)
    assert.equal(later.state, 'later')
    subject.refuseOnce()
    const never = await channel.deliver(asked, first)
    assert.equal(never.state, 'never')
    assert.equal((await channel.deliver(asked, first)).state, 'sent')
    const said = JSON.stringify([later, never])
    for (const value of Object.values(subject.secret))
      assert.ok(!said.includes(value), 'a failure holds no secret')
  })

  test(`OPS-4: ${kind} goes to no address that is not public, unless that was allowed`, async (t) => {
    const subject = await make(t)
    const channel = await opened(subject, { allowPrivate: false })
    const outcome = await channel
      .deliver(asked, first)
      .catch((error: Error) => ({ state: 'later', problem: error.message }))
    assert.equal(outcome.state, 'later')
    assert.match('problem' in outcome ? outcome.problem : '', /loopback|by https/)
    assert.equal(subject.told(), 0)
  })

  test(`OPS-4: ${kind} without its secret tells nobody, and says which field is missing`, async (t) => {
    const subject = await make(t)
    const attempt = async () => (await opened(subject, { secret: {} })).deliver(asked, first)
    await assert.rejects(attempt, { code: 'channel.refused' })
    assert.equal(subject.told(), 0)
  })
}

test('CONN-1: a webhook is signed with both keys while one is changed, and says the same id in every try', async (t) => {
  const [key, previous] = [newWebhookKey(), newWebhookKey()]
  const service = await startService(t, () => ({ status: 200 }))
  const subject = {
    kind: 'webhook',
    settings: { url: service.url },
    secret: { key, 'previous-key': previous },
  } as const
  const channel = await opened({ ...subject, told: () => 0, failOnce() {}, refuseOnce() {} })
  await channel.deliver(asked, first)
  await channel.deliver(asked, first)
  const [seen, again] = service.seen
  assert.ok(seen && again)
  assert.equal(seen.headers['webhook-id'], again.headers['webhook-id'])
  const stamp = String(seen.headers['webhook-timestamp'])
  assert.equal(stamp, String(now.getTime() / 1000))
  const wanted = [key, previous].map((one) => {
    const bytes = Buffer.from(one.slice('whsec_'.length), 'base64')
    return `v1,${createHmac('sha256', bytes).update(`dlv_1.${stamp}.${seen.text}`).digest('base64')}`
  })
  assert.equal(seen.headers['webhook-signature'], wanted.join(' '))
  const body = JSON.parse(seen.text) as { type: string; data: { record: Json } }
  assert.deepEqual([body.type, body.data.record], ['approval.requested', { id: 'apr_1' }])
  const short = await opened({
    ...subject,
    secret: { key: 'whsec_c2hvcnQ=' },
    told: () => 0,
    failOnce() {},
    refuseOnce() {},
  })
  await assert.rejects(short.deliver(asked, first), { code: 'channel.refused' })
})

test('OBS-2: PagerDuty has one alert for a subject: triggered, acknowledged, resolved; its severity is the risk', async (t) => {
  const subject = await kinds.pagerduty(t)
  const service = await startService(t, () => ({ status: 202, body: { status: 'success' } }))
  const channel = await opened({ ...subject, settings: { eventsUrl: service.url } })
  assert.equal((await channel.deliver(decided, first)).state, 'sent')
  assert.deepEqual(service.seen, [], 'what was never opened is not resolved')
  await channel.deliver(asked, first)
  await channel.deliver({ ...asked, stage: 'taken' }, { ...second, reference: 'keyward:approval:apr_1' })
  await channel.deliver(decided, { ...second, reference: 'keyward:approval:apr_1' })
  const events = service.seen.map(({ path, text }) => ({ path, ...JSON.parse(text) }))
  assert.deepEqual(
    events.map(({ path, event_action, dedup_key }) => [path, event_action, dedup_key]),
    ['trigger', 'acknowledge', 'resolve'].map((action) => ['/v2/enqueue', action, 'keyward:approval:apr_1']),
  )
  assert.equal(events[0].payload.severity, 'error')
})

test('OPS-4: mail goes by TLS that is verified, or not at all', async (t) => {
  const password = newSecret()
  const server = await startSmtp(t, { user: 'keyward', password })
  const plain = await startSmtp(t, { user: 'keyward', password, starttls: false })
  const settings = {
    host: 'localhost',
    port: server.port,
    user: 'keyward',
    from: 'k@shop.example',
    to: ['o@shop.example'],
  }
  const subject = {
    kind: 'email',
    secret: { password },
    told: () => 0,
    failOnce() {},
    refuseOnce() {},
  } as const
  const trusting = await opened({ ...subject, settings: { ...settings, caPem: server.caPem } })
  assert.equal((await trusting.deliver(asked, first)).state, 'sent')
  assert.deepEqual(
    server.mails.map(({ secure }) => secure),
    [true],
  )
  assert.match(server.mails[0]?.text ?? '', /In Keyward|apr_1/)
  const untrusting = await opened({ ...subject, settings })
  assert.equal((await untrusting.deliver(asked, first)).state, 'later', 'nobody vouches for its certificate')
  const stripped = await opened({
    ...subject,
    settings: { ...settings, port: plain.port, caPem: server.caPem },
  })
  assert.equal((await stripped.deliver(asked, first)).state, 'later', 'somebody has taken STARTTLS out')
  assert.deepEqual([server.mails.length, plain.mails.length], [1, 0])
})
