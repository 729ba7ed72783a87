// A run that began under an earlier version goes on under this one. What Temporal keeps of it is in temporal-replay.test.ts; here is
// what the tables keep. Where a change keeps old rows readable, record one more: KEYWARD_TEST_RECORD=server/test/support/stored-runs/NAME.json
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { openStage } from './support/durable-stage.ts'
import { checkGoesOn, firstAction, startMiddle, storedRun } from './support/stored-runs.ts'

test('WORK-2: the rows of a run in its middle are all that another process needs to end it', async (t) => {
  const first = await openStage(t)
  const engine = await first.start([firstAction()])
  const recorded = await storedRun(first.world, await startMiddle(engine))
  const file = process.env['KEYWARD_TEST_RECORD']
  if (file) writeFileSync(file, `${JSON.stringify(recorded, null, 1)}\n`)

  const { world, start } = await openStage(t)
  const elapse = (milliseconds: number): void => world.clock.advance(milliseconds)
  await checkGoesOn(world, recorded, { name: 'embedded', start, elapse })
})
