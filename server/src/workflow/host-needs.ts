import type { Clock, Log } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import type { Action } from './action.ts'
import type { PlanFlow, StartChild } from './beginning.ts'
import type { ApprovalGate } from './gate.ts'
import type { RunRecord } from './run-record.ts'
import type { SharedKeys } from './shared-keys.ts'
import type { Transitions } from './transition.ts'

/** What carries runs needs, whichever host it is. */
export type HostNeeds = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  transitions: Transitions
  gate: Pick<ApprovalGate, 'request' | 'redeem'>
  actions: ReadonlyMap<string, Action>
  clock: Clock
  log: Log
  /** Tasks at once. */
  concurrency: number
  /** One line for both hosts. */
  keys: SharedKeys
  planFlow: PlanFlow
  startChild: StartChild
  onBoundary: OnBoundary
  onFinished: (run: RunRecord) => void
}

/**
 * Called as each step of a run is reached, so that a test can end the process exactly there. The Temporal host waits for what it
 * gives outside of transactions; a throw within one, at `committing`, rolls it back.
 */
export type OnBoundary = (name: string, runId: string) => unknown
