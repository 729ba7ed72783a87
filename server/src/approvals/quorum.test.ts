import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
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
import type { ApprovalQuestion, PlannedTask } from '../workflow/index.ts'
import type { Directory } from './index.ts'

const mary = person('mary')
const noah = person('noah')

/** People with groups, who may leave; `agent:bot` belongs to Piet, and `agent:sub` to that one. */
function town() {
  const groups = new Map<string, string[]>([
    ['person:olga', []],
    ['person:piet', ['buyers']],
    ['person:mary', ['buyers', 'release']],
    ['person:noah', ['release']],
  ])
  const owners: Record<string, string> = { 'agent:bot': 'person:piet', 'agent:sub': 'agent:bot' }
  const directory: Directory = {
    async person(_, actor) {
      const known = groups.get(actor)
      const id = actor.replace('person:', '')
      return known && { id, name: id, roles: ['approver'], groups: known }
    },
    ownerOf: async (_, actor) => owners[actor],
  }
  return { groups, directory }
}

async function open(t: TestContext) {
  const world = await openWorld(t, engineMigrations)
  const notes: string[] = []
  const { groups, directory } = town()
  const engine = createEngine(world, { actions: [noteAction(notes)], directory, mayApprove: openPolicy })
  await engine.workflow.run()
  await engine.approvals.run()
  cleanUp(t, async () => {
    await engine.stop()
    await world.close()
  })
  return { ...engine, world, notes, groups }
}
type Opened = Awaited<ReturnType<typeof open>>

type Rules = ApprovalQuestion['rules']
const rules: Rules = { target: 'shop', expiresInSeconds: 600 }

async function ask(
  opened: Opened,
  more: Partial<Rules> = {},
  { requestedBy = olga, ...planned }: Partial<PlannedTask> & { requestedBy?: Principal } = {},
) {
  const plan = planOf(task('a', { approval: { ...rules, ...more }, ...planned }))
  const run = await opened.workflow.start(undefined, { plan, requestedBy, unattended: false })
  return pendingApproval(opened.approvals, run.id)
}

const entriesOf = async ({ world }: Opened, type: string) =>
  (await world.audit.page({ limit: 500, order: 'asc', type })).items

const fresh = (opened: Opened, who: Principal): Principal => ({
  ...who,
  secondFactorAt: opened.world.clock.now(),
})

test('APPR-1: the bytes that are shown are the bytes that are hashed, with all that an approver has to know', async (t) => {
  const opened = await open(t)
  const shown = await ask(opened, { blastRadius: 'all orders', rollback: 'runs the task "back"', quorum: 2 })
  assert.equal(createHash('sha256').update(shown.subject).digest('hex'), shown.digest)
  const subject = JSON.parse(shown.subject)
  assert.deepEqual(Object.keys(subject), ['action', 'args', 'planDigest', 'preview'])
  assert.deepEqual(
    [subject.args, subject.preview, subject.planDigest],
    [{ note: 'a' }, 'same', shown.planDigest],
  )
  assert.deepEqual(
    [shown.blastRadius, shown.rollback, shown.quorum, shown.policyVersion],
    ['all orders', 'runs the task "back"', 2, 'test'],
  )
  const [entry] = await entriesOf(opened, 'approval.requested')
  const detail = entry?.detail as Record<string, unknown>
  for (const field of [
    'blastRadius',
    'rollback',
    'quorum',
    'policyVersion',
    'nonce',
    'previewDigest',
  ] as const)
    assert.deepEqual(detail[field], shown[field], field)
  assert.notEqual(shown.nonce, (await ask(opened)).nonce)
})

test('APPR-2: it runs when as many people as the quorum have allowed it, each once', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await ask(opened, { quorum: 2 })
  const first = await opened.approvals.approve(piet, id, { digest, reason: 'fine', channel: 'cli' })
  assert.deepEqual(
    [first.state, first.approvals.map(({ by, channel, reason }) => [by, channel, reason])],
    ['pending', [['person:piet', 'cli', 'fine']]],
  )
  await assert.rejects(opened.approvals.approve(piet, id, { digest }), { code: 'approval.answered' })
  assert.deepEqual(opened.notes, [])
  const second = await opened.approvals.approve(mary, id, { digest, channel: 'console' })
  assert.deepEqual(
    [second.state, second.decidedBy, second.channel, second.approvals.length],
    ['approved', 'person:mary', 'console', 2],
  )
  assert.equal((await opened.workflow.whenEnded(runId)).state, 'Succeeded')
  const [counted] = await entriesOf(opened, 'approval.counted')
  assert.equal(counted?.actor, 'person:piet')
  const [approved] = await entriesOf(opened, 'approval.approved')
  assert.match(JSON.stringify(approved?.detail), /person:piet.*person:mary/)
})

test('APPR-2: one denial ends it, however many have allowed it', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await ask(opened, { quorum: 3 })
  await opened.approvals.approve(piet, id, { digest })
  await opened.approvals.approve(mary, id, { digest })
  assert.equal((await opened.approvals.deny(noah, id, { digest, reason: 'no' })).state, 'denied')
  assert.match((await opened.workflow.whenEnded(runId)).reason ?? '', /approval\.denied: no/)
  assert.deepEqual(opened.notes, [])
})

test('APPR-2: answers that race at the edge of the quorum start the task once', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await ask(opened, { quorum: 2 })
  const answers = await Promise.allSettled(
    [piet, mary, noah, piet, mary, noah].map((who) => opened.approvals.approve(who, id, { digest })),
  )
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 2)
  await opened.workflow.whenEnded(runId)
  assert.deepEqual(opened.notes, ['a'])
  assert.equal((await opened.approvals.read(id)).approvals.length, 2)
  assert.equal((await entriesOf(opened, 'approval.refused')).length, 4)
})

test('APPR-2: only people of the groups that are asked answer', async (t) => {
  const opened = await open(t)
  const { id, digest } = await ask(opened, { groups: ['release'] })
  for (const answer of ['approve', 'deny'] as const) {
    await assert.rejects(opened.approvals[answer](piet, id, { digest }), { code: 'approval.not_asked' })
  }
  assert.equal((await opened.approvals.approve(noah, id, { digest })).state, 'approved')
})

test('APPR-2: the answer of somebody who has left the group, or has no account any more, does not count', async (t) => {
  const opened = await open(t)
  const { id, digest } = await ask(opened, { groups: ['buyers', 'release'], quorum: 2 })
  await opened.approvals.approve(piet, id, { digest })
  opened.groups.set('person:piet', [])
  assert.equal((await opened.approvals.approve(mary, id, { digest })).state, 'pending')
  opened.groups.delete('person:mary')
  assert.equal((await opened.approvals.approve(noah, id, { digest })).state, 'pending')
  await assert.rejects(opened.approvals.approve(mary, id, { digest }), { code: 'policy.denied' })
  opened.groups.set('person:piet', ['buyers'])
  opened.groups.set('person:olga', ['buyers'])
  opened.groups.set('person:ada', ['buyers'])
  assert.equal((await opened.approvals.approve(person('ada'), id, { digest })).state, 'approved')
})

test('APPR-2: nobody approves what an agent of theirs asked for, nor an agent of that agent', async (t) => {
  const opened = await open(t)
  for (const agent of ['bot', 'sub']) {
    const requestedBy: Principal = { kind: 'agent', id: agent, name: agent, roles: [] }
    const { id, digest } = await ask(opened, {}, { requestedBy })
    await assert.rejects(opened.approvals.approve(piet, id, { digest }), { code: 'approval.self' })
    assert.equal((await opened.approvals.approve(mary, id, { digest })).mode, 'person')
    const again = await ask(opened, {}, { requestedBy })
    assert.equal((await opened.approvals.deny(piet, again.id, { digest: again.digest })).state, 'denied')
  }
})

test('APPR-2: high risk needs a second factor that was shown within five minutes; to say no it does not', async (t) => {
  const opened = await open(t)
  const { id, digest } = await ask(opened, {}, { risk: 'high' })
  const refused = (who: Principal) =>
    assert.rejects(opened.approvals.approve(who, id, { digest }), { code: 'approval.second_factor' })
  await refused(piet)
  const factor = fresh(opened, piet)
  opened.world.clock.advance(5 * 60_000)
  await refused(factor)
  const future = new Date(opened.world.clock.now().getTime() + 3600_000)
  await refused({ ...piet, secondFactorAt: future })
  const approved = await opened.approvals.approve(fresh(opened, piet), id, { digest })
  assert.equal(approved.approvals[0]?.secondFactorAt, opened.world.clock.now().toISOString())
  const other = await ask(opened, { secondFactor: true })
  await assert.rejects(opened.approvals.approve(piet, other.id, { digest: other.digest }), {
    code: 'approval.second_factor',
  })
  assert.equal((await opened.approvals.deny(piet, other.id, { digest: other.digest })).state, 'denied')
})

test('APPR-2: chat decides what is of low risk, and nothing else', async (t) => {
  const opened = await open(t)
  const { answer } = opened.approvals
  const medium = await ask(opened, {}, { risk: 'medium' })
  for (const decision of ['approved', 'denied'] as const) {
    await assert.rejects(answer(piet, medium.id, { decision, digest: medium.digest, channel: 'slack' }), {
      code: 'approval.channel',
    })
  }
  const low = await ask(opened)
  const decided = await answer(piet, low.id, { decision: 'approved', digest: low.digest, channel: 'slack' })
  assert.deepEqual([decided.state, decided.channel], ['approved', 'slack'])
})

test('APPR-2: a rule may ask for more than the plan, and a plan for more than the rule; never for less', async (t) => {
  const opened = await open(t)
  const [low, ...others] = await opened.approvals.rules()
  assert.ok(low)
  assert.deepEqual(
    others.map(({ risk, quorum, secondFactor }) => [risk, quorum, secondFactor]),
    [
      ['medium', 1, false],
      ['high', 1, true],
      ['critical', 2, true],
    ],
  )
  const strict = { ...low, quorum: 2, groups: ['release'], secondFactor: true, expiresInSeconds: 60 }
  await opened.approvals.setRule(strict, olga)
  const shown = await ask(opened, { quorum: 1, groups: ['buyers'], secondFactor: false })
  assert.deepEqual([shown.quorum, shown.groups, shown.needsSecondFactor], [2, ['release'], true])
  assert.equal(Date.parse(shown.expiresAt) - Date.parse(shown.requestedAt), 60_000)
  const more = await ask(opened, { quorum: 3, groups: ['release', 'buyers'] })
  assert.deepEqual([more.quorum, more.groups], [3, ['release']])
  const [entry] = await entriesOf(opened, 'approval.rule_changed')
  assert.equal(entry?.actor, 'person:olga')
})

test('APPR-2: a run that was started unattended waits for people where more than one, or a factor, is asked for', async (t) => {
  const opened = await open(t)
  for (const approval of [{ quorum: 2 }, { secondFactor: true }, { groups: ['release'] }]) {
    const plan = planOf(task('a', { approval: { ...rules, ...approval } }))
    const run = await opened.workflow.start(undefined, { plan, requestedBy: olga, unattended: true })
    const { id } = await pendingApproval(opened.approvals, run.id)
    await eventually(
      async () =>
        (await entriesOf(opened, 'approval.refused')).find(({ target }) => target === `approval:${id}`),
      'the refusal',
    )
    assert.equal((await opened.approvals.read(id)).state, 'pending')
  }
})

test('APPR-2: half way to its end an approval is reminded of once, and later goes to other groups, too', async (t) => {
  const opened = await open(t)
  const [low] = await opened.approvals.rules()
  assert.ok(low)
  await opened.approvals.setRule({ ...low, escalateAtPercent: 80, escalateTo: ['release'] }, olga)
  const { id, digest } = await ask(opened, { groups: ['buyers'] })
  const { clock } = opened.world
  clock.advance(299_000)
  assert.equal((await opened.approvals.read(id)).remindedAt, null)
  clock.advance(1000)
  // The timer is set after the question is in the store, perhaps only after the clock has been moved.
  const reminded = await eventually(async () => {
    clock.advance(1)
    const shown = await opened.approvals.read(id)
    return shown.remindedAt === null ? undefined : shown
  }, 'the reminder')
  assert.deepEqual([reminded.state, reminded.groups, reminded.escalatedAt], ['pending', ['buyers'], null])
  await assert.rejects(opened.approvals.approve(noah, id, { digest }), { code: 'approval.not_asked' })
  await opened.approvals.stop()
  await opened.approvals.run()
  clock.advance(180_000)
  await eventually(async () => {
    clock.advance(1)
    return (await opened.approvals.read(id)).escalatedAt ?? undefined
  }, 'the escalation')
  assert.equal((await opened.approvals.approve(noah, id, { digest })).state, 'approved')
  for (const type of ['approval.reminded', 'approval.escalated'])
    assert.equal((await entriesOf(opened, type)).length, 1, type)
})

test('APPR-1: a task that is asked for anew has one open question; the one before is replaced', async (t) => {
  const opened = await open(t)
  const old = await ask(opened)
  const { runId, taskId, digest, planDigest, subject } = old
  const id = await opened.world.store.write((tx) =>
    opened.approvals.request(tx, {
      runId,
      taskId,
      action: old.action,
      title: old.title,
      rules,
      requestedBy: old.requestedBy,
      risk: old.risk,
      reversible: true,
      args: {},
      preview: 'other',
      planDigest,
      subject,
      digest: digest.replaceAll(/[0-9]/g, 'a'),
      unattended: false,
      changeable: false,
    }),
  )
  const replaced = await opened.approvals.read(old.id)
  assert.deepEqual([replaced.state, replaced.supersededBy], ['superseded', id])
  await assert.rejects(opened.approvals.approve(piet, old.id, { digest }), { code: 'approval.void' })
  const claim = { approvalId: old.id, runId, taskId, digest }
  const redeemed = await opened.world.store.write((tx) => opened.approvals.redeem(tx, claim))
  assert.equal(redeemed.valid, false)
  assert.equal((await entriesOf(opened, 'approval.superseded')).length, 1)
})
