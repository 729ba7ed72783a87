import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Phase } from '@keyward/contract'
import { eventually } from '../../test/support/eventually.ts'
import { keepSealed } from '../../test/support/sealed-bytes.ts'
import { openWorld } from '../../test/support/world.ts'
import { type Principal, silentLog, systemPrincipal } from '../core/index.ts'
import { createIdentity, identityMigrations } from '../identity/index.ts'
import { createPolicy } from '../policy/index.ts'
import type { EndedRuns } from '../workflow/index.ts'
import { createRollout, type JudgedTask, rolloutMigrations } from './index.ts'

const ada: Principal = { kind: 'person', id: 'psn_ada', name: 'ada', roles: ['owner'] }
const none: EndedRuns = { succeeded: 0, failed: 0, cancelled: 0, denials: 0 }
const read: JudgedTask = { id: 'fetch', action: 'github.get-pull-request', risk: 'low', effect: 'read' }
const write: JudgedTask = { id: 'comment', action: 'github.comment', risk: 'low', effect: 'write' }
const critical: JudgedTask = {
  id: 'merge',
  action: 'github.merge-pull-request',
  risk: 'high',
  effect: 'write',
}

async function open(t: Parameters<typeof openWorld>[0], rules?: string) {
  const world = await openWorld(t, [...identityMigrations, ...rolloutMigrations])
  const { store, audit, bus, clock } = world
  const identity = createIdentity({ store, audit, bus, clock, log: silentLog, sealed: keepSealed() })
  const policy = createPolicy({ clock })
  if (rules) policy.prepare([policy.compile({ name: 'custom', text: rules })])()
  let runs = none
  const workflow = { endedOf: async () => runs }
  const rollout = createRollout({ store, audit, bus, clock, log: silentLog, identity, policy, workflow })
  const register = { name: 'bot', description: '', owner: ada, scopes: ['leases', 'runs'] }
  const { agent } = await store.write((tx) => identity.registerAgent(tx, register))
  const bot: Principal = { kind: 'agent', id: agent.id, name: 'bot', roles: [] }
  const put = async (phase: Phase) => {
    runs = { ...none, succeeded: 3 }
    for (const step of ['non-critical', 'production'] as const) {
      if ((await rollout.read(bot.id)).phase === phase) return
      await rollout.setPhase(bot.id, { phase: step, reason: 'it went well' }, ada)
    }
  }
  const setRuns = (now: EndedRuns): void => {
    runs = now
  }
  const entries = async (type: string) => {
    const { items } = await audit.page({ type, order: 'asc', limit: 100 })
    return items.map((entry) => ({ ...entry, detail: Object(entry.detail) as Record<string, unknown> }))
  }
  return { ...world, identity, rollout, bot, put, entries, setRuns }
}

test('POL-3: an agent begins in read-only, where it may look and change nothing', async (t) => {
  const { rollout, bot } = await open(t)
  const { phase, next, hindrance, observed } = await rollout.read(bot.id)
  assert.deepEqual([phase, next, observed], ['read-only', 'non-critical', false])
  assert.match(hindrance ?? '', /0 runs .* 3 are needed/)
  assert.deepEqual((await rollout.judge(bot, 'look', [read])).observed, false)
  await assert.rejects(rollout.judge(bot, 'write', [read, write]), {
    code: 'policy.denied',
    detail: /^task comment: .*phase-read-only/,
  })
})

test('POL-3: each phase allows more than the one before, and production is not touched before its phase', async (t) => {
  const { rollout, bot, put } = await open(t)
  await put('non-critical')
  await rollout.judge(bot, 'comment', [read, write])
  await rollout.judge(bot, 'staging', [{ ...write, risk: 'medium', environment: 'staging' }])
  await assert.rejects(rollout.judge(bot, 'merge', [critical]), { code: 'policy.denied' })
  await assert.rejects(rollout.judge(bot, 'again', [write]), { code: 'policy.denied' }, 'it was demoted')
})

test('POL-3: in non-critical a write to production is refused whatever its risk; in production it is let', async (t) => {
  const { rollout, bot, put } = await open(t)
  await put('non-critical')
  const toProduction = { ...write, environment: 'production' }
  await assert.rejects(rollout.judge(bot, 'x', [toProduction]), { detail: /phase-non-critical/ })
  const other = await open(t)
  await other.put('production')
  await other.rollout.judge(other.bot, 'x', [toProduction, critical])
})

test('POL-3: a person is not held by phases, and a policy of ones own may still forbid a task', async (t) => {
  const { rollout } = await open(
    t,
    '@id("no-merge") forbid (principal, action == Action::"tasks.run", resource == Task::"github.merge-pull-request");',
  )
  await rollout.judge(ada, 'x', [write])
  await assert.rejects(rollout.judge(ada, 'x', [critical]), { code: 'policy.denied', detail: /no-merge/ })
})

test('POL-3: only a person promotes, by one phase, on enough evidence without violations', async (t) => {
  const { rollout, bot, setRuns, entries } = await open(t)
  const to = (phase: Phase, by = ada) => rollout.setPhase(bot.id, { phase, reason: 'a test' }, by)
  await assert.rejects(to('non-critical'), { code: 'rollout.hindered', detail: /3 are needed/ })
  setRuns({ ...none, succeeded: 3 })
  await assert.rejects(to('production'), { code: 'rollout.hindered', detail: /non-critical first/ })
  await assert.rejects(to('read-only'), { code: 'rollout.hindered', detail: /already/ })
  for (const by of [bot, systemPrincipal('x'), { ...ada, kind: 'token' } as Principal])
    await assert.rejects(to('non-critical', by), { code: 'policy.denied' })
  assert.equal((await to('non-critical')).phase, 'non-critical')
  assert.equal((await to('production')).next, null)
  const kept = (await entries('agent.promoted')).map(({ actor, detail }) => [
    actor,
    detail['before'],
    detail['phase'],
  ])
  assert.deepEqual(kept, [
    ['person:psn_ada', 'read-only', 'non-critical'],
    ['person:psn_ada', 'non-critical', 'production'],
  ])
  assert.equal((await to('read-only')).phase, 'read-only')
  await assert.rejects(rollout.read('agt_nobody'), { code: 'agent.not_found' })
})

test('POL-3: a violation demotes at once, is on record, and hinders the promotion for seven days', async (t) => {
  const { rollout, bot, put, entries, clock } = await open(t)
  await put('non-critical')
  await assert.rejects(rollout.judge(bot, 'merge', [critical]), { code: 'policy.denied' })
  const view = await rollout.read(bot.id)
  assert.deepEqual([view.phase, view.by, view.evidence.violations], ['read-only', 'system:rollout', 1])
  assert.match(view.reason, /its phase non-critical does not allow: merge/)
  assert.equal((await entries('agent.demoted')).length, 1)
  const promote = () => rollout.setPhase(bot.id, { phase: 'non-critical', reason: 'a test' }, ada)
  await assert.rejects(promote(), { code: 'rollout.hindered', detail: /1 violations/ })
  clock.advance(7 * 24 * 3600_000 + 1)
  assert.equal((await promote()).phase, 'non-critical')
})

test('POL-3: misuse of what was lent demotes, too', async (t) => {
  const { rollout, bot, put, store, bus } = await open(t)
  await put('production')
  t.after(rollout.watch())
  const data = { agent: `agent:${bot.id}` }
  await store.write((tx) => bus.publish(tx, { type: 'lease.misused', subject: 'lease:lea_1', data }))
  await eventually(async () => (await rollout.read(bot.id)).phase === 'read-only', 'the demotion')
})

test('POL-3: what an observed agent asks for is judged and recorded; nothing of it is refused nor executed', async (t) => {
  const { rollout, bot, entries, store, identity } = await open(t)
  const view = await rollout.observe(bot.id, { observed: true, reason: 'its first week' }, ada)
  assert.equal(view.observed, true)
  await assert.rejects(rollout.observe(bot.id, { observed: false, reason: 'no more' }, bot), {
    code: 'policy.denied',
  })
  const { observed, judgements } = await rollout.judge(bot, 'deploy', [read, critical])
  assert.equal(observed, true)
  assert.deepEqual(
    judgements.map(({ taskId, allow }) => [taskId, allow]),
    [
      ['fetch', true],
      ['merge', false],
    ],
  )
  const [entry] = await entries('task.judged')
  assert.deepEqual([entry?.outcome, entry?.detail['observed']], ['done', true])
  assert.equal((await rollout.read(bot.id)).evidence.observed, 1)
  await assert.rejects(rollout.allowTask(`agent:${bot.id}`, 'run_1', read), {
    code: 'policy.denied',
    detail: /observed/,
  })
  await rollout.observe(bot.id, { observed: false, reason: 'it asks for sensible things' }, ada)
  await rollout.allowTask(`agent:${bot.id}`, 'run_1', read)
  await assert.rejects(rollout.allowTask(`agent:${bot.id}`, 'run_1', write), { code: 'policy.denied' })
  await rollout.allowTask('person:psn_ada', 'run_1', critical)
  await store.write((tx) => identity.setAgentState(tx, bot.id, 'quarantined', ada, 'strange'))
  await assert.rejects(rollout.allowTask(`agent:${bot.id}`, 'run_1', read), { code: 'agent.inactive' })
})
