// What a run holds while it waits for a person: rows, and nothing that would have to be kept up.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../src/core/index.ts'
import { createEngine, engineMigrations, gate, noteAction, olga, planOf, task } from './support/engine.ts'
import { eventually } from './support/eventually.ts'
import { createTestClock, openWorld } from './support/world.ts'

/** A clock that stands still, and knows how many timers are set. */
function countingClock(): Clock & { timers(): number } {
  const clock = createTestClock()
  const set = new Set<object>()
  return {
    now: clock.now,
    after(milliseconds, call) {
      const timer = {}
      set.add(timer)
      const cancel = clock.after(milliseconds, () => {
        set.delete(timer)
        call()
      })
      return () => {
        set.delete(timer)
        cancel()
      }
    },
    timers: () => set.size,
  }
}

test('WORK-2, APPR-1: runs that wait for a person have executed nothing, and the host has no timer and no slot for them', async (t) => {
  const clock = countingClock()
  const world = { ...(await openWorld(t, engineMigrations)), clock }
  const notes: string[] = []
  const engine = createEngine(world, { actions: [noteAction(notes)], concurrency: 2 })
  await engine.workflow.run()
  t.after(() => engine.stop())
  const withoutRuns = clock.timers()
  const start = (waits: boolean) =>
    engine.workflow.start(undefined, {
      plan: planOf(task('a', waits ? { approval: gate } : {})),
      requestedBy: olga,
      unattended: false,
    })
  for (let made = 0; made < 60; made++) await start(true)
  await eventually(
    async () => (await engine.approvals.page({ limit: 500, state: 'pending' })).items.length === 60,
    'their questions',
  )
  const other = await start(false)
  assert.equal((await engine.workflow.whenEnded(other.id)).state, 'Succeeded', 'there are slots for others')
  assert.deepEqual(notes, ['a'], 'of the one that does not wait')
  assert.ok(
    clock.timers() <= withoutRuns + 2,
    'for all questions together: the next minute, and the first that is due',
  )
  await engine.approvals.stop()
  await eventually(async () => clock.timers() === withoutRuns, 'no timer more than without runs')
})
