import type { Audit } from '../../../audit/index.ts'
import type { Clock, Log } from '../../../core/index.ts'
import type { Store } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Engine } from '../../engine.ts'
import type { PasswordPolicies } from '../../password-policies.ts'
import { configPaths } from './config-paths.ts'
import { type Connections, createConnections } from './connections.ts'
import { credentialPaths, endUser, extendUser } from './credentials.ts'
import { createDatabaseRecords } from './records.ts'
import { rolePaths } from './role-paths.ts'
import { createRotations, type Rotations } from './rotations.ts'
import { staticRolePaths } from './static-role-paths.ts'

export type DatabaseMount = {
  readonly engine: Engine
  readonly connections: Connections
  readonly rotations: Rotations
}

export type DatabaseNeeds = {
  barrier: Barrier
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'record' | 'recordNow'>
  passwords: Pick<PasswordPolicies, 'generate'>
  clock: Clock
  log: Log
}
type Place = {
  id: string
  path: string
  /** Something is to be done sooner than was known. */
  onPlan: () => void
  onWiped: () => void
}

/** One mount of the type `database`. */
export function createDatabaseMount(
  needs: DatabaseNeeds,
  { id, path, onPlan, onWiped }: Place,
): DatabaseMount {
  const { barrier, store, audit, passwords, clock, log } = needs
  const records = createDatabaseRecords(barrier, id)
  const connections = createConnections({ records, store, mountId: id })
  const rotations = createRotations({
    records,
    connections,
    passwords,
    store,
    audit,
    clock,
    log,
    mountPath: path,
    onPlan,
  })
  const parts = { mountId: id, records, connections, rotations, passwords, store, audit, clock }
  const engine: Engine = {
    type: 'database',
    paths: [...configPaths(parts), ...rolePaths(parts), ...credentialPaths(parts), ...staticRolePaths(parts)],
    async wipe(tx) {
      await records.wipe(tx)
      tx.afterCommit(() => {
        onWiped()
        connections.closeAll()
      })
    },
    endLease: (lease) => endUser(parts, lease),
    extendLease: (lease, expiresAt) => extendUser(parts, lease, expiresAt),
  }
  return { engine, connections, rotations }
}
