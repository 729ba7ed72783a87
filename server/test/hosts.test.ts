// The one suite that every host of runs passes, and what only Temporal can show is in temporal.test.ts.
import { createEngine, engineMigrations } from './support/engine.ts'
import { hostSuite } from './support/host-suite.ts'
import { openTemporalStage } from './support/temporal-stage.ts'
import { openWorld } from './support/world.ts'

hostSuite('the embedded host', async (t) => {
  const world = await openWorld(t, engineMigrations)
  return {
    world,
    name: 'embedded',
    elapse: (milliseconds) => world.clock.advance(milliseconds),
    async start(actions) {
      const engine = createEngine(world, { actions })
      await engine.workflow.run()
      await engine.approvals.run()
      return engine
    },
  }
})

hostSuite('Temporal', openTemporalStage)
