import { AppError, actorOf, reasonOf } from '../core/index.ts'
import { principalNamed } from '../identity/index.ts'
import type { Tx } from '../store/index.ts'
import { filledGoal, filledInput } from './matching.ts'
import type { TriggersNeeds } from './needs.ts'
import { type Firing, readTrigger, settleFiring, type Trigger, waitingFirings } from './triggers-store.ts'

const mostAtATime = 100

/** Starts what waits, each in the name of who vouches for its trigger, as far as that account may do it now. */
export function createTriggerStarter(needs: TriggersNeeds) {
  const { store, audit, bus, log, policy, identity, flows, goals } = needs

  async function settled(
    tx: Tx,
    firing: Firing,
    end: { state: 'started'; runId?: string; goalId?: string } | { state: 'refused'; reason: string },
  ): Promise<void> {
    if (!(await settleFiring(tx, firing, end)))
      throw new AppError('request.conflict', 'this event does not wait any more')
    const target = `trigger:${firing.triggerId}`
    const { deliveryId, requestedBy: actor } = firing
    const { state, ...detail } = end
    const outcome = state === 'started' ? 'done' : 'denied'
    const correlation = 'runId' in end && end.runId ? { correlation: end.runId } : {}
    await audit.record(tx, {
      type: 'trigger.fired',
      outcome,
      actor,
      target,
      ...correlation,
      detail: { deliveryId, ...detail },
    })
    await bus.publish(tx, { type: 'trigger.fired', subject: target, data: { state } })
  }

  /** The run, or the proposal, and the mark that says so commit together: whatever ends the process, no event is used twice. */
  async function start(trigger: Trigger, firing: Firing): Promise<void> {
    const by = await principalNamed(identity, firing.requestedBy)
    const { id, flow, goal, input } = trigger
    const { fields } = firing
    if (goal !== null) {
      const resource = { type: 'Goal', id: '*' } as const
      const { allow, reason } = policy.decide({ principal: by, action: 'goals.propose', resource })
      if (!allow) throw new AppError('policy.denied', reason)
      await goals.propose(filledGoal(goal, fields), by, (tx, goalId) =>
        settled(tx, firing, { state: 'started', goalId }),
      )
      return
    }
    const named = flow ?? ''
    const attributes = { flow: named, requestedBy: actorOf(by) }
    const resource = { type: 'Run', id: '*', attributes } as const
    const { allow, reason } = policy.decide({ principal: by, action: 'runs.start', resource })
    if (!allow) throw new AppError('policy.denied', reason)
    const filled = filledInput(input, fields)
    const plan = await flows.plan({ flow: named, input: filled, by })
    await flows.startPlan({
      plan: { ...plan, input: filled },
      by,
      // Nobody answers for it: its approvals ask.
      unattended: false,
      idempotencyKey: `trigger ${id} on ${firing.deliveryId}`,
      along: (tx, { id: runId }) => settled(tx, firing, { state: 'started', runId }),
    })
  }

  async function attend(firing: Firing): Promise<void> {
    const trigger = await readTrigger(store, firing.triggerId)
    if (!trigger || trigger.paused) return
    await start(trigger, firing).catch(async (error: unknown) => {
      // The store is not there, or is busy: the event goes on waiting.
      if (error instanceof AppError && /^(?:store|vault|audit)\./.test(error.code)) throw error
      if (!(error instanceof AppError))
        log.error(
          { trigger: trigger.id, reason: reasonOf(error) },
          'what an event triggers could not be started',
        )
      const reason =
        error instanceof AppError ? `${error.code}: ${error.detail ?? error.message}` : 'server.internal'
      await store.write((tx) => settled(tx, firing, { state: 'refused', reason }))
    })
  }

  return {
    async startWaiting(isStopped: () => boolean): Promise<void> {
      for (const firing of await waitingFirings(store, mostAtATime)) {
        if (isStopped()) return
        await attend(firing).catch((error: unknown) =>
          log.error({ trigger: firing.triggerId, reason: reasonOf(error) }, 'a triggered run has to wait'),
        )
      }
    },
  }
}
