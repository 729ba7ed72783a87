import type { Audit } from '../../audit/index.ts'
import type { Clock, Secret } from '../../core/index.ts'
import type { Store, Tx } from '../../store/index.ts'
import { createAnonymousLog } from '../anonymous-log.ts'
import type { Barrier } from '../barrier/barrier.ts'
import { createRotation, type Rotation } from '../barrier/rotation.ts'
import type { KeyWrapper, SealKind } from './key-wrapper.ts'
import { type Handlers, ownerRequests } from './owner-requests.ts'
import { createRekey, type Rekey } from './rekey.ts'
import { createRootGeneration, type RootGeneration } from './root-generation.ts'
import { createSeal, type Seal } from './seal.ts'

type Needs = {
  store: Store
  audit: Pick<Audit, 'record' | 'recordNow'>
  clock: Clock
  barrier: Barrier
  wrappers: readonly KeyWrapper[]
  wanted: SealKind | undefined
  createRootToken: (tx: Tx, value: Secret) => Promise<void>
  hasSudo: (token: Secret | undefined, path: string) => Promise<boolean>
}

/** The seal and all that owners and operators do with its keys. */
export type Sealing = {
  readonly seal: Seal
  readonly rotation: Rotation
  readonly rekey: Rekey
  readonly rootGeneration: RootGeneration
  readonly owners: Handlers
  /** Keeps the access to the services that open the vault alive, until `close`. */
  keepAlive(): void
  /** Why the vault would not open by itself again. */
  problem(): string | undefined
  /** Ends what is under way and wipes the keys. */
  shut(): void
  close(): void
}

export function createSealing(needs: Needs): Sealing {
  const { store, audit, clock, barrier, wrappers, wanted } = needs
  const seal = createSeal({ store, audit, barrier, clock, wrappers, wanted })
  const rekey = createRekey({ seal, barrier, audit, clock })
  const rootGeneration = createRootGeneration({
    seal,
    barrier,
    audit,
    createRootToken: needs.createRootToken,
  })
  const rotation = createRotation({
    store,
    barrier,
    clock,
    onRotated: (tx) =>
      audit.record(tx, {
        type: 'vault.request',
        outcome: 'done',
        actor: 'system:expiry',
        target: 'path:sys/rotate',
        detail: { operation: 'update', note: { rotated: true } },
      }),
  })
  const record = createAnonymousLog({ audit, clock })
  let stops: (() => void)[] = []

  function stopKeeping(): void {
    for (const stop of stops) stop()
    stops = []
  }

  return {
    seal,
    rotation,
    rekey,
    rootGeneration,
    owners: ownerRequests({ store, rekey, rootGeneration, record, hasSudo: needs.hasSudo }),
    keepAlive() {
      stopKeeping()
      stops = wrappers.flatMap((wrapper) => wrapper.keepAlive?.() ?? [])
    },
    problem: () => wrappers.map((wrapper) => wrapper.problem?.()).find((known) => known !== undefined),
    close: stopKeeping,
    shut() {
      rekey.forget()
      rootGeneration.forget()
      seal.seal()
    },
  }
}
