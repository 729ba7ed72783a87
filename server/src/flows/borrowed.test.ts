import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '@keyward/contract'
import type { Plan } from '../workflow/index.ts'
import { borrowedBy } from './borrowed.ts'

const planOf = (args: Json, compensate?: Json): Plan => ({
  flow: 'own',
  title: 'A plan that somebody brings',
  input: {},
  tasks: [
    {
      ...{ id: 'work', title: 'Work', action: 'agent.task', args, needs: [], secrets: [] },
      ...{ risk: 'low', reversible: true },
      ...(compensate === undefined ? {} : { compensate: { action: 'agent.task', args: compensate } }),
    },
  ],
})

test('LEND-1: whoever brings a plan is asked whether they may lend all that its tasks borrow', () => {
  const args = { secretPath: 'secret/a', more: [{ secretPath: 'secret/b' }, { secretPath: 'secret/a' }] }
  assert.deepEqual(borrowedBy(planOf(args, { secretPath: 'secret/c' })), ['secret/a', 'secret/b', 'secret/c'])
})

test('LEND-1: a path that another task would name is refused', () => {
  const reference = { $from: 'before', path: 'secret' }
  const refused = { code: 'run.plan_invalid', detail: /written out/ }
  for (const args of [
    { secretPath: reference },
    { secretPath: 'secret/a', more: [{ secretPath: reference }] },
  ])
    assert.throws(() => borrowedBy(planOf(args)), refused)
  assert.throws(() => borrowedBy(planOf({ secretPath: 'secret/a', more: reference })), refused)
  assert.throws(() => borrowedBy(planOf(reference)), refused)
})
