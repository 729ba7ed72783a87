import type { Audit } from '../../../audit/index.ts'
import type { Clock, Log } from '../../../core/index.ts'
import type { Store } from '../../../store/index.ts'
import { createAuditDevices } from '../../audit-devices/audit-devices.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Cluster } from '../../cluster.ts'
import type { PathSpec } from '../../engine.ts'
import type { Identity } from '../../identity/identity.ts'
import type { Leases } from '../../leases/leases.ts'
import type { Mounts } from '../../mounts.ts'
import { createRateLimits } from '../../rate-limits/rate-limits.ts'
import type { VaultRequest, VaultResponse } from '../../request-context.ts'
import { createRequestCounts } from '../../request-counts.ts'
import type { Router } from '../../router.ts'
import { createSnapshots } from '../../snapshot/snapshots.ts'
import type { Tokens } from '../../tokens/tokens.ts'
import { createVersionHistory } from '../../version-history.ts'
import { pluginNames } from '../database/kinds.ts'
import { auditPaths } from './audit-paths.ts'
import { configPaths } from './config-paths.ts'
import { internalPaths } from './internal-paths.ts'
import { createPathHelp } from './path-help.ts'
import { pluginPaths } from './plugin-paths.ts'
import { quotaPaths } from './quota-paths.ts'
import { refusedPaths } from './refused-paths.ts'
import { remountPaths } from './remount-paths.ts'
import { serverPaths } from './server-paths.ts'
import { storagePaths } from './storage-paths.ts'

type Needs = {
  store: Store
  audit: Pick<Audit, 'recordNow'>
  barrier: Barrier
  clock: Clock
  log: Log
  mounts: Mounts
  router: Pick<Router, 'match' | 'routed'>
  tokens: Pick<Tokens, 'accessors' | 'authenticate'>
  identity: Pick<Identity, 'countEntities'>
  leases: Pick<Leases, 'closeMount' | 'pages'>
  cluster: Cluster
  version: string
  auditFolders: readonly string[]
  /** The storage is another's now: everything in memory is old. */
  reload: () => void
}

type Handle = (request: VaultRequest) => Promise<VaultResponse>

/** The part of `sys/` that tells about the server, and what has to be kept for it. */
export type ServerSystem = {
  readonly paths: readonly PathSpec[]
  /** The vault has been opened. */
  opened(): Promise<void>
  shut(): void
  around(handle: Handle): Handle
}

export function createServerSystem(needs: Needs): ServerSystem {
  const { store, clock, mounts, tokens, leases, identity, cluster, version } = needs
  const requests = createRequestCounts(clock)
  const versions = createVersionHistory(needs)
  const help = createPathHelp({ ...needs, authenticate: tokens.authenticate, now: clock.now })
  const limits = createRateLimits({ barrier: needs.barrier, now: clock.now })
  const devices = createAuditDevices({ ...needs, folders: needs.auditFolders })
  return {
    paths: [
      ...remountPaths(mounts, leases),
      ...auditPaths(devices),
      ...quotaPaths(limits, mounts),
      ...pluginPaths({ mounts, version, databases: pluginNames }),
      ...internalPaths({ ...needs, authenticate: tokens.authenticate }),
      ...serverPaths({
        clock,
        version,
        mounts,
        tokens,
        identity,
        requests,
        versions,
        countLeases: leases.pages.count,
      }),
      ...storagePaths(createSnapshots(needs), needs.reload),
      ...configPaths({ storageType: store.dialect, cluster: cluster.current }),
      ...refusedPaths(),
    ],
    async opened() {
      await cluster.load()
      await versions.note()
      await devices.load()
      await limits.load()
    },
    shut() {
      cluster.forget()
      devices.forget()
      limits.forget()
    },
    around: (handle) => requests.around(limits.around(devices.around(help(handle)))),
  }
}
