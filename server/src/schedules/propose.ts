import { AppError, actorOf, reasonOf } from '../core/index.ts'
import type { SchedulesNeeds } from './needs.ts'
import { schedulePrincipal } from './principal.ts'
import { markProposed } from './schedules-store.ts'

/** Proposes for import what a scan has newly found: a run of leaked-key that waits for a person. Once for each scan. */
export type Propose = (scheduleId: string, scanId: string) => Promise<void>

/** As many as one run of leaked-key takes. */
const mostInRun = 400

export function createPropose({ store, audit, bus, log, policy, findings, flows }: SchedulesNeeds): Propose {
  async function start(scanId: string, findingIds: readonly string[]): Promise<string> {
    const decision = policy.decide({
      principal: schedulePrincipal,
      action: 'runs.start',
      resource: { type: 'Run', id: '*', attributes: { flow: 'leaked-key' } },
    })
    if (!decision.allow) throw new AppError('policy.denied', decision.reason)
    const run = await flows.start({
      flow: 'leaked-key',
      input: { findingIds: [...findingIds] },
      by: schedulePrincipal,
      unattended: false,
      // After a crash it is asked for again.
      idempotencyKey: `proposal of ${scanId}`,
    })
    return run.id
  }

  return async (scheduleId, scanId) => {
    const ids = (await findings.worthProposing(scanId)).slice(0, mostInRun)
    let runId: string | undefined
    let problem: string | null = null
    try {
      if (ids.length > 0) runId = await start(scanId, ids)
    } catch (error) {
      problem = `What was found could not be proposed: ${reasonOf(error)}`
      log.warn(
        { schedule: scheduleId, scan: scanId, reason: reasonOf(error) },
        'findings could not be proposed',
      )
    }
    await store.write(async (tx) => {
      await markProposed(tx, scheduleId, scanId, problem)
      if (runId === undefined) return
      const target = `scan:${scanId}`
      await audit.record(tx, {
        type: 'finding.proposed',
        outcome: 'done',
        actor: actorOf(schedulePrincipal),
        target,
        correlation: runId,
        detail: { findings: ids.length, scheduleId },
      })
      await bus.publish(tx, {
        type: 'finding.proposed',
        subject: target,
        data: { runId, scheduleId, findings: ids.length },
      })
    })
  }
}
