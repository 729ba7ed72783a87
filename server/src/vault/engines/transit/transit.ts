import type { Barrier } from '../../barrier/barrier.ts'
import type { Engine } from '../../engine.ts'
import { toolPaths } from '../tools.ts'
import { backupPaths } from './backup-paths.ts'
import { encryptPaths } from './encrypt-paths.ts'
import { exportPaths } from './export-paths.ts'
import { hmacPaths } from './hmac-paths.ts'
import { importPaths } from './import-paths.ts'
import { keyPaths } from './key-paths.ts'
import { createKeyStore } from './key-store.ts'
import { signPaths } from './sign-paths.ts'

/** Encrypts, signs and more with keys that never leave the vault, for programs that keep the data themselves. */
export function createTransit(barrier: Barrier, mountId: string): Engine {
  const keys = createKeyStore(barrier, mountId)
  return {
    type: 'transit',
    paths: [
      ...encryptPaths(keys),
      ...signPaths(keys),
      ...hmacPaths(keys),
      ...keyPaths(keys),
      ...importPaths(keys),
      ...exportPaths(keys),
      ...backupPaths(keys),
      ...toolPaths(),
    ],
    wipe: keys.wipe,
  }
}
