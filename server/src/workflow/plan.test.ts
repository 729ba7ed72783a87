import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from './action.ts'
import { checkedPlan } from './check-plan.ts'
import { type Plan, type PlannedTask, planDigestOf } from './plan.ts'

const task = (id: string, more: Partial<PlannedTask> = {}): PlannedTask => ({
  id,
  title: id,
  action: 'known',
  args: {},
  needs: [],
  risk: 'low',
  reversible: true,
  secrets: [],
  ...more,
})
const plan = (...tasks: PlannedTask[]): Plan => ({ flow: 'test', title: 'Test', input: {}, tasks })
const known: Action = { name: 'known', idempotent: true, execute: async () => ({ output: null }) }
const check = (given: Plan, ...more: Action[]): Plan =>
  checkedPlan(given, new Map([known, ...more].map((action) => [action.name, action])))
const refused = (given: Plan, detail: RegExp): void =>
  assert.throws(
    () => check(given),
    (error: { code?: string; detail?: string }) => {
      assert.equal(error.code, 'run.plan_invalid')
      assert.match(error.detail ?? '', detail)
      return true
    },
  )

test('WORK-1: a plan that cannot run is refused with what is wrong and where', () => {
  refused(plan(), /^tasks: Too small/)
  refused(plan(task('a'), task('a')), /tasks\[1\]\.id: 'a' is used twice/)
  refused(plan(task('A b')), /tasks\[0\]\.id/)
  refused(plan(task('a', { action: 'other' })), /tasks\[0\]\.action: there is no action 'other'/)
  refused(plan(task('a', { needs: ['b'] })), /tasks\[0\]\.needs: there is no task 'b'/)
  refused(plan(task('a', { needs: ['b', 'b'] }), task('b')), /names a task twice/)
  refused(plan(task('a', { timeoutSeconds: 0 })), /^tasks\[0\]\.timeoutSeconds: Too small/)
  refused(
    plan(task('a', { approval: { target: 'x', expiresInSeconds: -1 } })),
    /approval\.expiresInSeconds: Too small/,
  )
  refused(plan(task('a', { retry: { maxAttempts: 0, backoffSeconds: 1 } })), /retry\.maxAttempts: Too small/)
})

test('WORK-1: a circle is named', () => {
  const circle = plan(
    task('x'),
    task('a', { needs: ['x', 'c'] }),
    task('b', { needs: ['a'] }),
    task('c', { needs: ['b'] }),
  )
  refused(circle, /circle: a → c → b → a/)
  refused(plan(task('a', { needs: ['a'] })), /circle: a → a/)
})

test('APPR-1: the digest of a plan is that of its stored form', () => {
  const given = plan(
    task('a', { args: { path: 'secret/shop', gone: undefined } as unknown as PlannedTask['args'] }),
  )
  const stored = check(given)
  assert.equal(planDigestOf(stored), planDigestOf(JSON.parse(JSON.stringify(stored))))
  assert.equal(planDigestOf(stored), planDigestOf(check(plan(task('a', { args: { path: 'secret/shop' } })))))
  assert.notEqual(planDigestOf(given), planDigestOf(plan(task('a', { args: { path: 'secret/other' } }))))
})
