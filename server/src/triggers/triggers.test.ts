// Events of a GitHub App, with the real engine and store, and a clock that is moved.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { ConnectionView, Json } from '@keyward/contract'
import { cleanUp } from '../../test/support/clean-up.ts'
import { createDraws } from '../../test/support/draws.ts'
import { olga, pendingApproval, piet } from '../../test/support/engine.ts'
import { openFlowsWorld } from '../../test/support/flows-world.ts'
import {
  events,
  headOf,
  installationId,
  repository,
  type SignedDelivery,
  signed,
} from '../../test/support/github-deliveries.ts'
import { AppError, type Principal, silentLog } from '../core/index.ts'
import { createGoals, goalsMigrations } from '../goals/index.ts'
import { hooksMigrations } from '../hooks/index.ts'
import { schedulesMigrations } from '../schedules/index.ts'
import { createTriggers, triggersMigrations } from './index.ts'

const draws = createDraws('triggers')
const day = 86_400_000
const connection = (name: string, connector = 'github', more: Json = {}): ConnectionView =>
  ({
    id: `con_${name}`,
    name,
    connector,
    settings: { installationId, ...Object(more) },
  }) as ConnectionView

const migrations = [...schedulesMigrations, ...hooksMigrations, ...goalsMigrations, ...triggersMigrations]
const untold = { code: 'hook.refused', detail: 'nobody listens here, or it is not signed as it must be' }

async function open(t: TestContext, { rules = '' } = {}) {
  const world = await openFlowsWorld(t, { rules, migrations })
  const connections = [connection('code'), connection('other'), connection('pager', 'pagerduty')]
  const told: Json[] = []
  const kept = new Map<string, Buffer>()
  let sealed = false
  const goals = createGoals({ ...world, model: undefined })
  const triggers = createTriggers({
    ...world,
    log: silentLog,
    goals,
    questions: world.approvals,
    connectors: {
      list: async () => connections,
      tell: (connectionId, news) => void told.push({ connectionId, ...news, topics: [...news.topics] }),
    },
    vault: {
      status: () => ({ sealed }) as never,
      sealed: {
        get: async (path: string) => kept.get(path),
        put: async (_: unknown, path: string, bytes: Buffer) => void kept.set(path, bytes),
        delete: async (_: unknown, path: string) => void kept.delete(path),
      } as never,
    },
  })
  cleanUp(t, () => triggers.stop())
  triggers.start()
  const issue = async (id = 'con_code', by = olga) => (await triggers.hooks.issue(id, by)).secret.reveal()
  const secret = await issue()
  const wanted: Parameters<typeof triggers.create>[0] = {
    connectionId: 'con_code',
    event: 'pull_request',
    repository,
    actions: [],
    branches: [],
    labels: [],
    forks: false,
    flow: 'note',
    input: { word: { $event: 'sha' } },
    goal: null,
  }
  return {
    ...world,
    goals,
    triggers,
    connections,
    told,
    kept,
    secret,
    issue,
    seal: (now: boolean) => {
      sealed = now
    },
    make: (change: Partial<Parameters<typeof triggers.create>[0]> = {}, by = olga) =>
      triggers.create({ ...wanted, ...change }, by),
    /** Gives what it led to, once that has been started. */
    async send(event: string, content: Parameters<typeof signed>[2], id = 'con_code') {
      // What comes later is listed first.
      world.clock.advance(1)
      const use = await triggers.receive(id, signed(secret, event, content))
      await triggers.idle()
      return use
    },
    entries: async (type: string) => (await world.audit.page({ limit: 500, order: 'asc', type })).items,
  }
}

test('CONN-1: an event starts the flow of its trigger once, with fields of the event, for who made the trigger', async (t) => {
  const { make, send, runs, triggers, secret, entries, inputs } = await open(t)
  const made = await make({}, piet)
  assert.deepEqual([made.title, made.connection, made.requestedBy], ['Note a word', 'code', 'person:piet'])
  const delivery = signed(secret, 'pull_request', events.pullRequest())
  assert.equal(await triggers.receive('con_code', delivery), 'starts')
  await triggers.idle()
  const [run] = await runs()
  assert.equal(run?.requestedBy, 'person:piet')
  assert.deepEqual(inputs, [{ word: headOf('a') }])
  const { firings, started, last } = await triggers.read(made.id)
  assert.deepEqual([started, firings.length, last?.runId, last?.state], [1, 1, run?.id, 'started'])
  assert.match(last?.about ?? '', /^pull_request opened, team\/shop#7, feature$/)

  const replays: SignedDelivery[] = [
    delivery,
    { ...delivery, headers: { ...delivery.headers, 'x-github-delivery': 'another-id' } },
    { ...delivery, headers: { ...delivery.headers, 'x-github-event': 'push' } },
    signed(secret, 'pull_request', events.pullRequest({ number: 8 }), {
      'x-github-delivery': delivery.headers['x-github-delivery'] ?? '',
    }),
  ]
  for (const replay of replays)
    await assert.rejects(triggers.receive('con_code', replay), { code: 'hook.repeated' })
  assert.equal(await send('pull_request', events.pullRequest({ number: 8 })), 'starts')
  assert.equal((await runs()).length, 2)
  const outcomes = (await entries('trigger.fired')).map(({ outcome, actor }) => [outcome, actor])
  assert.deepEqual(outcomes.slice(0, 2), [
    ['intent', 'system:hook'],
    ['done', 'person:piet'],
  ])
  assert.equal((await triggers.counts()).deliveries.starts, 2)
})

test('CONN-1: who is not signed in by the secret of the connection learns nothing, and nothing happens', async (t) => {
  const { make, triggers, secret, issue, runs, connections, entries, kept, store, bus } = await open(t)
  await make()
  const content = events.pullRequest()
  const good = () => signed(secret, 'pull_request', content)
  const other = await issue('con_other')
  const wrong: [string, string, SignedDelivery][] = [
    ['another secret', 'con_code', signed(draws.text(43), 'pull_request', content)],
    ["another connection's secret", 'con_code', signed(other, 'pull_request', content)],
    ['another body', 'con_code', { ...good(), body: Buffer.from(JSON.stringify(events.push())) }],
    ['no signature', 'con_code', signed(secret, 'pull_request', content, { 'x-hub-signature-256': '' })],
    [
      'the older one',
      'con_code',
      signed(secret, 'pull_request', content, { 'x-hub-signature-256': 'sha1=00' }),
    ],
    ['an unknown connection', 'con_none', good()],
    ['one that nobody listens to', 'con_pager', good()],
    ['no id', '../con_code', good()],
  ]
  for (const [what, id, delivery] of wrong) await assert.rejects(triggers.receive(id, delivery), untold, what)
  const reasons = (await entries('hook.refused')).map(({ detail }) => Object(detail).reason)
  assert.deepEqual(
    [reasons.filter((reason) => /signature/.test(reason)).length, reasons.length],
    [5, wrong.length],
  )
  const renewed = await issue()
  await assert.rejects(triggers.receive('con_code', good()), untold, 'the secret before')
  assert.equal(await triggers.receive('con_code', signed(renewed, 'pull_request', content)), 'starts')
  await triggers.idle()
  await triggers.hooks.remove('con_code', olga)
  await assert.rejects(triggers.receive('con_code', signed(renewed, 'ping', events.ping())), untold)
  connections.splice(1, 1)
  await assert.rejects(triggers.receive('con_other', signed(other, 'ping', events.ping())), untold)
  assert.equal((await runs()).length, 1)
  await store.write((tx) => bus.publish(tx, { type: 'connection.removed', subject: 'connection:con_other' }))
  await triggers.idle()
  assert.deepEqual([...kept.keys()], [])
})

test('CONN-1: a sealed vault says nothing of what it would find, and what it took before waits', async (t) => {
  const { make, triggers, secret, seal, runs, clock } = await open(t)
  await make()
  seal(true)
  for (const id of ['con_code', 'con_none'])
    await assert.rejects(triggers.receive(id, signed(secret, 'push', events.push())), {
      code: 'vault.sealed',
    })
  seal(false)
  const taken = triggers.receive('con_code', signed(secret, 'pull_request', events.pullRequest()))
  assert.equal(await taken, 'starts')
  seal(true)
  await triggers.idle()
  const before = (await runs()).length
  seal(false)
  clock.advance(5000)
  await triggers.idle()
  assert.deepEqual([before <= 1, (await runs()).length], [true, 1])
})

test('CONN-1: a signed delivery that is not fit is refused with why', async (t) => {
  const { triggers, secret, clock, entries } = await open(t)
  const content = events.pullRequest()
  const wrong: [RegExp, SignedDelivery][] = [
    [/no delivery id/, signed(secret, 'push', content, { 'x-github-delivery': '' })],
    [/no delivery id/, signed(secret, 'push', content, { 'x-github-delivery': "1' or '1'='1" })],
    [/names no event/, signed(secret, '', content)],
    [/names no event/, signed(secret, 'Push; rm', content)],
    [/no JSON/, signed(secret, 'push', Buffer.from('payload=%7B%7D'))],
    [/no JSON/, signed(secret, 'push', Buffer.from('"text"'))],
    [/no JSON/, signed(secret, 'push', Buffer.alloc(0))],
  ]
  for (const [detail, delivery] of wrong)
    await assert.rejects(triggers.receive('con_code', delivery), { code: 'hook.refused', detail })
  clock.advance(8 * day)
  for (const [event, old] of Object.entries({ pull_request: content, push: events.push() })) {
    const late = triggers.receive('con_code', signed(secret, event, old))
    await assert.rejects(late, { code: 'hook.refused', detail: /older than seven days/ })
  }
  assert.equal((await entries('hook.refused')).length, wrong.length + 2)
  assert.equal((await entries('hook.received')).length, 0)
})

test('CONN-1: a ping is answered, and what nothing is made of is taken and listed with why', async (t) => {
  const { send, triggers, connections, secret } = await open(t)
  assert.equal(await send('ping', events.ping()), 'ping')
  connections.splice(0, 1, connection('code', 'github', { repositories: ['team/else'] }))
  const unused: [string, object, RegExp][] = [
    ['star', { action: 'created' }, /events of this name/],
    ['constructor', {}, /events of this name/],
    ['push', { ref: 'refs/heads/main' }, /not what GitHub documents/],
    ['pull_request', events.checkRun(), /not what GitHub documents/],
    ['push', events.push(undefined, { installation: { id: 9 } }), /another, installation/],
    ['push', events.push(undefined, { installation: undefined }), /of no, or/],
    ['push', events.push(), /not for this repository/],
  ]
  for (const [event, content, detail] of unused) {
    assert.equal(await send(event, { ...content }), 'unused', event)
    assert.match((await triggers.hooks.read('con_code')).last?.detail ?? '', detail)
  }
  connections.splice(0, 1, connection('code'))
  assert.equal(await send('push', events.push('refs/heads/next')), 'unused')
  const { deliveries, received, address } = await triggers.hooks.read('con_code')
  assert.deepEqual(received, { starts: 0, wakes: 0, ping: 1, unused: unused.length + 1 })
  assert.equal(deliveries.length, unused.length + 2)
  assert.equal(address, '/api/v1/hooks/github/con_code')
  assert.ok(!JSON.stringify(await triggers.hooks.list()).includes(secret))
})

test('CONN-1: tasks that wait for checks are told of what changes them, and of no others', async (t) => {
  const { send, told } = await open(t)
  const uses = [
    await send('check_run', events.checkRun()),
    await send('check_run', events.checkRun(headOf('a'), 'rerequested')),
    await send('check_suite', events.checkSuite(null)),
    await send('status', events.status()),
    await send('pull_request', events.pullRequest()),
    await send('push', events.push()),
    await send('check_run', { ...events.checkRun(headOf('d')), installation: { id: 9 } }),
  ]
  assert.deepEqual(uses, ['wakes', 'wakes', 'wakes', 'wakes', 'wakes', 'unused', 'unused'])
  const about = { connectionId: 'con_code', place: repository }
  const both = [headOf('a'), 'feature']
  assert.deepEqual(told, [
    { ...about, topics: both, steady: true },
    { ...about, topics: both, steady: false },
    { ...about, topics: [headOf('a')], steady: true },
    { ...about, topics: both, steady: false },
    { ...about, topics: both, steady: false },
  ])
})

test('CONN-1: a trigger is for its repository, its actions, branches and labels, and for no fork unless it says so', async (t) => {
  const { make, send, runs } = await open(t)
  await make({ actions: ['opened', 'synchronize'], branches: ['main', 'release/*'], labels: ['deploy'] })
  const pull = events.pullRequest
  const cases: [string, object][] = [
    ['starts', pull({ number: 1 })],
    ['starts', pull({ number: 2, base: 'release/1' })],
    ['starts', pull({ number: 3 }, { repository: { full_name: 'Team/Shop' } })],
    ['wakes', pull({ number: 4, action: 'closed' })],
    ['wakes', pull({ number: 5, base: 'next' })],
    ['wakes', pull({ number: 6, from: 'stranger/shop' })],
    ['wakes', pull({ number: 7, from: null })],
    ['wakes', pull({ number: 8 }, { repository: { full_name: 'team/other' } })],
  ]
  for (const [use, content] of cases) assert.equal(await send('pull_request', { ...content }), use)
  await make({ labels: ['else'], event: 'issues', input: { word: 'x' } })
  assert.equal(await send('issues', events.issue()), 'unused')
  assert.equal((await runs()).length, 3)
  await make({ forks: true })
  assert.equal(await send('pull_request', pull({ number: 9, from: 'stranger/shop' })), 'starts')
  for (const [event, content, field] of [
    ['push', events.push('refs/tags/v1'), 'tag'],
    ['release', events.release(), 'tag'],
    ['check_suite', events.checkSuite(), 'conclusion'],
    ['issues', events.issue('question'), 'sender'],
  ] as const) {
    await make({ event, input: { word: { $event: field } } })
    assert.equal(await send(event, content), 'starts', event)
  }
  assert.equal((await runs()).length, 8)
})

test('CONN-1: a name of an event that could be more than a name does not come into an input', async (t) => {
  const { make, send, runs, triggers } = await open(t)
  const { id } = await make({ event: 'push', input: { word: { $event: 'branch' } } })
  for (const ref of ['refs/heads/-rf', 'refs/heads/a b', 'refs/heads/$(id)', 'refs/heads/../x'])
    await send('push', events.push(ref, { after: headOf('e') }))
  const { refused, firings } = await triggers.read(id)
  assert.deepEqual([refused, (await runs()).length], [4, 0])
  assert.match(firings[0]?.reason ?? '', /no field 'branch'/)
})

test('CONN-1: a goal is proposed once for each event, and starts nothing', async (t) => {
  const { make, send, runs, goals, triggers } = await open(t)
  const { id } = await make({ flow: null, input: {}, goal: 'note the word {branch}' }, piet)
  assert.equal(await send('pull_request', events.pullRequest()), 'starts')
  const { items } = await goals.page({ limit: 10 })
  assert.deepEqual(
    items.map(({ text, state, createdBy }) => [text, state, createdBy]),
    [['note the word feature', 'proposed', 'person:piet']],
  )
  assert.deepEqual([(await triggers.read(id)).last?.goalId, (await runs()).length], [items[0]?.id, 0])
  const odd = await make({ flow: null, input: {}, goal: 'sing {number} songs' })
  await send('pull_request', events.pullRequest({ number: 8 }))
  assert.match((await triggers.read(odd.id)).last?.reason ?? '', /^goal\.unknown/)
})

test('CONN-1: a trigger may do what who vouches for it may do at the time of the event, and no more', async (t) => {
  const { make, send, triggers, runs, close, approvals } = await open(t, {
    rules: `@id("no-ask") forbid (principal, action == Action::"runs.start", resource)
      when { resource has flow && resource.flow == "ask" && principal == Person::"piet" };`,
  })
  await assert.rejects(make({ flow: 'ask' }, piet), { code: 'policy.denied' })
  const asking = await make({ flow: 'ask' })
  await send('pull_request', events.pullRequest())
  const approval = await pendingApproval(approvals, (await runs())[0]?.id ?? '')
  assert.equal(approval.requestedBy, 'person:olga', 'so olga does not answer it herself')

  await assert.rejects(triggers.change(asking.id, { labels: [] }, piet), { code: 'policy.denied' })
  assert.equal((await triggers.change(asking.id, { paused: true }, piet)).requestedBy, 'person:olga')
  assert.equal(await send('pull_request', events.pullRequest({ number: 8 })), 'wakes')
  await triggers.change(asking.id, { paused: false }, piet)
  close(olga)
  assert.equal(await send('pull_request', events.pullRequest({ number: 9 })), 'starts')
  const { refused, last } = await triggers.read(asking.id)
  assert.deepEqual([refused, last?.state], [1, 'refused'])
  assert.match(last?.reason ?? '', /^policy\.denied/)
  assert.deepEqual([(await runs()).length, (await triggers.counts()).failing], [1, 1])
})

test('CONN-1: a flood of events starts no more than sixty runs an hour', async (t) => {
  const { make, triggers, send, runs } = await open(t)
  const { id } = await make()
  for (let number = 1; number <= 61; number++) await send('pull_request', events.pullRequest({ number }))
  const { firings } = await triggers.read(id)
  assert.deepEqual([firings[0]?.state, (await runs()).length], ['skipped', 60])
})

test('CONN-1: a trigger that could start nothing is not made', async (t) => {
  const { make, triggers } = await open(t)
  const nobody: Principal = { ...olga, id: 'nina', name: 'nina', roles: ['auditor'] }
  const token: Principal = { kind: 'token', id: 'tok_1', name: 'root', roles: ['owner'] }
  const wrong: [string, () => Promise<unknown>][] = [
    ['connection.not_found', () => make({ connectionId: 'con_none' })],
    ['hook.unsupported', () => make({ connectionId: 'con_pager' })],
    ['flow.not_found', () => make({ flow: 'sing' })],
    ['run.plan_invalid', () => make({ input: {} })],
    ['run.plan_invalid', () => make({ input: { word: { $event: 'title' } } })],
    ['run.plan_invalid', () => make({ input: { word: { $event: 'constructor' } } })],
    ['run.plan_invalid', () => make({ flow: null, goal: 'note the word {title}' })],
    ['request.invalid', () => make({ goal: 'note the word x' })],
    ['request.invalid', () => make({ flow: null })],
    ['policy.denied', () => make({}, nobody)],
    ['policy.denied', () => make({}, token)],
    ['hook.unsupported', () => triggers.hooks.issue('con_pager', olga)],
    ['connection.not_found', () => triggers.hooks.issue('con_none', olga)],
    ['hook.not_found', () => triggers.hooks.remove('con_none', olga)],
    ['hook.not_found', () => triggers.hooks.read('con_other')],
    ['trigger.not_found', () => triggers.read('trg_none')],
    ['trigger.not_found', () => triggers.change('trg_none', {}, olga)],
    ['trigger.not_found', () => triggers.remove('trg_none', olga)],
  ]
  for (const [code, work] of wrong)
    await assert.rejects(work(), (error) => error instanceof AppError && error.code === code, code)
  const { id } = await make()
  await triggers.remove(id, olga)
  assert.deepEqual(await triggers.list(), [])
})
