import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { z } from 'zod'
import { cleanUp } from '../../test/support/clean-up.ts'
import {
  createEngine,
  engineMigrations,
  olga,
  openPolicy,
  pendingApproval,
  person,
  piet,
  planOf,
  task,
} from '../../test/support/engine.ts'
import { openWorld } from '../../test/support/world.ts'
import { digestOf, type Principal } from '../core/index.ts'
import type { Action, ApprovalQuestion, PlannedTask } from '../workflow/index.ts'
import type { Directory, MayApprove } from './index.ts'

const mary = person('mary')
const gated = { target: 'shop', expiresInSeconds: 600 }

/** Scales a shop: `shop` is the target, `vault` a secret that it may name. */
function scaleAction(done: Json[]): Action {
  const input = z.object({
    shop: z.string(),
    count: z.int().max(10),
    secret: z.string().optional(),
    parts: z.array(z.object({ name: z.string() })).optional(),
  })
  return {
    name: 'test.scale',
    idempotent: true,
    input,
    offered: {
      title: 'Scale',
      risk: 'low',
      reversible: true,
      permissions: [],
      async about(args) {
        const { shop, secret } = input.parse(args)
        return { target: shop, secrets: secret ? [secret] : [] }
      },
    },
    preview: async (args) => ({ would: args }),
    async execute({ args }) {
      done.push(args)
      return { output: args }
    },
  }
}

const plainAction: Action = {
  name: 'test.note',
  idempotent: true,
  execute: async () => ({ output: null }),
}

async function open(t: TestContext, mayApprove: MayApprove = openPolicy) {
  const world = await openWorld(t, engineMigrations)
  const done: Json[] = []
  const engine = createEngine(world, {
    actions: [scaleAction(done), plainAction],
    directory: anybody,
    mayApprove,
  })
  await engine.workflow.run()
  await engine.approvals.run()
  cleanUp(t, async () => {
    await engine.stop()
    await world.close()
  })
  return { ...engine, world, done }
}
type Opened = Awaited<ReturnType<typeof open>>

const anybody: Directory = {
  async person(_, actor) {
    const id = actor.replace('person:', '')
    return { id, name: id, roles: ['approver'], groups: [] }
  },
  ownerOf: async () => undefined,
}

type Asked = Partial<PlannedTask> & { rules?: Partial<ApprovalQuestion['rules']> }

async function ask(opened: Opened, { rules = {}, ...planned }: Asked = {}) {
  const args = { shop: 'north', count: 3 }
  const approval = { ...gated, ...rules }
  const plan = planOf(task('a', { action: 'test.scale', args, approval, ...planned }))
  const run = await opened.workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
  return pendingApproval(opened.approvals, run.id)
}

const change = (
  opened: Opened,
  { id, digest }: { id: string; digest: string },
  args: Json = { shop: 'north', count: 2 },
  by: Principal = piet,
) => opened.approvals.change(by, id, { digest, args, reason: 'three are too many' })

test('APPR-1: who answers changes the arguments, approves the new question, and that is what runs', async (t) => {
  const opened = await open(t)
  const before = await ask(opened)
  assert.equal(before.changeable, true)
  const after = await change(opened, before)
  assert.notEqual(after.digest, before.digest)
  assert.deepEqual(
    [after.state, after.replaces, after.changedBy, after.preview, after.expiresAt],
    ['pending', before.id, ['person:piet'], { would: { shop: 'north', count: 2 } }, before.expiresAt],
  )
  const old = await opened.approvals.read(before.id)
  assert.deepEqual([old.state, old.supersededBy, old.decidedBy], ['superseded', after.id, 'person:piet'])
  await assert.rejects(opened.approvals.approve(mary, before.id, { digest: before.digest }), {
    code: 'approval.void',
  })
  await opened.approvals.approve(piet, after.id, { digest: after.digest })
  assert.equal((await opened.workflow.whenEnded(after.runId)).state, 'Succeeded')
  assert.deepEqual(opened.done, [{ shop: 'north', count: 2 }])
  const { items } = await opened.world.audit.page({ limit: 10, order: 'asc', type: 'approval.changed' })
  const [entry] = items
  const detail = entry?.detail as Record<string, unknown>
  assert.equal(entry?.actor, 'person:piet')
  assert.deepEqual(
    [
      detail['argsHashBefore'],
      detail['argsHash'],
      detail['digestBefore'],
      detail['digest'],
      detail['replaces'],
    ],
    [
      digestOf({ shop: 'north', count: 3 }),
      digestOf({ shop: 'north', count: 2 }),
      before.digest,
      after.digest,
      before.id,
    ],
  )
})

test('APPR-1: arguments that the action does not take, that name another target or another secret, are refused', async (t) => {
  const opened = await open(t)
  const asked = await ask(opened)
  const refused: [Json, RegExp][] = [
    [{ shop: 'north', count: 11 }, /^args\.count: /],
    [{ shop: 'north', count: 1, parts: [{ name: 'x' }, { name: 1 }] }, /^args\.parts\[1\]\.name: /],
    [{ shop: 'north' }, /^args\.count: /],
    [{ shop: 'north', count: 2, cuont: 4 }, /^args\.cuont: the action knows no such argument/],
    [{ shop: 'south', count: 2 }, /this is for south, and north was asked for/],
    [{ shop: 'north', count: 2, secret: 'prod/key' }, /the secret prod\/key/],
    [{ shop: { $from: 'b' }, count: 2 }, /^args\.shop: what a task gave cannot be named/],
    [{ shop: 'north', count: 3 }, /nothing is changed/],
    ['text', /^args: /],
  ]
  for (const [args, detail] of refused)
    await assert.rejects(change(opened, asked, args), (error: { code: string; detail: string }) => {
      assert.deepEqual([error.code, detail.test(error.detail)], ['approval.arguments', true], error.detail)
      return true
    })
  assert.equal((await opened.approvals.read(asked.id)).state, 'pending')
})

test('APPR-1: what says nothing of its arguments, and what a plan undoes, cannot be changed', async (t) => {
  const opened = await open(t)
  const plain = await ask(opened, { action: 'test.note' })
  const undone = await ask(opened, { compensate: { action: 'test.note', args: {} } })
  for (const asked of [plain, undone]) {
    assert.equal(asked.changeable, false)
    await assert.rejects(change(opened, asked), { code: 'approval.fixed' })
  }
})

test('APPR-1: the requester, an agent, an old digest and an answered question change nothing', async (t) => {
  const opened = await open(t)
  const asked = await ask(opened)
  const agent: Principal = { kind: 'agent', id: 'bot', name: 'bot', roles: [] }
  await assert.rejects(change(opened, asked, undefined, olga), { code: 'approval.self' })
  await assert.rejects(change(opened, asked, undefined, agent), { code: 'policy.denied' })
  await assert.rejects(change(opened, { ...asked, digest: '0'.repeat(64) }), { code: 'approval.void' })
  await opened.approvals.deny(piet, asked.id, { digest: asked.digest })
  await assert.rejects(change(opened, asked), { code: 'approval.answered' })
  const { items } = await opened.world.audit.page({ limit: 10, order: 'asc', type: 'approval.refused' })
  assert.deepEqual(
    items.map(({ detail }) => (detail as { decision: string }).decision),
    ['changed', 'changed', 'changed', 'changed'],
  )
})

test('POL-1: who may approve may be forbidden to change, or to deny, and the question stays as it is', async (t) => {
  for (const forbidden of ['change', 'deny'] as const) {
    const opened = await open(t, (who, facts, as) => ({
      ...openPolicy(who, facts, as),
      allow: as !== forbidden,
    }))
    const { id, digest } = await ask(opened)
    const tried = {
      change: () =>
        opened.approvals.change(piet, id, {
          digest,
          args: { shop: 'north', count: 2 },
          reason: 'fewer will do',
        }),
      deny: () => opened.approvals.deny(piet, id, { digest }),
    }
    await assert.rejects(tried[forbidden](), { code: 'policy.denied' })
    assert.equal((await opened.approvals.approve(piet, id, { digest })).state, 'approved')
  }
})

test('APPR-2: of two who change it at once one does, and the other hears of it', async (t) => {
  const opened = await open(t)
  const asked = await ask(opened)
  const both = await Promise.allSettled([
    change(opened, asked, { shop: 'north', count: 1 }),
    change(opened, asked, { shop: 'north', count: 2 }, mary),
  ])
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const pending = await opened.approvals.page({ limit: 10, state: 'pending' })
  assert.equal(pending.items.length, 1)
})

test('APPR-2: who changed what is grave or asks several people has no voice in it, nor by a right that was lent', async (t) => {
  const opened = await open(t)
  await opened.approvals.delegate(mary, { personId: 'piet', ttlSeconds: 3600, reason: 'on holiday' })
  for (const grave of [{ risk: 'high' as const }, { rules: { quorum: 2 } }]) {
    const after = await change(opened, await ask(opened, grave))
    await assert.rejects(opened.approvals.approve(piet, after.id, { digest: after.digest }), {
      code: 'approval.self',
    })
    // They may think better of it, and deny.
    const again = await change(opened, after, { shop: 'north', count: 1 }, mary)
    assert.deepEqual(again.changedBy, ['person:piet', 'person:mary'])
    await assert.rejects(opened.approvals.approve(mary, again.id, { digest: again.digest }), {
      code: 'approval.self',
    })
    assert.equal((await opened.approvals.deny(piet, again.id, { digest: again.digest })).state, 'denied')
  }
})

test('APPR-2: voices for the question before do not count for the changed one', async (t) => {
  const opened = await open(t)
  const asked = await ask(opened, { rules: { quorum: 2 } })
  await opened.approvals.approve(mary, asked.id, { digest: asked.digest })
  const after = await change(opened, asked)
  const once = await opened.approvals.approve(mary, after.id, { digest: after.digest })
  assert.deepEqual([once.state, once.approvals.length], ['pending', 1])
})

test('APPR-2: a changed question is asked, whatever was allowed ahead', async (t) => {
  const opened = await open(t)
  const asked = await ask(opened)
  const ahead = { action: 'test.scale', target: 'shop', args: {}, maxRisk: 'low', reason: 'release' } as const
  await opened.approvals.grant(mary, { ...ahead, ttlSeconds: 3600 })
  const after = await change(opened, asked)
  assert.deepEqual([after.state, after.grantId], ['pending', null])
  const redone = await change(opened, after, { shop: 'north', count: 1 })
  assert.deepEqual([redone.state, redone.grantId], ['pending', null])
})

test('WORK-1: a run that is made to go on asks with the arguments of its plan again', async (t) => {
  const opened = await open(t)
  const after = await change(opened, await ask(opened))
  await opened.approvals.deny(mary, after.id, { digest: after.digest })
  await opened.workflow.whenEnded(after.runId)
  await opened.workflow.retry(after.runId, olga)
  const again = await pendingApproval(opened.approvals, after.runId)
  assert.deepEqual([again.preview, again.changedBy], [{ would: { shop: 'north', count: 3 } }, []])
})
