import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Json } from '@keyward/contract'
import { z } from 'zod'
import { catalogueMigrations } from '../../src/catalogue/index.ts'
import { type Principal, silentLog } from '../../src/core/index.ts'
import { createFlows } from '../../src/flows/index.ts'
import { createPolicy } from '../../src/policy/index.ts'
import { cleanUp } from './clean-up.ts'
import {
  createEngine,
  engineMigrations,
  noteAction,
  olga,
  piet,
  planOf,
  gate as shortGate,
  task,
} from './engine.ts'
import { openWorld } from './world.ts'

const gate = { ...shortGate, expiresInSeconds: 30 * 86_400 }

type Around = { rules?: string; migrations: Parameters<typeof openWorld>[1] }

/**
 * What starts flows by itself, on the real engine and store: two flows, `note` that ends at once and `ask` that waits for a person;
 * olga and piet have accounts.
 */
export async function openFlowsWorld(t: TestContext, { rules = '', migrations = [] }: Around) {
  const world = await openWorld(t, [...engineMigrations, ...catalogueMigrations, ...migrations])
  const notes: string[] = []
  const inputs: Json[] = []
  const engine = createEngine(world, { actions: [noteAction(notes)] })
  await engine.workflow.run()
  cleanUp(t, () => engine.stop())
  const policy = createPolicy({ clock: world.clock })
  if (rules) policy.prepare([policy.compile({ name: 'custom', text: rules })])()
  const accounts = new Map<string, Principal>([olga, piet].map((one) => [one.id, one]))
  const identity = {
    async person(id: string) {
      const found = accounts.get(id)
      const { name = id, roles = [] } = found ?? {}
      return { id, name, roles, disabled: !found, groups: [], createdAt: world.clock.now() }
    },
    agent: async () => undefined,
  }
  const unused = async (): Promise<never> => assert.fail('nothing of this is asked for')
  const input = z.strictObject({ word: z.string() })
  const flows = createFlows({
    ...world,
    log: silentLog,
    policy,
    findings: { preview: unused, release: unused, importingRuns: async () => [] },
    workflow: engine.workflow,
    identity: identity as never,
    rollout: { judge: async () => ({ observed: false, judgements: [] }) },
    natureOf: async ({ risk }) => ({ risk, effect: 'write' }),
    more: [
      {
        name: 'note',
        title: 'Note a word',
        goals: ['note [the] [word] {word}'],
        input,
        async plan(given) {
          inputs.push(given)
          return planOf(task('note'))
        },
      },
      {
        name: 'ask',
        title: 'Ask somebody',
        goals: [],
        input,
        plan: async () => planOf(task('note', { approval: gate })),
      },
    ],
  })
  return {
    ...world,
    ...engine,
    notes,
    /** Those that `note` was planned with. */
    inputs,
    policy,
    identity: identity as never,
    flows,
    close: (who: Principal) => accounts.delete(who.id),
    runs: async () => (await engine.workflow.page({ limit: 500 })).items.toReversed(),
  }
}
