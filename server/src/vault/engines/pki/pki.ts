import type { Clock } from '../../../core/index.ts'
import type { Store } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Engine } from '../../engine.ts'
import type { EngineMaker } from '../../mounts.ts'
import { defaultTtlSeconds } from '../../tokens/lifetime.ts'
import { configPaths } from './config-paths.ts'
import { fetchPaths } from './fetch-paths.ts'
import { importPaths } from './import-paths.ts'
import { intermediatePaths } from './intermediate-paths.ts'
import { issuePaths } from './issue-paths.ts'
import { issuerPaths } from './issuer-paths.ts'
import { keyPaths } from './key-paths.ts'
import type { Mount } from './mount.ts'
import { ocspPaths } from './ocsp-paths.ts'
import { createRevocationLists } from './revocation-lists.ts'
import { revokeBySerial, revokePaths } from './revoke-paths.ts'
import { rolePaths } from './role-paths.ts'
import { rootPaths } from './root-paths.ts'
import { createPkiStore } from './store.ts'
import { tidyDue, tidyPaths } from './tidy-paths.ts'

type Needs = { barrier: Barrier; store: Pick<Store, 'write'>; clock: Pick<Clock, 'now'> }

/** Certificates: authorities, what they sign, and what they take back. */
export function createPki({ barrier, store: { write }, clock }: Needs): EngineMaker {
  return ({ id }, config): Engine => {
    const store = createPkiStore(barrier, id)
    const lists = createRevocationLists(store)
    const mount: Mount = {
      store,
      lists,
      write,
      limits() {
        const { defaultTtlSeconds: usual, maxTtlSeconds: most } = config()
        const maxSeconds = most || defaultTtlSeconds
        return { defaultSeconds: Math.min(usual || defaultTtlSeconds, maxSeconds), maxSeconds }
      },
    }
    return {
      type: 'pki',
      paths: [
        ...rootPaths(mount),
        ...intermediatePaths(mount),
        ...importPaths(mount),
        ...configPaths(mount),
        ...issuerPaths(mount),
        ...keyPaths(store),
        ...rolePaths(store),
        ...issuePaths(mount),
        ...revokePaths(mount),
        ...tidyPaths(mount),
        ...ocspPaths(mount),
        ...fetchPaths(mount),
      ],
      wipe: store.wipe,
      async tidy(tx, now) {
        await lists.renewDue(tx, now)
        return tidyDue(mount, tx, now)
      },
      endLease: ({ state }) =>
        revokeBySerial(mount, String(state['serial'] ?? ''), clock.now()).then(() => undefined),
    }
  }
}
