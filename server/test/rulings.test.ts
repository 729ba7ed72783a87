import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPolicy } from '../src/policy/index.ts'
import { mayApproveBy } from '../src/rulings.ts'
import { person } from './support/engine.ts'
import { createTestClock } from './support/world.ts'

type Facts = Parameters<ReturnType<typeof mayApproveBy>>[1]

const question = {
  ...{ id: 'apr_1', requestedBy: 'person:olga', requesters: ['person:olga'], changedBy: [] },
  ...{ action: 'vault.rotate', risk: 'low', unattended: false },
} as unknown as Facts

test('POL-1: what forbids to change or to deny a question holds alone, and who may not approve may neither', async () => {
  const policy = createPolicy({ clock: createTestClock() })
  const may = mayApproveBy(policy, { countPeople: async () => 2 })
  const piet = person('piet')
  const ways = ['approve', 'deny', 'change'] as const
  const allowed = async () => Promise.all(ways.map(async (as) => (await may(piet, question, as)).allow && as))
  assert.deepEqual(await allowed(), ['approve', 'deny', 'change'])
  const forbid = (action: string) => {
    const text = `@id("own") forbid (principal, action == Action::"approvals.${action}", resource is Approval);`
    policy.prepare([policy.compile({ name: 'own.cedar', text })])()
  }
  forbid('change')
  assert.deepEqual(await allowed(), ['approve', 'deny', false])
  assert.deepEqual((await may(piet, question, 'change')).policies, ['own'])
  forbid('deny')
  assert.deepEqual(await allowed(), ['approve', false, 'change'])
  forbid('approve')
  assert.deepEqual(await allowed(), [false, false, false])
})
