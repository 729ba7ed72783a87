import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { cleanUp } from '../../test/support/clean-up.ts'
import {
  createEngine,
  engineMigrations,
  noteAction,
  olga,
  openPolicy,
  pendingApproval,
  person,
  piet,
  planOf,
  task,
} from '../../test/support/engine.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openWorld } from '../../test/support/world.ts'
import type { Principal } from '../core/index.ts'
import type { PlannedTask } from '../workflow/index.ts'
import { insertApproval, readApproval } from './approvals-store.ts'
import type { Directory, MayApprove } from './index.ts'

const approver = (id: string): Principal => ({ ...person(id), roles: ['approver'] })
const mary = approver('mary')
const noah = approver('noah')

/** Noah is no approver by himself, and in no group. */
const directory: Directory = {
  async person(_, actor) {
    const id = actor.replace('person:', '')
    if (id === 'ghost') return undefined
    return { id, name: id, roles: ['approver'], groups: id === 'noah' ? [] : ['buyers'] }
  },
  ownerOf: async () => undefined,
}

async function open(t: TestContext, mayApprove: MayApprove = openPolicy) {
  const world = await openWorld(t, engineMigrations)
  const notes: string[] = []
  const engine = createEngine(world, { actions: [noteAction(notes)], directory, mayApprove })
  await engine.workflow.run()
  await engine.approvals.run()
  cleanUp(t, async () => {
    await engine.stop()
    await world.close()
  })
  const start = (requestedBy: Principal, more: Partial<PlannedTask> = {}) => {
    const approval = { target: 'shop', expiresInSeconds: 600, ...more.approval }
    const plan = planOf(task('a', { ...more, approval }))
    return engine.workflow.start(undefined, { plan, requestedBy, unattended: false })
  }
  const ask = async (requestedBy: Principal, more: Partial<PlannedTask> = {}) =>
    pendingApproval(engine.approvals, (await start(requestedBy, more)).id)
  return { ...engine, world, notes, start, ask }
}

const buyers = { approval: { target: 'shop', expiresInSeconds: 600, groups: ['buyers'] } }
const lend = { personId: 'noah', ttlSeconds: 3600, reason: 'on holiday' }

test('APPR-2: a right to answer is lent for a time, is used by name, and can be taken back', async (t) => {
  const { approvals, ask, world } = await open(t)
  const { id, digest } = await ask(olga, buyers)
  await assert.rejects(approvals.approve(noah, id, { digest }), { code: 'approval.not_asked' })
  const lent = await approvals.delegate(mary, lend)
  const answered = await approvals.approve(noah, id, { digest })
  assert.deepEqual(
    answered.approvals.map(({ by, onBehalfOf }) => [by, onBehalfOf]),
    [['person:noah', 'person:mary']],
  )
  await assert.rejects(approvals.endDelegation(approver('eve'), lent.id), { code: 'policy.denied' })
  const ended = await approvals.endDelegation(mary, lent.id)
  assert.equal(ended.endedBy, 'person:mary')
  const next = await ask(olga, buyers)
  const refused = () =>
    assert.rejects(approvals.approve(noah, next.id, { digest: next.digest }), { code: 'approval.not_asked' })
  await refused()
  await approvals.delegate(mary, { ...lend, ttlSeconds: 60 })
  world.clock.advance(60_000)
  await refused()
  assert.equal((await approvals.delegations({ limit: 10 })).items.length, 2)
  const types = (await world.audit.page({ limit: 100, order: 'asc' })).items.map(({ type }) => type)
  assert.ok(types.includes('delegation.created') && types.includes('delegation.ended'))
})

test('APPR-2: a lent right approves neither what its lender nor what its holder asked for, and gives no second voice', async (t) => {
  const { approvals, ask } = await open(t)
  await approvals.delegate(mary, lend)
  for (const requester of [mary, noah]) {
    const { id, digest } = await ask(requester, buyers)
    await assert.rejects(approvals.approve(noah, id, { digest }), { code: 'approval.self' })
  }
  const two = { approval: { ...buyers.approval, quorum: 2 } }
  const first = await ask(olga, two)
  await approvals.approve(noah, first.id, { digest: first.digest })
  await assert.rejects(approvals.approve(mary, first.id, { digest: first.digest }), {
    code: 'approval.answered',
  })
  const second = await ask(olga, two)
  await approvals.approve(mary, second.id, { digest: second.digest })
  await assert.rejects(approvals.approve(noah, second.id, { digest: second.digest }), {
    code: 'approval.answered',
  })
  assert.equal((await approvals.approve(piet, second.id, { digest: second.digest })).state, 'approved')
})

test('APPR-2: a right is lent by a person to another open account', async (t) => {
  const { approvals } = await open(t)
  for (const personId of ['mary', 'ghost'])
    await assert.rejects(approvals.delegate(mary, { ...lend, personId }), { code: 'person.not_found' })
  const agent: Principal = { kind: 'agent', id: 'bot', name: 'bot', roles: [] }
  await assert.rejects(approvals.delegate(agent, lend), { code: 'policy.denied' })
  await assert.rejects(approvals.endDelegation(mary, 'dlg_none'), { code: 'delegation.not_found' })
  await assert.rejects(approvals.endGrant(mary, 'agr_none'), { code: 'grant.not_found' })
})

const ahead = {
  action: 'test.note',
  target: 'shop',
  args: { note: 'a' },
  maxRisk: 'low' as const,
  reason: 'while we migrate',
  ttlSeconds: 7200,
}

test('APPR-2: what was allowed ahead runs without a question, in the name of who allowed it', async (t) => {
  const { approvals, start, workflow, notes, world } = await open(t)
  const grant = await approvals.grant(mary, ahead)
  const run = await start(olga)
  assert.equal((await workflow.whenEnded(run.id)).state, 'Succeeded')
  assert.deepEqual(notes, ['a'])
  const [shown] = (await approvals.page({ limit: 1 })).items
  assert.deepEqual(
    [shown?.state, shown?.mode, shown?.decidedBy, shown?.grantId],
    ['approved', 'grant', 'person:mary', grant.id],
  )
  assert.match(shown?.reason ?? '', /while we migrate/)
  const types = (await world.audit.page({ limit: 100, order: 'asc' })).items.map(({ type }) => type)
  assert.ok(types.includes('approval.granted'))
})

test('APPR-2: other arguments, another target, more risk, its giver as requester, or a grant that ended: it is asked', async (t) => {
  const { approvals, ask, world } = await open(t)
  const grant = await approvals.grant(mary, ahead)
  const other = { approval: { target: 'bank', expiresInSeconds: 600 } }
  const cases: [Principal, Partial<PlannedTask>][] = [
    [olga, { args: { note: 'b' } }],
    [olga, other],
    [olga, { risk: 'medium' }],
    [olga, { approval: { target: 'shop', expiresInSeconds: 600, quorum: 2 } }],
    [olga, { approval: { target: 'shop', expiresInSeconds: 600, secondFactor: true } }],
  ]
  for (const [who, more] of cases) assert.equal((await ask(who, more)).grantId, null)
  const own = await ask(mary)
  await eventually(
    async () =>
      (await world.audit.page({ limit: 100, order: 'asc', type: 'approval.refused' })).items.find(
        ({ target }) => target === `approval:${own.id}`,
      ),
    'the refusal of what its giver asked for',
  )
  assert.equal((await approvals.read(own.id)).state, 'pending')
  await approvals.endGrant(mary, grant.id)
  assert.equal((await ask(olga)).grantId, null)
  await approvals.grant(mary, { ...ahead, ttlSeconds: 60 })
  world.clock.advance(60_000)
  assert.equal((await ask(olga)).grantId, null)
})

test('APPR-2: one answer for several of low risk, each with its digest; what is not alike is answered alone', async (t) => {
  const { approvals, ask } = await open(t)
  const asked = [await ask(olga), await ask(olga), await ask(piet)]
  const answers = asked.map(({ id, digest }, i) => ({
    approvalId: id,
    digest: i === 1 ? '0'.repeat(64) : digest,
  }))
  const results = await approvals.answerMany(piet, answers, { decision: 'approved', channel: 'cli' })
  assert.deepEqual(
    results.map(({ state, code }) => [state, code]),
    [
      ['approved', null],
      [null, 'approval.void'],
      [null, 'approval.self'],
    ],
  )
  const medium = await ask(olga, { risk: 'medium' })
  await assert.rejects(
    approvals.answerMany(piet, [{ approvalId: medium.id, digest: medium.digest }], { decision: 'approved' }),
    { code: 'request.invalid' },
  )
})

test('APPR-2: of a thousand that wait, pages show each once, the newest first, while some are answered', async (t) => {
  const { approvals, ask, world } = await open(t)
  const like = await readApproval(world.store, (await ask(olga)).id)
  assert.ok(like)
  const idOf = (i: number): string => `${like.id}-${String(i).padStart(4, '0')}`
  await world.store.write(async (tx) => {
    for (let i = 1; i < 1000; i += 1) await insertApproval(tx, { ...like, id: idOf(i), nonce: idOf(i) })
  })
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = await approvals.page({ cursor, limit: 100, state: 'pending' })
    seen.push(...page.items.map(({ id }) => id))
    // The first of what was shown, and the next to come: one is in sight already, the other never was.
    for (const id of [seen[0], page.next ? idOf(Number(page.next.slice(-4)) - 1) : undefined])
      if (id) await approvals.deny(piet, id, { digest: like.digest }).catch(() => undefined)
    cursor = page.next ?? undefined
  } while (cursor)
  assert.equal(new Set(seen).size, seen.length)
  assert.deepEqual(seen, seen.toSorted().reverse())
  assert.equal(seen.length, 1000 - 9, 'what was answered before its page came is not in it')
})
