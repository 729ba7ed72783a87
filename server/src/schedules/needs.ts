import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import type { Clock, Log } from '../core/index.ts'
import type { Findings } from '../findings/index.ts'
import type { Flows } from '../flows/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Store } from '../store/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Workflow } from '../workflow/index.ts'

export type SchedulesNeeds = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  log: Log
  policy: Pick<Policy, 'decide'>
  findings: Pick<Findings, 'startScan' | 'scanFiles' | 'changedFiles' | 'worthProposing' | 'rootOf'>
  flows: Pick<Flows, 'start'>
  /** The secrets of webhooks lie in its sealed storage; while it is sealed nothing is scanned. */
  vault: Pick<Vault, 'sealed' | 'status'>
}

export type RunSchedulesNeeds = {
  store: Store
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  log: Log
  policy: Pick<Policy, 'decide'>
  identity: Pick<Identity, 'person' | 'agent'>
  flows: Pick<Flows, 'find' | 'plan' | 'startPlan'>
  workflow: Pick<Workflow, 'read'>
  /** While it is sealed nothing is started. */
  vault: Pick<Vault, 'status'>
}
