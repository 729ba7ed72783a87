import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { cleanUp } from '../../test/support/clean-up.ts'
import {
  createEngine,
  engineMigrations,
  noteAction,
  olga,
  piet,
  planOf,
  task,
} from '../../test/support/engine.ts'
import { openWorld } from '../../test/support/world.ts'
import { catalogueMigrations } from '../catalogue/index.ts'
import { silentLog, systemClock } from '../core/index.ts'
import { createFlows } from '../flows/index.ts'
import { createPolicy } from '../policy/index.ts'
import { createGoals } from './goals.ts'
import { goalsMigrations } from './goals-store.ts'

test('WORK-1: a goal that two people start at the same moment becomes one run', async (t) => {
  const world = await openWorld(t, [...engineMigrations, ...catalogueMigrations, ...goalsMigrations])
  const engine = createEngine(world, { actions: [noteAction([], { preview: 'same' })] })
  await engine.workflow.run()
  cleanUp(t, () => engine.stop())
  const unused = async (): Promise<never> => assert.fail('nothing of this is asked for')
  const flows = createFlows({
    ...world,
    log: silentLog,
    policy: createPolicy({ clock: systemClock }),
    findings: { preview: unused, release: unused, importingRuns: unused },
    workflow: engine.workflow,
    identity: { person: unused, agent: unused },
    rollout: { judge: async () => ({ observed: false, judgements: [] }) },
    natureOf: async ({ risk }) => ({ risk, effect: 'write' }),
    more: [
      {
        name: 'note',
        title: 'Note a word',
        goals: ['note {word}'],
        input: z.strictObject({ word: z.string() }),
        plan: async () => planOf(task('note')),
      },
    ],
  })
  const { workflow } = engine
  const goals = createGoals({
    ...world,
    flows,
    workflow,
    policy: createPolicy({ clock: systemClock }),
    model: undefined,
  })
  const { id, proposals } = await goals.propose('note this', olga)
  const wanted = { proposal: 1, digest: proposals[0]?.plan?.planDigest ?? '' }
  const [one, other] = await Promise.allSettled([
    goals.start(id, wanted, olga),
    goals.start(id, wanted, piet),
  ])
  const started = [one, other].flatMap((end) => (end.status === 'fulfilled' ? [end.value.id] : []))
  const refused = [one, other].flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['goal.state'],
  )
  assert.deepEqual(
    (await workflow.page({ limit: 10 })).items.map((run) => run.id),
    started,
  )
  assert.equal((await goals.read(id)).runId, started[0])
})
