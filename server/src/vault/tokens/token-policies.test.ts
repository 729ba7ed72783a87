import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policiesFor } from './token-policies.ts'

type Wanted = Parameters<typeof policiesFor>[0]

const of = (parent: string[], asked: string[], more: Partial<Wanted> = {}): string[] =>
  policiesFor({
    asked,
    parent: { policies: parent },
    role: undefined,
    noDefaultPolicy: false,
    mighty: false,
    ...more,
  })

test('VAULT-2: a child has no more policies than its parent, the default one among them', () => {
  assert.deepEqual(of(['a', 'b', 'default'], ['a']), ['a', 'default'])
  assert.deepEqual(of(['a', 'b', 'default'], ['a'], { noDefaultPolicy: true }), ['a'])
  assert.deepEqual(of(['a', 'b'], []), ['a', 'b'])
  assert.deepEqual(of(['a', 'b'], ['a']), ['a'])
  for (const asked of [['default'], ['a', 'default'], ['c'], ['a', 'c'], ['root']])
    assert.throws(
      () => of(['a', 'b'], asked),
      { detail: 'child policies must be subset of parent' },
      `${asked}`,
    )
})

test('VAULT-2: who may do more gives any policy but root, and the default one with it', () => {
  assert.deepEqual(of(['a'], ['c'], { mighty: true }), ['c', 'default'])
  assert.deepEqual(of(['a'], ['c'], { mighty: true, noDefaultPolicy: true }), ['c'])
  assert.deepEqual(of(['root'], ['c']), ['c', 'default'])
  assert.deepEqual(of(['root'], []), ['root'])
  assert.deepEqual(of(['root'], ['root', 'c']), ['root'])
  assert.throws(() => of(['a'], ['root'], { mighty: true }), { code: 'request.invalid' })
  assert.throws(() => of(['a'], ['response-wrapping'], { mighty: true }), { code: 'request.invalid' })
})
