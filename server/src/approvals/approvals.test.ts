import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  createEngine,
  engineMigrations,
  gate,
  noteAction,
  olga,
  pendingApproval,
  piet,
  planOf,
  task,
} from '../../test/support/engine.ts'
import { eventually } from '../../test/support/eventually.ts'
import { createTestClock, openWorld, temporaryFolder } from '../../test/support/world.ts'
import type { Principal } from '../core/index.ts'
import { sql } from '../store/index.ts'
import type { MayApprove } from './index.ts'

async function open(t: TestContext, mayApprove?: MayApprove, dataDir?: string) {
  const world = await openWorld(t, engineMigrations, dataDir === undefined ? {} : { dataDir })
  const notes: string[] = []
  const engine = createEngine(world, { actions: [noteAction(notes)], ...(mayApprove ? { mayApprove } : {}) })
  await engine.workflow.run()
  await engine.approvals.run()
  const close = async (): Promise<void> => {
    await engine.stop()
    await world.close()
  }
  return { ...engine, world, notes, close }
}
type Opened = Awaited<ReturnType<typeof open>>

const start = (opened: Opened, requestedBy: Principal = olga, unattended = false) =>
  opened.workflow.start(undefined, { plan: planOf(task('a', { approval: gate })), requestedBy, unattended })

async function asked(opened: Opened, requestedBy?: Principal) {
  const run = await start(opened, requestedBy)
  return pendingApproval(opened.approvals, run.id)
}

const entriesOf = async ({ world }: Opened, type: string) =>
  (await world.audit.page({ limit: 500, order: 'asc', type })).items

test('APPR-1: the request says what would run, for whom, and until when', async (t) => {
  const opened = await open(t)
  const approval = await asked(opened)
  assert.deepEqual(
    [approval.action, approval.target, approval.requestedBy, approval.preview, approval.state],
    ['test.note', 'shop', 'person:olga', 'same', 'pending'],
  )
  assert.equal(Date.parse(approval.expiresAt) - Date.parse(approval.requestedAt), 600_000)
  assert.deepEqual(await opened.approvals.read(approval.id), approval)
  await assert.rejects(opened.approvals.read('apr_none'), { code: 'approval.not_found' })
  await opened.close()
})

test('APPR-1: the second answer is refused, whatever it says', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await asked(opened)
  const approved = await opened.approvals.approve(piet, id, { digest, reason: 'looks right' })
  assert.deepEqual([approved.state, approved.mode, approved.decidedBy], ['approved', 'person', 'person:piet'])
  await assert.rejects(opened.approvals.deny(piet, id, { digest }), { code: 'approval.answered' })
  await assert.rejects(opened.approvals.approve(piet, id, { digest }), { code: 'approval.answered' })
  assert.equal((await opened.workflow.whenEnded(runId)).state, 'Succeeded')
  assert.deepEqual(opened.notes, ['a'])
  await opened.close()
})

test('APPR-1: of answers that come at the same time exactly one counts', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await asked(opened)
  const { approve, deny } = opened.approvals
  const answers = await Promise.allSettled(
    [approve, deny, approve, deny].map((answer) => answer(piet, id, { digest })),
  )
  const won = answers.filter(({ status }) => status === 'fulfilled')
  assert.equal(won.length, 1)
  for (const answer of answers) {
    if (answer.status === 'rejected') assert.equal(answer.reason.code, 'approval.answered')
  }
  await opened.workflow.whenEnded(runId)
  assert.equal((await entriesOf(opened, 'approval.refused')).length, 3)
  await opened.close()
})

test('APPR-1: an answer to another digest is refused and leaves the question open', async (t) => {
  const opened = await open(t)
  const { id, digest } = await asked(opened)
  await assert.rejects(opened.approvals.approve(piet, id, { digest: '0'.repeat(64) }), {
    code: 'approval.void',
  })
  assert.equal((await opened.approvals.read(id)).state, 'pending')
  const [entry] = await entriesOf(opened, 'approval.refused')
  assert.equal(entry?.actor, 'person:piet')
  assert.equal((await opened.approvals.approve(piet, id, { digest })).state, 'approved')
  await opened.close()
})

test('APPR-2: denied ends the run with the reason given', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await asked(opened)
  await opened.approvals.deny(piet, id, { digest, reason: 'not on a Friday' })
  const run = await opened.workflow.whenEnded(runId)
  assert.deepEqual([run.state, run.reason], ['Cancelled', 'a: approval.denied: not on a Friday'])
  assert.deepEqual(opened.notes, [])
  await opened.close()
})

test('APPR-2: after its time an approval has expired, even when the clock leapt or was set back', async (t) => {
  const opened = await open(t)
  const { clock } = opened.world
  const byTimer = await asked(opened)
  // The answer's own transaction notices, before any timer.
  const late = await asked(opened)
  await opened.world.store.write((tx) =>
    tx.run(sql`update approvals set expires_at = ${clock.now().getTime()} where id = ${late.id}`),
  )
  await assert.rejects(opened.approvals.approve(piet, late.id, { digest: late.digest }), {
    code: 'approval.expired',
  })
  const run = await opened.workflow.whenEnded(late.runId)
  assert.match(run.reason ?? '', /approval\.expired/)
  clock.advance(3600_000)
  assert.match((await opened.workflow.whenEnded(byTimer.runId)).reason ?? '', /approval\.expired/)
  await assert.rejects(opened.approvals.approve(piet, byTimer.id, { digest: byTimer.digest }), {
    code: 'approval.expired',
  })
  clock.set(new Date(clock.now().getTime() - 7200_000))
  assert.equal((await opened.approvals.read(byTimer.id)).state, 'expired')
  assert.deepEqual(opened.notes, [])
  await opened.close()
})

test('APPR-2: what expired while the server was away is ended when it comes back', async (t) => {
  const dataDir = temporaryFolder(t)
  const first = await open(t, undefined, dataDir)
  const { runId, id } = await asked(first)
  await first.close()
  const world = await openWorld(t, engineMigrations, {
    dataDir,
    clock: createTestClock(new Date('2027-01-01T00:00:00.000Z')),
  })
  const engine = createEngine(world, { actions: [noteAction([])] })
  await engine.workflow.run()
  await engine.approvals.run()
  assert.equal((await engine.approvals.read(id)).state, 'expired')
  assert.equal((await engine.workflow.read(runId)).state, 'Cancelled')
  await engine.stop()
  await world.close()
})

test('APPR-1: after a restart with the clock set back an approval lives no longer than its own span', async (t) => {
  const dataDir = temporaryFolder(t)
  const first = await open(t, undefined, dataDir)
  const { runId } = await asked(first)
  await first.close()
  const clock = createTestClock(new Date('2025-06-01T00:00:00.000Z'))
  const world = await openWorld(t, engineMigrations, { dataDir, clock })
  const engine = createEngine(world, { actions: [noteAction([])] })
  await engine.workflow.run()
  await engine.approvals.run()
  clock.advance(600_000)
  assert.match((await engine.workflow.whenEnded(runId)).reason ?? '', /approval\.expired/)
  await engine.stop()
  await world.close()
})

test('APPR-2: nobody approves their own request, unless policy says solo; everybody may withdraw it', async (t) => {
  const opened = await open(t)
  const own = await asked(opened, piet)
  await assert.rejects(opened.approvals.approve(piet, own.id, { digest: own.digest }), {
    code: 'approval.self',
  })
  assert.equal((await opened.approvals.deny(piet, own.id, { digest: own.digest })).state, 'denied')
  await opened.close()

  const solo = await open(t, () => ({
    allow: true,
    policies: ['solo'],
    reason: 'the only account',
    mode: 'self',
  }))
  const { id, digest } = await asked(solo, piet)
  assert.equal((await solo.approvals.approve(piet, id, { digest })).mode, 'self')
  const [entry] = await entriesOf(solo, 'approval.approved')
  assert.match(JSON.stringify(entry?.detail), /"policies":\["solo"\]/)
  await solo.close()
})

test('POL-1: who may not approve is refused; an agent is refused whatever policy says', async (t) => {
  const refusing = await open(t, () => ({
    allow: false,
    policies: [],
    reason: 'auditors read',
    mode: 'person',
  }))
  const { id, digest } = await asked(refusing)
  await assert.rejects(refusing.approvals.approve(piet, id, { digest }), { code: 'policy.denied' })
  await assert.rejects(refusing.approvals.deny(piet, id, { digest }), { code: 'policy.denied' })
  await refusing.close()

  const opened = await open(t)
  const agent: Principal = { kind: 'agent', id: 'agt', name: 'builder', roles: [] }
  const system: Principal = { ...agent, kind: 'system', id: 'recovery' }
  const second = await asked(opened)
  for (const principal of [agent, system]) {
    await assert.rejects(opened.approvals.approve(principal, second.id, { digest: second.digest }), {
      code: 'policy.denied',
    })
  }
  assert.equal((await entriesOf(opened, 'approval.refused')).length, 2)
  await opened.close()
})

test('APPR-1: an unattended run is approved by the system and recorded as that, where policy allows it', async (t) => {
  const opened = await open(t)
  const { id } = await start(opened, olga, true)
  assert.equal((await opened.workflow.whenEnded(id)).state, 'Succeeded')
  const [approval] = (await opened.approvals.page({ limit: 10 })).items
  assert.deepEqual([approval?.mode, approval?.decidedBy], ['unattended', 'system:unattended'])
  await opened.close()

  const strict: MayApprove = ({ kind }) => ({
    allow: kind === 'person',
    policies: ['strict'],
    reason: 'a person has to look',
    mode: 'person',
  })
  const waiting = await open(t, strict)
  const run = await start(waiting, olga, true)
  const pending = await pendingApproval(waiting.approvals, run.id)
  await eventually(async () => (await entriesOf(waiting, 'approval.refused')).length === 1, 'the refusal')
  await waiting.approvals.approve(piet, pending.id, { digest: pending.digest })
  assert.equal((await waiting.workflow.whenEnded(run.id)).state, 'Succeeded')
  await waiting.close()
})

test('APPR-3: request and answer are in the audit log with everything that was asked', async (t) => {
  const opened = await open(t)
  const { id, digest, planDigest, runId } = await asked(opened)
  await opened.approvals.approve(piet, id, { digest, reason: 'looks right' })
  const [request] = await entriesOf(opened, 'approval.requested')
  const [answer] = await entriesOf(opened, 'approval.approved')
  assert.equal(request?.actor, 'person:olga')
  assert.equal(answer?.actor, 'person:piet')
  assert.equal(answer?.correlation, runId)
  const detail = answer?.detail as Record<string, unknown>
  const { decidedAt, previewDigest, ...rest } = detail
  assert.match(String(previewDigest), /^[0-9a-f]{64}$/)
  assert.ok(Date.parse(String(decidedAt)))
  assert.partialDeepStrictEqual(rest, {
    action: 'test.note',
    target: 'shop',
    requestedBy: 'person:olga',
    digest,
    planDigest,
    decision: 'approved',
    operator: 'person:piet',
    reason: 'looks right',
    mode: 'person',
  })
  await opened.close()
})

test('APPR-1: when the audit log cannot be written, the answer does not count', async (t) => {
  const opened = await open(t)
  const { id, digest } = await asked(opened)
  await opened.world.store.write((tx) => tx.run(sql`alter table audit_entries rename to audit_entries_away`))
  await assert.rejects(opened.approvals.approve(piet, id, { digest }))
  assert.equal((await opened.approvals.read(id)).state, 'pending')
  await opened.world.store.write((tx) => tx.run(sql`alter table audit_entries_away rename to audit_entries`))
  assert.equal((await opened.approvals.approve(piet, id, { digest })).state, 'approved')
  await opened.close()
})

test('APPR-1: an approval is used by its own task only, again by a later attempt of it, never with another digest', async (t) => {
  const opened = await open(t)
  const { id, digest, runId } = await asked(opened)
  const { store } = opened.world
  const redeem = (claim: { runId: string; taskId: string; digest: string }) =>
    store.write((tx) => opened.approvals.redeem(tx, { approvalId: id, ...claim }))
  const pending = await redeem({ runId, taskId: 'a', digest })
  assert.deepEqual(pending, { valid: false, reason: `${id} is pending` })
  await opened.approvals.approve(piet, id, { digest })
  await opened.workflow.whenEnded(runId)
  assert.deepEqual(await redeem({ runId, taskId: 'a', digest }), { valid: true })
  assert.equal((await redeem({ runId, taskId: 'b', digest })).valid, false)
  assert.equal((await redeem({ runId: 'run_other', taskId: 'a', digest })).valid, false)
  assert.equal((await redeem({ runId, taskId: 'a', digest: '0'.repeat(64) })).valid, false)
  assert.equal((await redeem({ runId, taskId: 'a', digest })).valid, false)
  await opened.close()
})
