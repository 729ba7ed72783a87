import type { TestContext } from 'node:test'
import type { Json, RunDetail, ScheduleView } from '@keyward/contract'
import { silentLog } from '../../src/core/index.ts'
import { hooksMigrations } from '../../src/hooks/index.ts'
import { createPolicy } from '../../src/policy/index.ts'
import { createSchedules, schedulesMigrations } from '../../src/schedules/index.ts'
import { cleanUp } from './clean-up.ts'
import { olga, openFindingsWorld } from './findings-world.ts'

type Proposal = { findingIds: string[]; idempotencyKey: string | undefined }

/** Schedules on the real scanner, vault and store; what they propose is kept instead of run. */
export async function openSchedulesWorld(t: TestContext, { rules = '' } = {}) {
  const world = await openFindingsWorld(t, [...schedulesMigrations, ...hooksMigrations])
  const { clock, root } = world
  const policy = createPolicy({ clock })
  if (rules) policy.prepare([policy.compile({ name: 'custom', text: rules })])()
  const proposals: Proposal[] = []
  let sealed = false
  const needs = {
    ...world,
    log: silentLog,
    policy,
    vault: { ...world.vault, status: () => ({ ...world.vault.status(), sealed }) },
    flows: {
      async start({ input, idempotencyKey }: { input: Json; idempotencyKey?: string | undefined }) {
        const { findingIds } = input as { findingIds: string[] }
        proposals.push({ findingIds, idempotencyKey })
        return { id: `run_${proposals.length}` } as RunDetail
      },
    },
  }
  /** As a server that starts on the same store. */
  const start = async () => {
    const schedules = createSchedules(needs)
    cleanUp(t, () => schedules.stop())
    await schedules.start()
    return schedules
  }
  const schedules = await start()

  const nightly = (change: Partial<ScheduleView> = {}): Promise<ScheduleView> =>
    schedules.create(
      {
        path: root,
        cron: '0 3 * * *',
        timeZone: 'UTC',
        history: 'none',
        watch: false,
        propose: true,
        push: null,
        ...change,
      },
      olga,
    )
  return {
    ...world,
    schedules,
    start,
    nightly,
    proposals,
    seal: (now: boolean) => {
      sealed = now
    },
    /** Lets time pass, and waits until what became due is done. */
    async pass(milliseconds: number, by = schedules): Promise<ScheduleView[]> {
      // A look that goes on sets the timer of the next one when it ends.
      await by.idle()
      clock.advance(milliseconds)
      await by.idle()
      return by.list()
    },
  }
}
