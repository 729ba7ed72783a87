import type { ArtifactRef } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import type { Clock, Log, Principal, TreeTaker } from '../core/index.ts'
import type { Store, Tx } from '../store/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Connector, ConnectorAction } from './connector.ts'
import type { ConnectionRow } from './connectors-store.ts'
import type { SandboxedCommand, SandboxedResult } from './sandboxed-command.ts'

export type ConnectorsNeeds = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  log: Log
  /** In [0, 1): spreads what is asked again and again. */
  random: () => number
  vault: {
    kv: Pick<Vault['kv'], 'read'>
    sealed: Pick<Vault['sealed'], 'get' | 'put' | 'delete'>
    status: Vault['status']
  }
  connectors: readonly Connector[]
  /** Whether somebody may let the service of a connection have the secret at this path; throws when not. */
  assertMayLend: (principal: Principal, secretPath: string) => void
  /** Whether who asked for a run may work with a connection in this way; throws `policy.denied` when not. */
  assertMayUse: (use: ServiceUse) => Promise<void>
  /** Whether traces of runs are sent somewhere. */
  traced?: () => boolean
  sandboxed: SandboxedForConnectors
  artifacts: ArtifactsForConnectors
}

/** What tasks leave for later ones of their run. */
type ArtifactsForConnectors = {
  create(owner: { runId: string; taskId: string }): Promise<
    TreeTaker & {
      finish(): Promise<ArtifactRef>
      /** Forgets what was taken. */
      discard(): Promise<void>
    }
  >
}

/** `requestedBy` is an actor, `<kind>:<id>`. */
export type ServiceUse = {
  readonly requestedBy: string
  readonly connection: Pick<ConnectionRow, 'id' | 'name' | 'connector' | 'environment'>
  readonly action: Pick<ConnectorAction, 'name' | 'risk' | 'reversible'>
}

/** Programs of connectors in sandboxes. */
export type SandboxedForConnectors = {
  /** With placeholders for fields of the secret at `secretPath`. */
  run(
    about: {
      readonly runId: string
      readonly taskId: string
      readonly attempt: number
      readonly secretPath: string | null
      readonly signal: AbortSignal
      /** Called as the program prints. */
      readonly heartbeat: () => void
    },
    command: SandboxedCommand,
  ): Promise<SandboxedResult>
  /** Ends what was lent to the task, in the transaction that ends its attempt. */
  ended(tx: Tx, attempt: { runId: string; taskId: string; reason: string }): Promise<void>
}
