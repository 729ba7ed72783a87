import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Log, silentLog } from '../../src/core/index.ts'
import {
  createVault,
  type KeyWrapper,
  type SealKind,
  type Vault,
  vaultMigrations,
} from '../../src/vault/index.ts'
import { openWorld, type World } from './world.ts'

export type Start = { seal?: SealKind; wrappers?: readonly KeyWrapper[]; log?: Log }
export type SealWorld = World & {
  /** A server that starts on what the last one left, set up as it is said here. */
  start(options?: Start): Promise<Vault>
}

/** A store, and vaults that follow each other on it with other settings of the seal. */
export async function openSealWorld(t: TestContext): Promise<SealWorld> {
  const world = await openWorld(t, vaultMigrations)
  const { store, audit, clock, dataDir } = world
  let last: Vault | undefined
  t.after(() => last?.close())
  return {
    ...world,
    async start({ seal, wrappers = [], log = silentLog } = {}) {
      last?.close()
      last = createVault({
        store,
        audit,
        clock,
        log,
        keyFile: join(dataDir, 'unseal.key'),
        wrappers,
        wantedSeal: seal,
      })
      await last.load()
      if (last.status().initialised) await last.openAtStart()
      return last
    },
  }
}
