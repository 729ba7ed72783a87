// The one suite that every host of runs passes, and what only Temporal can show is in temporal.test.ts.
import { begin } from './support/durable-stage.ts'
import { createEngine, engineMigrations, task } from './support/engine.ts'
import { hostSuite } from './support/host-suite.ts'
import { openTemporalStage } from './support/temporal-stage.ts'
import { openWorld } from './support/world.ts'

hostSuite('the embedded host', async (t) => {
  const world = await openWorld(t, engineMigrations)
  return {
    world,
    name: 'embedded',
    elapse: (milliseconds) => world.clock.advance(milliseconds),
    async settled(engine) {
      // Runs are taken up in the order of their starts: when this one has ended, the others stand in line.
      await engine.workflow.whenEnded((await begin(engine, task('last'))).id)
    },
    async start(actions, more) {
      const engine = createEngine(world, { actions, ...more })
      await engine.workflow.run()
      await engine.approvals.run()
      return engine
    },
  }
})

hostSuite('Temporal', openTemporalStage)
