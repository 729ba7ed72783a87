import type { Audit } from '../../../audit/index.ts'
import type { Clock } from '../../../core/index.ts'
import type { Store } from '../../../store/index.ts'
import type { PasswordPolicies } from '../../password-policies.ts'
import type { Connections } from './connections.ts'
import type { DatabaseRecords } from './records.ts'
import type { Rotations } from './rotations.ts'

/** What the paths of one mount work with; each takes of it what it needs. */
export type EngineParts = {
  readonly mountId: string
  readonly records: DatabaseRecords
  readonly connections: Connections
  readonly rotations: Rotations
  readonly passwords: Pick<PasswordPolicies, 'generate'>
  readonly store: Pick<Store, 'write'>
  readonly audit: Pick<Audit, 'record' | 'recordNow'>
  readonly clock: Pick<Clock, 'now'>
}
