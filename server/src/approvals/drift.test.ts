// An open question is looked at again when something tells that the world has changed.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json } from '@keyward/contract'
import {
  createEngine,
  engineMigrations,
  gate,
  olga,
  pendingApproval,
  piet,
  planOf,
  task,
} from '../../test/support/engine.ts'
import { eventually } from '../../test/support/eventually.ts'
import { openWorld } from '../../test/support/world.ts'
import { AppError } from '../core/index.ts'

const words = '"number":7,"repository":"team/Shop"'

async function open(t: TestContext) {
  const world = await openWorld(t, engineMigrations)
  let look: () => Json = () => 'at one commit'
  const ran: string[] = []
  const merge = {
    name: 'shop.merge',
    idempotent: true,
    preview: async () => look(),
    async execute({ taskId }: { taskId: string }) {
      ran.push(taskId)
      return { output: null }
    },
  }
  const { workflow, approvals, stop } = createEngine(world, { actions: [merge] })
  await workflow.run()
  await approvals.run()
  t.after(stop)
  const ask = async (number: number) => {
    const args = { number, repository: 'team/shop' }
    const plan = planOf(task('a', { action: 'shop.merge', args, approval: gate }))
    const { id } = await workflow.start(undefined, { plan, requestedBy: olga, unattended: false })
    return pendingApproval(approvals, id)
  }
  /** What is said after it has been looked at. */
  const states = async (...ids: string[]) =>
    Promise.all(ids.map(async (id) => (await approvals.read(id)).state))
  const sees = (next: () => Json): void => {
    look = next
  }
  const entries = async () =>
    (await world.audit.page({ limit: 10, order: 'asc', type: 'approval.voided' })).items
  return { workflow, approvals, ask, states, sees, entries, ran }
}

test('APPR-1: an open question that asks for something else than would run is voided, its run fails, and no other question is touched', async (t) => {
  const { workflow, approvals, ask, states, sees, entries, ran } = await open(t)
  const [mine, other] = [await ask(7), await ask(70)]
  approvals.lookAgain(words)
  sees(() => {
    throw new AppError('connector.refused', 'the head of #7 is another one')
  })
  approvals.lookAgain('"number":8,"repository":"team/shop"')
  approvals.lookAgain('"number":7_"repository":"team/shop"')
  approvals.lookAgain(words)
  await eventually(async () => (await states(mine.id))[0] === 'voided', 'the end of the question')
  const run = await workflow.whenEnded(mine.runId)
  assert.equal(run.state, 'Failed')
  assert.match(run.reason ?? '', /approval\.void.*the head of #7 is another one/)
  assert.deepEqual(await states(other.id), ['pending'])
  const { digest, id } = mine
  await assert.rejects(approvals.approve(piet, id, { digest }), { code: 'approval.void' })
  const [voided, ...more] = await entries()
  assert.deepEqual([voided?.target, voided?.actor, more], [`approval:${id}`, 'system:workflow', []])
  assert.deepEqual(ran, [])
})

test('APPR-1: a question stays open while nothing has changed, and while it cannot be told', async (t) => {
  const { workflow, approvals, ask, states, sees, ran } = await open(t)
  const asked = await ask(7)
  let looks = 0
  const seen = (next: () => Json) => {
    const before = looks
    sees(() => {
      looks += 1
      return next()
    })
    approvals.lookAgain(words)
    return eventually(async () => looks > before, 'a look')
  }
  await seen(() => 'at one commit')
  await seen(() => {
    throw new AppError('connector.unavailable', 'the service is down')
  })
  await seen(() => {
    throw new Error('something unforeseen')
  })
  assert.deepEqual(await states(asked.id), ['pending'])
  await seen(() => 'at one commit')
  await approvals.approve(piet, asked.id, { digest: asked.digest })
  assert.equal((await workflow.whenEnded(asked.runId)).state, 'Succeeded')
  assert.deepEqual(ran, ['a'])
})

test('APPR-1: another preview voids an open question, and an answered one is not asked about', async (t) => {
  const { workflow, approvals, ask, states, sees } = await open(t)
  const [one, answered] = [await ask(7), await ask(7)]
  await approvals.deny(piet, answered.id, { digest: answered.digest })
  sees(() => 'at another commit')
  approvals.lookAgain(words)
  assert.match((await workflow.whenEnded(one.runId)).reason ?? '', /not what was asked for any more/)
  assert.deepEqual(await states(one.id, answered.id), ['voided', 'denied'])
})
