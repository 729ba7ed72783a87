// Slack: the real client against a server that speaks the documented part of its API.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  commanded,
  newSecret,
  openChannelsWorld,
  pressed,
  publicAddress,
  slackRequest,
} from '../../test/support/channels-world.ts'
import { buttonsOf, startSlack, wordsOf } from '../../test/support/chat-servers.ts'
import { eventually } from '../../test/support/eventually.ts'
import type { Approvals } from '../approvals/index.ts'

async function openSlack(t: TestContext, { preview }: { preview?: string } = {}) {
  const token = `xoxb-${newSecret()}`
  const signing = newSecret()
  const slack = await startSlack(t, token)
  const world = await openChannelsWorld(t, preview === undefined ? {} : { preview })
  const settings = { conversation: 'C01', apiUrl: slack.apiUrl }
  const channel = await world.add('slack', settings, { 'bot-token': token, 'signing-secret': signing })
  const send = (form: Record<string, string>, secret = signing, now = world.clock.now()) =>
    world.channels.receive('slack', slackRequest(secret, now, form))
  const link = async (user = 'U01') => {
    const { code } = await world.channels.link(world.owner)
    return send(commanded(`link ${code.reveal()}`, user))
  }
  const posted = (count = 1) => eventually(async () => slack.posts.length >= count && slack.posts, 'the post')
  return { ...world, slack, token, signing, channel, send, link, posted }
}

const lowRule: Parameters<Approvals['setRule']>[0] = {
  risk: 'low',
  quorum: 1,
  remindAtPercent: null,
  groups: [],
  secondFactor: false,
  expiresInSeconds: 600,
  escalateAtPercent: null,
  escalateTo: [],
}

const button = (post: Parameters<typeof buttonsOf>[0], end: string) => {
  const found = buttonsOf(post).find(({ action_id }) => action_id.endsWith(end))
  assert.ok(found, `there is no button ${end}`)
  return found
}

test('APPR-2: what is of low risk is asked in Slack with buttons, answered there, and shows who decided', async (t) => {
  const { slack, asked, link, send, posted, approvals, owner, pass } = await openSlack(t)
  await link()
  const { id } = await asked()
  const [post] = await posted()
  assert.ok(post)
  assert.match(wordsOf(post), /Approve\? Task a[\s\S]*shop[\s\S]*same/)
  assert.equal(button(post, 'open').url, `${publicAddress}/approvals/${id}`)
  assert.deepEqual(await send(pressed(button(post, 'approve'))), { status: 200, body: '' })
  const { state, decidedBy } = await approvals.read(id)
  assert.deepEqual([state, decidedBy], ['approved', `person:${owner.id}`])
  await eventually(async () => wordsOf(post).includes(`approved by person:${owner.id}`), 'the update')
  await pass()
  assert.deepEqual(
    buttonsOf(post).map(({ action_id }) => action_id),
    ['keyward.open'],
    'nothing is left to press',
  )
  assert.equal(slack.posts.filter((one) => wordsOf(one).includes('Task a')).length, 1, 'one message, updated')
})

test('APPR-2: however it was decided, the message says so', async (t) => {
  const { asked, posted, approvals, owner } = await openSlack(t)
  const { id, digest } = await asked()
  const [post] = await posted()
  assert.ok(post)
  await approvals.deny(owner, id, { digest, reason: 'not on a Friday' })
  await eventually(async () => wordsOf(post).includes('denied by'), 'the update')
  assert.match(wordsOf(post), /not on a Friday/)
})

test('APPR-2: a reminder rings the bell again, and where several have to answer the message counts them', async (t) => {
  const { slack, asked, link, send, posted, approvals, owner, clock } = await openSlack(t)
  await approvals.setRule({ ...lowRule, quorum: 2, remindAtPercent: 50 }, owner)
  await link()
  const { id } = await asked()
  const [post] = await posted()
  assert.ok(post)
  assert.match(wordsOf(post), /0 of 2/)
  await send(pressed(button(post, 'approve')))
  assert.equal((await approvals.read(id)).state, 'pending')
  await eventually(async () => wordsOf(post).includes('1 of 2'), 'the count')
  clock.advance(301_000)
  const [, bell] = await posted(2)
  assert.match(bell?.text ?? '', /Approve\? Task a/)
  assert.equal(slack.posts.length, 2)
})

test('APPR-2: above low risk there are no buttons, and a forged press decides nothing', async (t) => {
  const { asked, link, send, posted, approvals, slack } = await openSlack(t)
  await link()
  const { id, digest } = await asked({ risk: 'medium' })
  const [post] = await posted()
  assert.ok(post)
  assert.deepEqual(
    buttonsOf(post).map(({ action_id }) => action_id),
    ['keyward.open'],
  )
  await send(pressed({ action_id: 'keyward.approve', value: `${id} ${digest}` }))
  assert.equal((await approvals.read(id)).state, 'pending')
  const [whisper] = await eventually(async () => slack.whispers.length > 0 && slack.whispers, 'the refusal')
  assert.match(whisper?.text ?? '', /Nothing was decided.*medium risk/s)
})

test('APPR-2: a chat account that nobody has linked is refused with words, and a mail address links nothing', async (t) => {
  const { asked, send, posted, approvals, slack, entries } = await openSlack(t)
  const { id } = await asked()
  const [post] = await posted()
  assert.ok(post)
  const form = pressed(button(post, 'approve'))
  const payload = JSON.parse(form.payload) as { user: object }
  const claimed = {
    payload: JSON.stringify({ ...payload, user: { id: 'U01', name: 'owner', email: 'o@shop.example' } }),
  }
  await send(claimed)
  assert.equal((await approvals.read(id)).state, 'pending')
  await eventually(
    async () => slack.whispers.some(({ text }) => text.includes('Nobody is linked')),
    'the words',
  )
  assert.equal((await entries('channel.answer_refused')).length, 1)
})

test('APPR-2: an answer for another digest than what waits is refused', async (t) => {
  const { asked, link, send, approvals, slack } = await openSlack(t)
  await link()
  const { id } = await asked()
  await send(pressed({ action_id: 'keyward.approve', value: `${id} ${'0'.repeat(64)}` }))
  assert.equal((await approvals.read(id)).state, 'pending')
  await eventually(async () => slack.whispers.length > 0, 'the refusal')
})

test('APPR-2: requests that Slack has not signed, old ones and repeated ones are refused', async (t) => {
  const { asked, link, send, signing, posted, clock, channels, approvals, entries } = await openSlack(t)
  await link()
  const { id } = await asked()
  const [post] = await posted()
  assert.ok(post)
  const form = pressed(button(post, 'approve'))
  await assert.rejects(send(form, newSecret()), { code: 'channel.unsigned' })
  await assert.rejects(send(form, signing, new Date(clock.now().getTime() - 301_000)), {
    code: 'channel.unsigned',
  })
  await assert.rejects(send(form, signing, new Date(clock.now().getTime() + 301_000)), {
    code: 'channel.unsigned',
  })
  const changed = slackRequest(signing, clock.now(), form)
  const tampered = { ...changed, body: Buffer.concat([changed.body, Buffer.from('&x=1')]) }
  await assert.rejects(channels.receive('slack', tampered), { code: 'channel.unsigned' })
  await assert.rejects(channels.receive('slack', { headers: {}, body: changed.body }), {
    code: 'channel.unsigned',
  })
  assert.equal((await approvals.read(id)).state, 'pending')
  await send(form)
  await assert.rejects(send(form), { code: 'channel.repeated' })
  assert.equal((await entries('channel.answer_refused')).length, 6)
})

test('APPR-2: a code links once, within ten minutes; unlinking ends it', async (t) => {
  const { channels, owner, send, clock, entries } = await openSlack(t)
  const words = async (text: string, user?: string) => {
    clock.advance(1000)
    return (await send(commanded(text, user))).body as { text: string }
  }
  const { code } = await channels.link(owner)
  assert.match((await words(`link ${code.reveal()}`)).text, /now linked to owner/)
  assert.match((await words(`link ${code.reveal()}`, 'U02')).text, /wrong, used or older/)
  const late = await channels.link(owner)
  clock.advance(600_000)
  assert.match((await words(`link ${late.code.reveal()}`, 'U02')).text, /wrong, used or older/)
  const accounts = await channels.accounts()
  assert.deepEqual(
    accounts.map(({ workspace, account, person }) => [workspace, account, person]),
    [['T01', 'U01', `person:${owner.id}`]],
  )
  assert.match((await words('help')).text, /link CODE/)
  assert.match((await words('unlink')).text, /linked to nobody/)
  assert.deepEqual(await channels.accounts(), [])
  assert.match((await words('unlink')).text, /was linked to nobody/)
  const types = [...(await entries('channel.linked')), ...(await entries('channel.unlinked'))]
  assert.deepEqual(
    types.map(({ actor }) => actor),
    [`person:${owner.id}`, `person:${owner.id}`],
  )
})

test('APPR-2: a person whose account is closed decides nothing more in a chat', async (t) => {
  const { identity, store, owner, channels, send, asked, posted, approvals } = await openSlack(t)
  const nora = await store.write((tx) =>
    identity.createPerson(tx, { name: 'nora', roles: ['approver'], by: owner }),
  )
  const { code } = await channels.link({ kind: 'person', ...nora })
  await send(commanded(`link ${code.reveal()}`, 'U07'))
  const { id } = await asked()
  const [post] = await posted()
  assert.ok(post)
  await store.write((tx) => identity.disablePerson(tx, nora.id, owner, 'left'))
  await send(pressed(button(post, 'approve'), 'U07'))
  assert.equal((await approvals.read(id)).state, 'pending')
})

test('APPR-2: a message stays within the limits of Block Kit, and nothing in it is markup', async (t) => {
  const { asked, posted } = await openSlack(t, { preview: `<!channel> *${'&'.repeat(20_000)}` })
  await asked()
  const [post] = await posted()
  assert.ok(post)
  assert.ok(post.blocks.every(({ text }) => (text?.text.length ?? 0) <= 3000))
  assert.ok(JSON.stringify(post.blocks).length < 13_000)
  assert.ok(!wordsOf(post).includes('<!channel>'))
})

test('CONN-1: Slack is waited for as long as it asks, and no message is lost or sent twice', async (t) => {
  const { slack, asked, pass, channels, channel } = await openSlack(t)
  slack.next.push({
    status: 429,
    headers: { 'retry-after': '30' },
    body: { ok: false, error: 'ratelimited' },
  })
  await asked()
  await asked()
  await eventually(async () => slack.seen.length > 0, 'the first try')
  await pass()
  const waiting = async () => channels.deliveries(channel.id, { state: 'waiting', limit: 10 })
  await eventually(async () => (await waiting()).length === 2, 'both wait')
  await pass(29_000)
  assert.deepEqual([slack.seen.length, slack.posts.length], [1, 0], 'nothing is tried before')
  await eventually(async () => {
    await pass(1000)
    return slack.posts.length === 2
  }, 'both posts')
  assert.equal(slack.seen.length, 3)
  assert.deepEqual(await waiting(), [])
})

test('CONN-1, APPR-2: deliveries out of order: what was decided before Slack heard of the question is told as decided, once', async (t) => {
  const { slack, asked, approvals, owner, pass, channels, channel, send, link } = await openSlack(t)
  await link()
  slack.next.push({ status: 503, body: 'down' })
  const { id, digest } = await asked()
  const toldOf = async () => {
    const items = await channels.deliveries(channel.id, { limit: 10 })
    return items.filter(({ subject }) => subject === `approval:${id}`)
  }
  await eventually(async () => (await toldOf()).some(({ problem }) => problem !== null), 'the try that fails')
  await approvals.deny(owner, id, { digest, reason: 'not today' })
  await eventually(async () => (await toldOf()).length === 2, 'what comes after it')
  // Somebody presses what another client of theirs still shows.
  await send(pressed({ action_id: 'keyward.approve', value: `${id} ${digest}` }))
  await eventually(async () => {
    await pass(1000)
    const left = await channels.deliveries(channel.id, { state: 'waiting', limit: 10 })
    return left.length === 0
  }, 'both are sent')
  assert.equal((await approvals.read(id)).state, 'denied')
  const [post, ...more] = slack.posts.filter((one) => wordsOf(one).includes('Task a'))
  assert.ok(post)
  assert.deepEqual(more, [])
  assert.match(wordsOf(post), /Task a: denied[\s\S]*not today/)
  assert.deepEqual(
    buttonsOf(post).map(({ action_id }) => action_id),
    ['keyward.open'],
  )
})

test('CONN-1, APPR-2: deliveries out of order: answers that come late, twice or the other way round undo nothing', async (t) => {
  const { slack, asked, link, send, posted, approvals, owner, pass, clock, entries } = await openSlack(t)
  await link()
  const { id } = await asked()
  const [post] = await posted()
  assert.ok(post)
  const [approve, deny] = [button(post, 'approve'), button(post, 'deny')]
  // Signed before the other, and on its way for longer.
  const sentBefore = clock.now()
  clock.advance(60_000)
  // The update that shows the decision fails first.
  slack.next.push({ status: 500, body: 'no' })
  await send(pressed(approve))
  await eventually(async () => slack.next.length === 0, 'the update that fails')
  await send(pressed(deny), undefined, sentBefore)
  clock.advance(1000)
  await send(pressed(approve))
  await send(pressed(deny))
  await eventually(async () => {
    await pass(1000)
    return wordsOf(post).includes(`approved by person:${owner.id}`)
  }, 'the update')
  assert.equal((await approvals.read(id)).state, 'approved')
  assert.equal(buttonsOf(post).length, 1, 'nothing is left to press but the link')
  assert.equal(slack.posts.filter((one) => wordsOf(one).includes('Task a')).length, 1)
  assert.equal((await entries('approval.approved')).length, 1)
  assert.equal((await entries('approval.denied')).filter(({ outcome }) => outcome === 'done').length, 0)
  await eventually(async () => slack.whispers.length === 3, 'who pressed too late is told')
  for (const { text } of slack.whispers) assert.match(text, /^Nothing was decided\. .*answered already/)
})

test('CONN-1: what Slack refuses is given up, told in the audit log and tried again when somebody says so', async (t) => {
  const { slack, asked, channels, channel, secrets, token, entries, owner, pass } = await openSlack(t)
  const place = channel.secretPath ?? ''
  secrets.set(place, { ...secrets.get(place), 'bot-token': `xoxb-${newSecret()}` })
  await asked()
  const dead = await eventually(async () => {
    const items = await channels.deliveries(channel.id, { state: 'dead', limit: 10 })
    return items.length > 0 && items
  }, 'the end')
  assert.deepEqual([dead[0]?.attempts, dead[0]?.problem], [1, 'Slack answered invalid_auth'])
  const [entry] = await entries('channel.gave_up')
  assert.ok(entry)
  assert.ok(!JSON.stringify(entry).includes('xoxb-'), 'no secret is in the log')
  assert.equal((await channels.counts()).dead, 1)
  secrets.set(place, { ...secrets.get(place), 'bot-token': token })
  assert.equal(await channels.retry(channel.id, owner), 1)
  await pass()
  await eventually(async () => slack.posts.length === 1, 'the post')
})
