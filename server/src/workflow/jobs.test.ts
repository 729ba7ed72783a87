import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createJobs, type Job } from './jobs.ts'
import { createSharedKeys } from './shared-keys.ts'

const job = (runId: string, taskId: string, more: Partial<Job> = {}): Job => ({
  kind: 'start',
  runId,
  taskId,
  ...more,
})

function jobsOf(concurrency: number, keys = createSharedKeys()) {
  const begun: string[] = []
  const jobs = createJobs({
    clock: { after: () => () => undefined },
    concurrency,
    keys,
    begin: ({ runId, taskId }) => void begun.push(`${runId}:${taskId}`),
  })
  return { jobs, begun }
}

test('WORK-1: a run goes on in the slot of its task that ended, eight times while others wait, then they have it', () => {
  const { jobs, begun } = jobsOf(1)
  jobs.add(job('one', '0'))
  jobs.add(job('two', '0'))
  let before = job('one', '0')
  for (let i = 1; i <= 8; i++) {
    const after = job('one', String(i))
    assert.ok(jobs.claim(after, before), `the ${i}th time`)
    jobs.over(before)
    before = after
  }
  assert.deepEqual(begun, ['one:0'])
  assert.equal(jobs.claim(job('one', '9'), before), false)
  jobs.over(before)
  assert.deepEqual(begun, ['one:0', 'two:0'])
})

test('WORK-1: a slot is not passed on while somebody of a higher priority waits, nor beyond what a key allows', () => {
  const { jobs, begun } = jobsOf(1)
  jobs.add(job('one', 'a'))
  jobs.add(job('urgent', 'a', { priority: 5 }))
  assert.equal(jobs.claim(job('one', 'b'), job('one', 'a')), false)
  jobs.over(job('one', 'a'))
  assert.deepEqual(begun, ['one:a', 'urgent:a'])

  const shared = { key: 'shop', limit: 1 }
  const two = jobsOf(2).jobs
  two.add(job('one', 'a', { shared }))
  assert.equal(two.claim(job('two', 'a', { shared })), false)
  assert.ok(two.claim(job('one', 'b', { shared }), job('one', 'a')), 'in the place of the one that ended')
})

test('WORK-1: a key that another host holds is waited for, and both hear when it is free', () => {
  const keys = createSharedKeys()
  const freed: string[] = []
  const other = keys.of((key) => void freed.push(key))
  const shared = { key: 'shop', limit: 1 }
  const { jobs, begun } = jobsOf(4, keys)
  other.take(shared, 'elsewhere')
  jobs.add(job('one', 'a', { shared }))
  jobs.add(job('two', 'a', { shared: { ...shared, key: 'another' } }))
  assert.deepEqual(begun, ['two:a'])
  other.free(shared, 'elsewhere')
  assert.deepEqual(begun, ['two:a', 'one:a'])
  assert.equal(other.room(shared), 0)
  jobs.over(job('one', 'a'))
  assert.deepEqual([other.room(shared), freed], [1, ['shop']])
})

test('WORK-1: what ended late ends nothing of the attempt that has begun since', () => {
  const { jobs, begun } = jobsOf(1)
  const first = job('one', 'a')
  jobs.add(first)
  jobs.over(first)
  jobs.add(job('one', 'a'))
  jobs.done(first)
  jobs.add(job('two', 'a'))
  assert.deepEqual(begun, ['one:a', 'one:a'])
})
