// What is told to whom, and that it is told although services fail and servers are killed.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newSecret, openChannelsWorld } from '../../test/support/channels-world.ts'
import { startService } from '../../test/support/chat-servers.ts'
import { olga } from '../../test/support/engine.ts'
import { eventually } from '../../test/support/eventually.ts'

async function openAlerts(t: TestContext, more: object = {}) {
  const service = await startService(t, () => ({ status: 202, body: { status: 'success' } }))
  const world = await openChannelsWorld(t)
  const channel = await world.add(
    'pagerduty',
    { eventsUrl: service.url },
    { 'routing-key': newSecret() },
    more,
  )
  const posts = () => service.seen.filter(({ method }) => method === 'POST')
  const told = (): [string, string][] =>
    posts().map(({ text }) => {
      const { event_action, dedup_key } = JSON.parse(text)
      return [event_action, dedup_key]
    })
  const deliveries = () => world.channels.deliveries(channel.id, { limit: 50 })
  const heard = (count: number) => eventually(async () => told().length >= count, `${count} alerts`)
  return { ...world, service, channel, posts, told, deliveries, heard }
}

const everything = { routes: [{ events: ['approval.requested'], risks: [], flows: [] }] }

test('OBS-2: by default PagerDuty hears of high risk alone, and of its end', async (t) => {
  const { asked, told, approvals, heard, pass, owner } = await openAlerts(t)
  await asked()
  const { id, digest } = await asked({ risk: 'high' })
  await heard(1)
  await approvals.deny(owner, id, { digest })
  await heard(2)
  await pass()
  assert.deepEqual(told(), [
    ['trigger', `keyward:approval:${id}`],
    ['resolve', `keyward:approval:${id}`],
  ])
})

test('OBS-2: routes say which events of which risks and flows go where; an end goes where it was asked', async (t) => {
  const routes = [{ events: ['approval.requested'], risks: ['low'], flows: ['other'] }]
  const { asked, told, pass, channels, channel, owner, heard } = await openAlerts(t, { routes })
  await asked()
  await pass()
  assert.deepEqual(told(), [], 'of another flow')
  await channels.change(
    channel.id,
    { routes: [{ events: ['approval.requested'], risks: [], flows: ['test'] }] },
    owner,
  )
  await asked({ risk: 'medium' })
  await heard(1)
})

test('APPR-2: each event is told once, however often the server starts, and nothing of before the channel', async (t) => {
  const { asked, channels, start, told, deliveries, heard, add, service } = await openAlerts(t, everything)
  await asked()
  await heard(1)
  await channels.stop()
  await asked()
  const again = await start()
  await heard(2)
  await again.idle()
  const third = await start()
  await third.idle()
  assert.equal(told().length, 2)
  assert.equal((await deliveries()).length, 2)
  const late = await add(
    'pagerduty',
    { eventsUrl: service.url },
    { 'routing-key': newSecret() },
    { ...everything, name: 'late' },
  )
  assert.deepEqual(await channels.deliveries(late.id, { limit: 10 }), [])
})

test('CONN-1: what fails is tried again, and given up at last; what comes after it waits its turn', async (t) => {
  const routes = [{ events: ['agent.quarantined'], risks: [], flows: [] }]
  const { store, bus, service, pass, deliveries, channels, entries, posts } = await openAlerts(t, { routes })
  const quarantined = (id: string) =>
    store.write((tx) => bus.publish(tx, { type: 'agent.quarantined', subject: `agent:${id}` }))
  for (let i = 0; i < 12; i++) service.next.push({ status: 500 })
  await quarantined('a')
  await eventually(async () => (await deliveries())[0]?.problem, 'the first failure')
  await quarantined('a')
  await eventually(async () => (await deliveries()).length === 2, 'the second event')
  await eventually(async () => {
    await pass(3_600_000)
    return (await deliveries()).every(({ state }) => state !== 'waiting')
  }, 'the end of both')
  const states = (await deliveries()).map(({ state, attempts, nextAt }) => [state, attempts, nextAt])
  assert.deepEqual(states, [
    ['sent', 1, null],
    ['dead', 12, null],
  ])
  assert.equal(posts().length, 13)
  assert.equal((await channels.counts()).dead, 1)
  const [gaveUp, ...others] = await entries('channel.gave_up')
  assert.deepEqual(others, [])
  const tries = (await entries('channel.notified')).filter(
    ({ correlation }) => correlation === gaveUp?.correlation,
  )
  assert.deepEqual(
    ['intent', 'failed'].map((outcome) => tries.filter((entry) => entry.outcome === outcome).length),
    [12, 12],
    'each try is on record, before and after',
  )
})

test('VAULT-1: while the vault is sealed everything waits, and no try is counted', async (t) => {
  const { asked, seal, deliveries, pass, told } = await openAlerts(t, everything)
  seal(true)
  await asked()
  await eventually(async () => (await deliveries()).length === 1, 'the delivery')
  await pass(60_000)
  assert.deepEqual([(await deliveries())[0]?.attempts, told().length], [0, 0])
  seal(false)
  await eventually(async () => {
    await pass(5000)
    return told().length === 1
  }, 'the alert')
})

test('CONN-1: a channel that is paused tells what has waited when it goes on; one that is removed, nothing', async (t) => {
  const { asked, channels, channel, owner, deliveries, told, heard, pass } = await openAlerts(t, everything)
  await channels.change(channel.id, { paused: true }, owner)
  await asked()
  await eventually(async () => (await deliveries()).length === 1, 'the delivery')
  assert.deepEqual(told(), [])
  await channels.change(channel.id, { paused: false }, owner)
  await heard(1)
  await channels.remove(channel.id, owner)
  await asked()
  await pass()
  assert.equal(told().length, 1)
  await assert.rejects(channels.test(channel.id, owner), { code: 'channel.not_found' })
})

test('CONN-1: a test is sent at once, and says what is wrong; a check is seen by nobody', async (t) => {
  const { channels, channel, owner, service, told, pass } = await openAlerts(t)
  const sent = await channels.test(channel.id, owner)
  assert.deepEqual([sent.event, sent.state, sent.attempts], ['test', 'sent', 1])
  service.next.push({ status: 400 })
  await assert.rejects(channels.test(channel.id, owner), { code: 'channel.refused' })
  service.next.push({ status: 503 })
  await assert.rejects(channels.test(channel.id, owner), { code: 'channel.unavailable' })
  await pass(61_000)
  const seen = service.seen.length
  const checked = await channels.check(channel.id)
  assert.equal(checked.health.state, 'up')
  assert.deepEqual(
    service.seen.slice(seen).map(({ method }) => method),
    ['GET'],
  )
  assert.ok(told().length >= 3)
})

test('CONN-1: names, settings and addresses are looked at when a channel is made', async (t) => {
  const { channels, add, owner, channel } = await openAlerts(t)
  const make = (settings: object, more: object = {}) =>
    channels.create(
      {
        kind: 'webhook',
        name: 'w',
        settings: settings as { url: string },
        secretPath: null,
        allowPrivate: false,
        ...more,
      },
      owner,
    )
  await assert.rejects(make({}), { code: 'request.invalid' })
  await assert.rejects(make({ url: 'http://hook.example/' }), { code: 'request.invalid' })
  await assert.rejects(make({ url: 'https://user:word@hook.example/' }), { code: 'request.invalid' })
  await assert.rejects(make({ url: 'https://hook.example/', key: 'x' }), { code: 'request.invalid' })
  await make({ url: 'https://hook.example/' })
  await assert.rejects(make({ url: 'https://hook.example/' }), { code: 'channel.exists' })
  await assert.rejects(channels.change('chn_none', { paused: true }, owner), { code: 'channel.not_found' })
  await assert.rejects(channels.change(channel.id, { settings: { eventsUrl: 'ftp://x' } }, owner), {
    code: 'request.invalid',
  })
  await assert.rejects(add('slack', { conversation: 'general' }, {}), { code: 'request.invalid' })
})

test('APPR-2: an account is parted by its person or an owner alone; only people ask for codes', async (t) => {
  const { channels, owner } = await openAlerts(t)
  await assert.rejects(channels.unlink('cha_none', owner), { code: 'channel.account_not_found' })
  await assert.rejects(channels.link({ ...olga, kind: 'agent' }), { code: 'request.invalid' })
})
