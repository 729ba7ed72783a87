import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { actorOf, type Clock, type Log, systemPrincipal } from '../core/index.ts'
import type { Scanner, Sources } from '../scan/index.ts'
import type { Store } from '../store/index.ts'
import type { Vault } from '../vault/index.ts'

export type FindingsNeeds = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  log: Log
  /** Keyward's own data folder: never scanned, whoever asks. */
  dataDir: string
  vault: Pick<Vault, 'kv' | 'sealed'>
  /** The scanner needs the fingerprint key, which is in the vault: throws `vault.sealed` while it is sealed. */
  scanner: () => Promise<Scanner>
  sources: () => Promise<Pick<Sources, 'tips' | 'fileList' | 'changedFiles'>>
  /** Another one has other rules: it looks through a whole history anew. */
  version: string
}

/** Acts for Keyward where a finding changes because a run did something. */
export const importActor = actorOf(systemPrincipal('import'))
