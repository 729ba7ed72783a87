import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGathering } from './index.ts'

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** After a sync of so many milliseconds, with this many who are expected. */
async function afterSync(milliseconds: number, expected: number) {
  let now = 0
  let waiting = 0
  const gathering = createGathering(() => now)
  for (let times = 0; times < 20; times++)
    await gathering.around(async () => {
      now += milliseconds
    })
  gathering.expect(expected)
  return {
    later: (by: number) => {
      now += by
    },
    come: () => {
      waiting++
    },
    /** How many are there when it goes on. */
    gathered: async (isPatient?: () => boolean) => {
      await gathering.untilNobodyComes(
        () => waiting,
        () => true,
        isPatient,
      )
      return waiting
    },
  }
}

test('who was answered and comes again a moment later shares the next sync', async () => {
  const { come, gathered } = await afterSync(2, 2)
  come()
  const all = gathered()
  await turns(10)
  come()
  assert.equal(await all, 2)
})

test('nobody waits for more than are expected, for who stays away, for who was answered long ago, or where a sync takes no time', async () => {
  const few = await afterSync(2, 1)
  few.come()
  const gone = await afterSync(2, 2)
  gone.come()
  const late = await afterSync(2, 2)
  late.come()
  late.later(3)
  const fast = await afterSync(0, 2)
  fast.come()
  const hurried = await afterSync(2, 2)
  hurried.come()
  const slow = await afterSync(2, 2)
  slow.come()
  const all = Promise.all([
    few.gathered(),
    gone.gathered(),
    late.gathered(),
    fast.gathered(),
    hurried.gathered(() => false),
    slow.gathered(),
  ])
  slow.later(0.6)
  await turns(3)
  for (const { come } of [few, late, fast, hurried, slow]) come()
  assert.deepEqual(await all, [1, 1, 1, 1, 1, 1])
})
