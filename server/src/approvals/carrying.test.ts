import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
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
import type { Directory } from './index.ts'

const mary = person('mary')
const approval = { target: 'shop', expiresInSeconds: 600 }

async function open(t: TestContext) {
  const world = await openWorld(t, engineMigrations)
  const seen: { preview: Json } = { preview: 'same' }
  const notes: string[] = []
  const groups = new Map([
    ['person:olga', ['release']],
    ['person:piet', ['release']],
    ['person:mary', ['release']],
  ])
  const directory: Directory = {
    async person(_, actor) {
      const id = actor.replace('person:', '')
      const own = groups.get(actor)
      return own && { id, name: id, roles: ['approver'], groups: own }
    },
    ownerOf: async () => undefined,
  }
  const allowed = new Set(['person:piet', 'person:mary'])
  const policy = { version: 'test', allowed }
  const other = { ...noteAction(notes, seen), name: 'test.other' }
  const engine = createEngine(world, {
    actions: [noteAction(notes, seen), other],
    directory,
    policyVersion: () => policy.version,
    mayApprove: async (who, facts, as) => ({
      ...(await openPolicy(who, facts, as)),
      allow: allowed.has(`${who.kind}:${who.id}`),
    }),
  })
  await engine.workflow.run()
  await engine.approvals.run()
  cleanUp(t, async () => {
    await engine.stop()
    await world.close()
  })
  return { ...engine, world, notes, seen, groups, policy }
}
type Opened = Awaited<ReturnType<typeof open>>

type Asked = Partial<PlannedTask> & { title?: string; requestedBy?: Principal }

const start = (opened: Opened, { title, requestedBy = olga, ...planned }: Asked = {}) =>
  opened.workflow.start(undefined, {
    plan: { ...planOf(task('a', { approval, ...planned })), ...(title ? { input: title } : {}) },
    requestedBy,
    unattended: false,
  })

/** Approved while its run was paused; the run was cancelled then, so that nothing used it. */
async function unused(opened: Opened, asked: Asked = {}) {
  const run = await start(opened, asked)
  const { id, digest } = await pendingApproval(opened.approvals, run.id)
  await opened.workflow.pause(run.id, olga)
  const now = opened.world.clock.now()
  await opened.approvals.approve({ ...piet, secondFactorAt: now }, id, { digest })
  await opened.workflow.cancel(run.id, olga)
  return opened.approvals.read(id)
}

const asks = async (opened: Opened, asked: Asked = {}) =>
  pendingApproval(opened.approvals, (await start(opened, asked)).id)

test('APPR-1: what was approved and not used answers the same question of the next run, once', async (t) => {
  const opened = await open(t)
  const first = await unused(opened)
  const run = await opened.workflow.whenEnded((await start(opened)).id)
  assert.equal(run.state, 'Succeeded')
  const carried = await opened.approvals.read(run.tasks[0]?.approvalId ?? '')
  assert.deepEqual(
    [carried.mode, carried.carriedFrom, carried.decidedBy, carried.expiresAt, carried.approvals.length],
    ['carried', first.id, 'person:piet', first.expiresAt, 1],
  )
  assert.deepEqual(opened.notes, ['a'])
  const claim = { approvalId: first.id, runId: first.runId, taskId: 'a', digest: first.digest }
  const redeemed = await opened.world.store.write((tx) => opened.approvals.redeem(tx, claim))
  assert.deepEqual(redeemed, { valid: false, reason: `${first.id} was used by ${carried.id}` })
  assert.equal((await asks(opened)).state, 'pending')
})

const differences: [string, (opened: Opened) => Promise<Asked> | Asked][] = [
  ['another action', () => ({ action: 'test.other' })],
  ['other arguments', () => ({ args: { note: 'b' } })],
  ['another target', () => ({ approval: { ...approval, target: 'bank' } })],
  ['another plan', () => ({ title: 'other' })],
  ['another requester', () => ({ requestedBy: mary })],
  [
    'a world that has moved on',
    ({ seen }) => {
      seen.preview = 'other'
      return {}
    },
  ],
  [
    'other policies',
    ({ policy }) => {
      policy.version = 'next'
      return {}
    },
  ],
  [
    'the end of its time',
    ({ world }) => {
      world.clock.advance(601_000)
      return {}
    },
  ],
  [
    'a giver without an account',
    ({ groups }) => {
      groups.delete('person:piet')
      return {}
    },
  ],
  [
    'a giver who may not answer any more',
    ({ policy }) => {
      policy.allowed.delete('person:piet')
      return {}
    },
  ],
  [
    'a rule that asks more people',
    async ({ approvals }) => {
      const [low] = await approvals.rules()
      if (low) await approvals.setRule({ ...low, quorum: 2 }, olga)
      return {}
    },
  ],
  [
    'a rule that asks a group in which its giver is not',
    async ({ approvals, groups }) => {
      groups.set('person:piet', [])
      const [low] = await approvals.rules()
      if (low) await approvals.setRule({ ...low, groups: ['release'] }, olga)
      return {}
    },
  ],
  [
    'a rule that asks for a second factor, which was not shown then',
    async ({ approvals }) => {
      const [low] = await approvals.rules()
      if (low) await approvals.setRule({ ...low, secondFactor: true }, olga)
      return {}
    },
  ],
]

for (const [what, differ] of differences)
  test(`APPR-1: ${what}: it is asked again, and nothing runs`, async (t) => {
    const opened = await open(t)
    await unused(opened)
    const again = await asks(opened, await differ(opened))
    await opened.approvals.stop()
    assert.deepEqual([(await opened.approvals.read(again.id)).state, opened.notes], ['pending', []])
  })

test('APPR-1: what the world has moved away from is void, also when the world comes back', async (t) => {
  const opened = await open(t)
  const first = await unused(opened)
  opened.seen.preview = 'other'
  const between = await asks(opened)
  assert.equal((await opened.approvals.read(first.id)).state, 'voided')
  await opened.workflow.cancel(between.runId, olga)
  opened.seen.preview = 'same'
  assert.equal((await asks(opened)).state, 'pending')
  assert.deepEqual(opened.notes, [])
})

test('APPR-1: an approval that a run may still use is nobody else’s', async (t) => {
  const opened = await open(t)
  const run = await start(opened)
  const { id, digest } = await pendingApproval(opened.approvals, run.id)
  await opened.workflow.pause(run.id, olga)
  await opened.approvals.approve(piet, id, { digest })
  const second = await asks(opened)
  await opened.workflow.resume(run.id, olga)
  assert.equal((await opened.workflow.whenEnded(run.id)).state, 'Succeeded')
  assert.equal((await opened.approvals.read(second.id)).state, 'pending')
})

test('APPR-1: denials and used approvals are not carried over', async (t) => {
  const opened = await open(t)
  const denied = await asks(opened)
  await opened.approvals.deny(piet, denied.id, { digest: denied.digest })
  const used = await asks(opened)
  await opened.approvals.approve(piet, used.id, { digest: used.digest })
  await opened.workflow.whenEnded(used.runId)
  assert.equal((await asks(opened)).state, 'pending')
})

test('WORK-1: a run that goes on after it was cancelled does not ask again for what nothing used', async (t) => {
  const opened = await open(t)
  const first = await unused(opened)
  await opened.workflow.retry(first.runId, olga)
  assert.equal((await opened.workflow.whenEnded(first.runId)).state, 'Succeeded')
})

test('APPR-1: of two runs that are the same one is answered, however close they are', async (t) => {
  const opened = await open(t)
  await unused(opened)
  const runs = await Promise.all([start(opened), start(opened)])
  const pending = await eventually(async () => {
    const { items } = await opened.approvals.page({ limit: 10, state: 'pending' })
    return opened.notes.length === 1 && items.length === 1 ? items : undefined
  }, 'one that ran and one that asks')
  assert.ok(runs.some(({ id }) => id === pending[0]?.runId))
})
