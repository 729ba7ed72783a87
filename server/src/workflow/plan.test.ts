import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Json, planDraft } from '@keyward/contract'
import { z } from 'zod'
import type { Action } from './action.ts'
import { checkedPlan } from './check-plan.ts'
import { type Plan, type PlannedTask, planDigestOf } from './plan.ts'
import { createPlanning } from './planning.ts'

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

const asAction = (name: string, more: Partial<Action> = {}): Action => ({ ...known, name, ...more })
const refusedWith = (actions: Action[], detail: RegExp, ...tasks: PlannedTask[]): void =>
  assert.throws(
    () => check(plan(...tasks), ...actions),
    (error: { code?: string; detail?: string }) => {
      assert.equal(error.code, 'run.plan_invalid')
      assert.match(error.detail ?? '', detail)
      return true
    },
  )

test('WORK-1: what flows between tasks is checked before anything runs', () => {
  const gives = asAction('gives', {
    output: z.object({ image: z.object({ digest: z.string() }), count: z.int() }),
  })
  const takes = asAction('takes', {
    input: z.strictObject({ image: z.string(), replicas: z.number().optional() }),
  })
  const a = task('a', { action: 'gives' })
  const b = (args: PlannedTask['args']) => task('b', { action: 'takes', needs: ['a'], args })
  const from = (path: string) => ({ $from: 'a', path })
  const both = [gives, takes]
  check(plan(a, b({ image: from('image.digest'), replicas: from('count') })), ...both)
  refusedWith(
    both,
    /tasks\[1\]\.args\.image: 'a' gives number at 'count', and string is needed/,
    a,
    b({ image: from('count') }),
  )
  refusedWith(both, /args\.image: 'a' gives nothing at 'image.name'/, a, b({ image: from('image.name') }))
  refusedWith(both, /^tasks\[1\]\.args\.image/, a, b({}))
  refusedWith(both, /args\.image: a reference is/, a, b({ image: { $from: 'a', paths: 'x' } }))
  refusedWith(both, /'b' is not among the task's needs/, a, task('b'), task('c', { args: { $from: 'b' } }))
  refusedWith(both, /only a task with forEach has an item/, task('c', { args: { $item: '' } }))
  refusedWith(both, /asks about 'a', which is not/, a, task('c', { when: { $from: 'a', exists: true } }))
})

test('WORK-1: what comes to be while a run goes on takes no name of another, and nothing is half said', () => {
  const compensate = { action: 'known', args: {} }
  refused(plan(task('a', { compensate }), task('a.undo')), /'a.undo' is what a task of 'a' will be called/)
  refused(
    plan(task('x'), task('a', { needs: ['x'], forEach: { $from: 'x' } }), task('a.0')),
    /'a.0' is what a task of 'a' will be called/,
  )
  refused(
    plan(task('a', { compensate: { action: 'other', args: {} } })),
    /compensate\.action: there is no action/,
  )
  refused(plan(task('a', { subrun: { flow: 'x', input: {} } })), /'subrun' and a 'subrun' belong together/)
  refused(plan(task('a'), task('b', { needs: ['a'], fallbackFor: 'a' })), /cannot be needed as well/)
  refused(
    plan(task('a'), task('b', { fallbackFor: 'a' }), task('c', { fallbackFor: 'a' })),
    /'a' has another fallback/,
  )
  refused(plan(task('a', { concurrencyLimit: 2 })), /needs a concurrencyKey/)
  refused(plan(task('a', { when: { $from: 'a', equals: 1, above: 2 } })), /when/)
})

test('APPR-1, POL-3: no plan, also of a flow, says less of a risk than its action does', () => {
  const offered = { title: 'Merge', risk: 'high', reversible: false, permissions: [] } as const
  const merge = asAction('merge', { offered })
  check(plan(task('a', { action: 'merge', risk: 'critical' })), merge)
  refusedWith(
    [merge],
    /^tasks\[0\]\.risk: 'low' is less than what merge says of itself: 'high'/,
    task('a', { action: 'merge', risk: 'low' }),
  )
})

test('APPR-1: a plan that somebody brings cannot say less than its actions do, nor name what is not offered', async () => {
  const offered = {
    title: 'Merge',
    risk: 'high',
    reversible: false,
    permissions: ['contents:write'],
  } as const
  const about = async () => ({ target: 'the shop', secrets: ['secret/github'] })
  const merge = asAction('merge', { offered: { ...offered, about } })
  const look = asAction('look', { offered: { ...offered, title: 'Look', risk: 'low', reversible: true } })
  const actions = new Map([known, merge, look].map((action) => [action.name, action]))
  const store = { all: async () => [], get: async () => undefined }
  const { completed, preview } = createPlanning({ store, actions })
  const draft = (...tasks: object[]) => planDraft.parse({ title: 'A plan', tasks })
  const whole = await completed(draft({ id: 'a', action: 'merge', risk: 'low', reversible: true }))
  const [merging] = whole.tasks
  assert.deepEqual(
    [merging?.risk, merging?.reversible, merging?.secrets, merging?.approval?.target],
    ['high', false, ['secret/github'], 'the shop'],
  )
  const undone = await completed(
    draft({ id: 'a', action: 'look', compensate: { action: 'merge', args: {} } }),
  )
  assert.ok(undone.tasks[0]?.approval, 'what undoes a task is approved with it')
  assert.equal((await completed(draft({ id: 'a', action: 'look' }))).tasks[0]?.approval, undefined)
  for (const secret of [{ action: 'known' }, { action: 'look', compensate: { action: 'known', args: {} } }])
    await assert.rejects(completed(draft({ id: 'a', ...secret })), {
      code: 'run.plan_invalid',
      detail: /there is no action 'known' for plans. Known: merge, look/,
    })
  const shown = await preview(whole, { kind: 'person', id: 'olga', name: 'Olga', roles: [] })
  assert.deepEqual(
    shown.tasks.map(({ target, permissions, gated, expectedSeconds }) => [
      target,
      permissions,
      gated,
      expectedSeconds,
    ]),
    [['the shop', ['contents:write'], true, null]],
  )
})

test('APPR-1: what changes production asks a person whatever its risk; a look and another environment do not', async () => {
  const cost = 'a cent'
  const offered = { title: 'Touch', risk: 'low', reversible: true, permissions: [], cost } as const
  const environment = async (args: Json): Promise<string | undefined> =>
    Object(args).connection === 'live' ? 'production' : 'staging'
  const touch = asAction('touch', { offered, environment })
  const look = asAction('look', { offered, environment, effect: 'read' })
  const actions = new Map([touch, look].map((action) => [action.name, action]))
  const store = { all: async () => [], get: async () => undefined }
  const { completed, preview } = createPlanning({ store, actions })
  const task = (id: string, action: string, connection: string) => ({ id, action, args: { connection } })
  const tasks = [task('a', 'touch', 'live'), task('b', 'touch', 'test'), task('c', 'look', 'live')]
  const whole = await completed(planDraft.parse({ title: 'A plan', tasks }))
  assert.deepEqual(
    whole.tasks.map(({ approval }) => approval !== undefined),
    [true, false, false],
  )
  const shown = await preview(whole, { kind: 'person', id: 'olga', name: 'Olga', roles: [] })
  assert.deepEqual(
    shown.tasks.map((one) => [one.environment, one.cost]),
    [
      ['production', 'a cent'],
      ['staging', 'a cent'],
      ['production', 'a cent'],
    ],
  )
})
