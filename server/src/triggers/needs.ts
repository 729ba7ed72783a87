import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import type { Connectors } from '../connectors/index.ts'
import type { Clock, Log } from '../core/index.ts'
import type { Flows } from '../flows/index.ts'
import type { Goals } from '../goals/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Policy } from '../policy/index.ts'
import type { Store } from '../store/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Workflow } from '../workflow/index.ts'

export type TriggersNeeds = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish' | 'subscribe'>
  clock: Clock
  log: Log
  policy: Pick<Policy, 'decide'>
  identity: Pick<Identity, 'person' | 'agent'>
  /** The secrets of webhooks lie in its sealed storage; while it is sealed nothing is taken or started. */
  vault: Pick<Vault, 'sealed' | 'status'>
  connectors: Pick<Connectors, 'list' | 'tell'>
  flows: Pick<Flows, 'find' | 'plan' | 'startPlan'>
  goals: Pick<Goals, 'propose'>
  workflow: Pick<Workflow, 'read'>
  /** Open questions in whose subject these words stand may ask for something else than would run by now. */
  questions: { lookAgain(words: string): void }
}
